"""A small trained classifier of digits, frozen, and digits to run it on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import Input, Model, Sequential, layers, losses, utils

from kdcompress.data import Dataset
from kdcompress.exporting._network import Network, freeze
from kdcompress.exporting._parity import Reference
from kdcompress.models import Forward

CLASSES = [str(digit) for digit in range(10)]


@pytest.fixture(scope="session")
def classifier(digits: Dataset) -> Any:
    """A CNN with BatchNorm, depthwise convolution, residual add, dropout, and a nested block; about 90 % right."""
    utils.set_random_seed(0)
    inner = Input((13, 13, 16))
    mixed = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(inner)
    block = Model(inner, layers.Add(name="residual")([inner, mixed]), name="block")
    model = Sequential(
        [
            Input((28, 28, 1), name="image"),
            layers.Rescaling(1 / 127.5, offset=-1, name="scale"),
            layers.Conv2D(16, 3, strides=2, name="conv"),
            layers.BatchNormalization(name="norm", momentum=0.8),
            layers.ReLU(name="relu"),
            block,
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dropout(0.3, name="dropout"),
            layers.Dense(10, name="head"),
        ],
        name="classifier",
    )
    model.compile("adam", losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    train = digits.train
    model.fit(train.images.astype("float32"), train.labels, batch_size=64, epochs=2, verbose=0)
    return model


@pytest.fixture(scope="session")
def network(classifier: Any) -> Network:
    """The classifier, frozen."""
    return freeze(classifier, (28, 28, 1))


@pytest.fixture(scope="session")
def calibration(digits: Dataset) -> np.ndarray:
    """64 training digits."""
    return digits.train.images[::60][:64]


@pytest.fixture(scope="session")
def reference(classifier: Any, digits: Dataset) -> Reference:
    """The classifier's own answers to 500 test digits."""
    test = digits.test.take(np.arange(0, 1000, 2))
    logits = Forward(classifier)(test.images)
    return Reference("test", test.images, test.ids.tolist(), logits, test.labels, CLASSES)
