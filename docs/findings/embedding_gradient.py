"""An embedding's gradient under Adam: in PyTorch a token's occurrences are added, then squared; in Keras each is squared.

One token twice in a batch, with gradients 1 and -0.5; the sum is 0.5. Adam's second moment, divided by 1 - beta_2:

    PyTorch           0.25
    Keras             1.25
    Keras, densified  0.25
"""
import torch._dynamo  # before TensorFlow, see docs/findings.md
import keras
import tensorflow as tf
import torch

table = torch.nn.Embedding(1, 1)
(table(torch.tensor([0, 0])) * torch.tensor([[1.0], [-0.5]])).sum().backward()
optimizer = torch.optim.Adam(table.parameters(), betas=(0.9, 0.75))
optimizer.step()
print(f"PyTorch           {optimizer.state[table.weight]['exp_avg_sq'].item() / 0.25:.2f}")

for name, form in (("Keras             ", lambda gradient: gradient), ("Keras, densified  ", tf.convert_to_tensor)):
    table = keras.layers.Embedding(1, 1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(table(tf.constant([0, 0])) * tf.constant([[1.0], [-0.5]]))
    optimizer = keras.optimizers.Adam(beta_2=0.75)
    optimizer.apply([form(tape.gradient(loss, table.embeddings))], [table.embeddings])
    print(f"{name}{float(optimizer._velocities[0][0, 0]) / 0.25:.2f}")
