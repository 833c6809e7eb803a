"""Every layer and function of the zoo: cut exactly, or left whole."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from channel_models import random_choice
from layer_zoo import SHAPE, ZOO

from kdcompress.compression.channels.coupling import find_coupling
from kdcompress.compression.channels.masking import TOLERANCE, mask
from kdcompress.compression.channels.rebuilding import rebuild
from kdcompress.errors import ModelError

# A subclass, which is refused; Keras cannot build it from its own configuration; Keras cannot run it
WITHOUT = {"subclassed model", "RandomShear", "output of another shape than inferred"}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted(set(ZOO) - WITHOUT))
def test_every_layer_is_cut_exactly_or_left_whole(name: str) -> None:
    model = ZOO[name]()
    coupling = find_coupling(model)
    kept = random_choice(coupling)
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE)).astype("f")
    twins = rebuild(model, coupling, kept), mask(model, coupling, kept)
    outputs, expected = (np.asarray(keras.tree.flatten(twin(images, training=False))[0], np.float64) for twin in twins)
    tolerance = TOLERANCE if model.compute_dtype in ("float32", "float64") else 0.02
    assert np.abs(outputs - expected).max() <= tolerance * np.abs(expected).max()
    assert coupling.groups or coupling.whole


def test_a_model_of_other_code_is_refused() -> None:
    with pytest.raises(ModelError, match="functional and Sequential models"):
        find_coupling(ZOO["subclassed model"]())
