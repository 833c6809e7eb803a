from __future__ import annotations

import pytest

from kdcompress import registry
from kdcompress.verification.flops import count_flops


@pytest.mark.parametrize(
    ("name", "params", "flops"), [("mnist_cnn", 1_011_466, 22_042_058), ("mnist_mlp", 1_238_730, 2_475_882)]
)
def test_the_paper_s_counts(name: str, params: int, flops: int) -> None:
    model = registry.load("models", name).build((28, 28, 1), 10)
    assert model.count_params() == params
    assert count_flops(model, (28, 28, 1)) == flops


def test_other_sizes_are_taken_from_the_data() -> None:
    for name in registry.choices("models"):
        model = registry.load("models", name).build((96, 104, 3), 7)
        assert model.output_shape == (None, 7)
        assert model.input_shape == (None, 96, 104, 3)
