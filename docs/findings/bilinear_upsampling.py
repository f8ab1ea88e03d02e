"""TensorFlow enlarges in float32 where it interpolates, whatever it is given; to repeat pixels is exact.

A float64 row 0, 1/3, 1, enlarged twofold: the relative difference between the frameworks.

    nearest   below 1e-15
    bilinear  1e-08 to 1e-07
"""
import keras
import numpy as np
import torch

row = np.array([0.0, 1 / 3, 1.0]).reshape(1, 1, 3, 1).repeat(2, 1)
for mode in ("nearest", "bilinear"):
    pytorch = torch.nn.functional.interpolate(torch.as_tensor(row).permute(0, 3, 1, 2), scale_factor=2, mode=mode)
    tensorflow = keras.layers.UpSampling2D(2, interpolation=mode, dtype="float64")(row)
    apart = np.abs(pytorch.permute(0, 2, 3, 1).numpy() - np.asarray(tensorflow)).max()
    print(f"{mode:9} {'below 1e-15' if apart < 1e-15 else '1e-08 to 1e-07' if 1e-8 < apart < 1e-7 else apart}")
