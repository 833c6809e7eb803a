from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from kdcompress.models import Forward


class Counted:
    """A model that counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0
        image = keras.Input((8, 8, 1))
        x = layers.BatchNormalization()(layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(image)))
        self.model = keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.Dropout(0.5)(x))))

    def __call__(self, images: Any, training: bool) -> Any:
        self.calls += 1
        return self.model(images, training=training)


@pytest.mark.parametrize("n", [7, 256, 300, 512, 700])
def test_images_in_batches_of_two_sizes_are_one_graph(n: int) -> None:
    counted = Counted()
    forward = Forward(counted)
    images = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 1), np.uint8)
    outputs = forward(images)
    assert np.array_equal(forward(images), outputs)
    assert counted.calls == 1
    alone = [Forward(counted)(images[begin : begin + 256]) for begin in range(0, n, 256)]
    assert np.array_equal(outputs, np.concatenate(alone))  # a graph of any batch size computes the same bits


def test_one_call_needs_no_graph() -> None:
    counted = Counted()
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1), np.uint8)
    assert np.allclose(Forward(counted, traced=False)(images), Forward(counted)(images), atol=1e-6)
    assert counted.calls == 2 + 1
