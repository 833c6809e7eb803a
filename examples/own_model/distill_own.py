"""From an ONNX teacher and a folder of images to a small student that is exported, timed and reported on."""

from __future__ import annotations

import keras
from keras import layers

import kdcompress


def small() -> keras.Model:
    """The student: raw pixels (0 to 255) in, logits out."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.SeparableConv2D(16, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


if __name__ == "__main__":
    run = kdcompress.distill("own.toml", out="runs/own")
    kdcompress.export(run, ["onnx", "tflite"], ["fp32", "int8"])
    kdcompress.bench(run)
    print(kdcompress.report(run).report)
