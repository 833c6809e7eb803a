"""The description of trained integers: scales, grids, and a file that is untrusted input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdcompress.errors import RunError
from kdcompress.quantization import Quantization, make_grid, round_scale


def test_products_of_scales_are_exact_in_float32() -> None:
    for value in np.random.default_rng(0).uniform(1e-6, 10, 1000):
        scale = round_scale(float(value))
        assert value <= scale <= value * (1 + 2**-11)
        assert round_scale(float(value), down=True) <= value
        for factor in (127, 255, round_scale(0.0123)):
            assert float(np.float32(scale) * np.float32(factor)) == scale * factor


def test_grids() -> None:
    grid = make_grid(0.0, 6.0, ceiling=6.0)
    assert grid.zero_point == 0 and grid.limits[1] <= 6.0
    assert make_grid(1.0, 2.0).zero_point == 0, "0 is always on the grid"
    assert make_grid(-2.0, -1.0).zero_point == 255
    low, high = make_grid(-1.0, 3.0).limits
    assert low == pytest.approx(-1, abs=0.02) and high == pytest.approx(3, abs=0.02)


DOCUMENT: dict[str, Any] = {
    "schema_version": 1,
    "kernels": {"dense": [0.5]},
    "activations": {"image": {"scale": 1.0, "zero_point": 0}},
    "float_layers": [],
}


def test_it_is_written_and_read(tmp_path: Path) -> None:
    description = Quantization.model_validate(DOCUMENT)
    description.save(tmp_path / "quantization.json")
    assert Quantization.load(tmp_path / "quantization.json") == description


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"kernels": {"dense": []}}, "kernels.dense"),
        ({"kernels": {"dense": [0.0]}}, "kernels.dense.0"),
        ({"kernels": {"dense": ["x"]}}, "kernels.dense.0"),
        ({"kernels": {"": [1.0]}}, "kernels"),
        ({"activations": {"image": {"scale": 1.0, "zero_point": 256}}}, "activations.image.zero_point"),
        ({"activations": {"image": {"scale": 1e300, "zero_point": 0}}}, "activations.image.scale"),
        ({"float_layers": ["dense"]}, "the document"),
        ({"more": 1}, "more"),
    ],
)
def test_a_damaged_file_is_refused_by_its_key(tmp_path: Path, change: dict[str, Any], key: str) -> None:
    path = tmp_path / "quantization.json"
    path.write_text(json.dumps({**DOCUMENT, **change}))
    with pytest.raises(RunError, match=f"is damaged \\({key}.*; compress the run again"):
        Quantization.load(path)
    path.write_text('{"kernels": {"dense": [NaN]}}')
    with pytest.raises(RunError, match="is damaged"):
        Quantization.load(path)
    with pytest.raises(RunError, match="is missing"):
        Quantization.load(tmp_path / "none.json")
