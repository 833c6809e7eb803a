"""Distil the paper's MNIST teacher into a student of your own."""

from __future__ import annotations

import keras
from keras import layers

import kdcompress


def small_cnn() -> keras.Model:
    """Raw pixels (0 to 255) in, logits out: the preprocessing is part of the model."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


if __name__ == "__main__":
    run = kdcompress.distill("mnist-demo", student="own_student:small_cnn", temperature=4.0, alpha=0.7)
    for role in ("teacher", "student", "baseline"):
        print(f"{role:<9} {100 * run.result[role].metrics.accuracy:.2f} % on test")
    print(f"ratio of parameters: {run.result.student.params / run.result.teacher.params:.4f}")
    print(f"the student is in {run.path / 'student.keras'}")
