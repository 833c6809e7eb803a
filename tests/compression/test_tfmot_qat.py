"""Quantization-aware training by tensorflow-model-optimization, after zeros and clusters: integers of the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from own_tuning import convolutional, kernels, student, tune

from kdcompress.compression.cluster import ClusterStep
from kdcompress.compression.legacy.qat import TfmotQatStep
from kdcompress.compression.prune import PruneStep
from kdcompress.data import Samples
from kdcompress.errors import RecipeError
from kdcompress.models import Forward
from kdcompress.quantization import apply_rounding


def integers(model: Any, quantization: Any) -> dict[str, np.ndarray]:
    found = {}
    for name, scales in quantization.kernels.items():
        kernel = np.asarray(model.get_layer(name).kernel, np.float64)
        shape = (1, 1, -1, 1) if type(model.get_layer(name)).__name__ == "DepthwiseConv2D" else (-1,)
        steps = kernel / np.reshape(scales, shape)
        assert np.abs(steps - np.rint(steps)).max() < 1e-4
        found[name] = np.rint(steps).astype(int)
    return found


@pytest.mark.parametrize(
    ("build", "steps"),
    [
        (tiny_models.plain_mlp, ()),
        (tiny_models.plain_mlp, ("prune", "cluster")),
        (convolutional, ("prune",)),
        (convolutional, ("cluster",)),
    ],
)
def test_zeros_and_clusters_survive_in_the_integers(
    build: Any, steps: tuple[str, ...], small: Samples, tmp_path: Path
) -> None:
    start = student(build())
    for step in steps:
        kind = {"prune": PruneStep, "cluster": ClusterStep}[step]
        start, _ = tune(kind, start, small, tmp_path / step, prune=0.8, cluster=8, epochs=1)
    trained, _ = tune(TfmotQatStep, start, small, tmp_path / "qat", qat="tfmot", epochs=1)
    found, before = integers(trained.model, trained.quantization), kernels(start.model)
    assert found and max(np.abs(kernel).max() for kernel in found.values()) == 63
    assert trained.facts["qat"]["rounded_by_tfmot"]
    for name, kernel in found.items():
        if "prune" in steps and name in start.facts["prune"]["kernels"]:
            assert (kernel[before[name] == 0] == 0).all()
            assert (kernel == 0).sum() >= start.facts["prune"]["kernels"][name]["zeros"]
        if "cluster" in steps and name in start.facts["cluster"]["kernels"]:
            assert len(np.unique(kernel)) <= 8
    rounded = Forward(apply_rounding(trained.model, trained.quantization))(small.images)
    agree = Forward(trained.model)(small.images).argmax(-1) == rounded.argmax(-1)
    assert agree.mean() > 0.8


def test_what_is_quantized_is_not_quantized_again(small: Samples, tmp_path: Path) -> None:
    trained, _ = tune(TfmotQatStep, student(tiny_models.plain_mlp()), small, tmp_path, qat="tfmot", epochs=1)
    with pytest.raises(RecipeError, match="got qat after qat: the integers are trained already"):
        tune(TfmotQatStep, trained, small, tmp_path, qat="tfmot", epochs=1)
