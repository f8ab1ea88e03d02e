"""KerasHub computes a folder of a BERT that asks for the exact GELU ("gelu") with the approximation by tanh, without a word.

The largest difference between transformers' states and KerasHub's, of one sentence and one folder of random weights, by what the
folder's configuration asks for:

    gelu               above 1e-4
    gelu_pytorch_tanh  below 1e-5
"""
import os
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"  # else a folder is looked for in the network

import keras_hub
import numpy as np
import torch
from transformers import BertConfig, BertModel

tokens = np.array([[3, 14, 15, 9, 26, 5]])
sizes = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
for activation in ("gelu", "gelu_pytorch_tanh"):
    torch.manual_seed(0)
    encoder = BertModel(BertConfig(**sizes, max_position_embeddings=16, hidden_act=activation, initializer_range=0.3)).eval()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        encoder.save_pretrained(folder)
        twin = keras_hub.models.Backbone.from_preset(folder)
        wanted = encoder(torch.as_tensor(tokens)).last_hidden_state.numpy()
    given = twin({"token_ids": tokens, "segment_ids": 0 * tokens, "padding_mask": 1 + 0 * tokens})["sequence_output"].numpy()
    apart = np.abs(given - wanted).max()
    print(f"{activation:18} {'below 1e-5' if apart < 1e-5 else 'above 1e-4' if apart > 1e-4 else apart}")
