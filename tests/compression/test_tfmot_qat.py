"""Integers of students with zeros and clusters, trained by both engines, in the files that are exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from own_tuning import convolutional, kernels, student, tune

from kdcompress.compression.cluster import ClusterStep
from kdcompress.compression.legacy.hybrid import Hybrid
from kdcompress.compression.legacy.qat import TfmotQatStep
from kdcompress.compression.legacy.rounding import wrap_for_rounding
from kdcompress.compression.prune import PruneStep
from kdcompress.compression.qat import QatStep
from kdcompress.data import Samples
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.models import Forward
from kdcompress.quantization import align_pixels, apply_rounding, fold, start_rounding

ENGINES = {"native": QatStep, "tfmot": TfmotQatStep}


def once() -> Any:
    return convolutional(twice=False)


def integers(model: Any, quantization: Any) -> dict[str, np.ndarray]:
    found = {}
    for name, scales in quantization.kernels.items():
        kernel = np.asarray(model.get_layer(name).kernel, np.float64)
        shape = (1, 1, -1, 1) if type(model.get_layer(name)).__name__ == "DepthwiseConv2D" else (-1,)
        steps = kernel / np.reshape(scales, shape)
        assert np.abs(steps - np.rint(steps)).max() < 1e-4
        found[name] = np.rint(steps).astype(int)
    return found


def read_onnx(path: Path) -> list[list[int]]:
    weights = [onnx.numpy_helper.to_array(weight) for weight in onnx.load(path).graph.initializer]
    return sorted(
        np.sort(weight, axis=None).tolist() for weight in weights if weight.dtype == np.int8 and weight.ndim > 1
    )


def read_tflite(path: Path, sizes: set[int]) -> list[list[int]]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter, found = Interpreter(str(path)), []
    for detail in interpreter.get_tensor_details():
        try:
            values = interpreter.get_tensor(detail["index"])
        except ValueError:  # an activation
            continue
        if values.dtype == np.int8 and values.ndim > 1 and values.size in sizes:
            found.append(np.sort(values, axis=None).tolist())
    return sorted(found)


@pytest.mark.parametrize(
    ("build", "steps", "engine"),
    [
        (tiny_models.plain_mlp, ("prune", "cluster"), "tfmot"),
        (once, ("prune", "cluster"), "native"),
        pytest.param(tiny_models.plain_mlp, (), "tfmot", marks=pytest.mark.exhaustive),
        pytest.param(tiny_models.plain_mlp, ("prune", "cluster"), "native", marks=pytest.mark.exhaustive),
        pytest.param(once, ("prune",), "tfmot", marks=pytest.mark.exhaustive),
        pytest.param(once, ("cluster",), "tfmot", marks=pytest.mark.exhaustive),
    ],
)
def test_zeros_and_clusters_are_in_the_integers_of_the_files(
    build: Any, steps: tuple[str, ...], engine: str, small: Samples, tmp_path: Path
) -> None:
    start = student(build())
    for step in steps:
        kind = {"prune": PruneStep, "cluster": ClusterStep}[step]
        start, _ = tune(kind, start, small, tmp_path / step, prune=0.8, cluster=8, epochs=1)
    trained, _ = tune(ENGINES[engine], start, small, tmp_path / "qat", qat=engine, epochs=1)
    found, before = integers(trained.model, trained.quantization), kernels(start.model)
    assert found and max(np.abs(kernel).max() for kernel in found.values()) == 63
    assert trained.facts["qat"]["engine"] == engine
    assert engine == "native" or trained.facts["qat"]["rounded_by_tfmot"]
    for name, kernel in found.items():
        if "prune" in steps and name in start.facts["prune"]["kernels"]:
            assert (kernel[before[name] == 0] == 0).all()
            assert (kernel == 0).sum() >= start.facts["prune"]["kernels"][name]["zeros"]
        if "cluster" in steps and name in start.facts["cluster"]["kernels"]:
            assert len(np.unique(kernel)) <= 8
    rounded = Forward(apply_rounding(trained.model, trained.quantization))(small.images)
    agree = Forward(trained.model)(small.images).argmax(-1) == rounded.argmax(-1)
    assert agree.mean() > 0.8

    network = freeze(trained.model, (28, 28, 1), quantization=trained.quantization)
    expected = sorted(np.sort(kernel, axis=None).tolist() for kernel in found.values())
    for name in ("onnx", "tflite"):
        make_format(name).write(network, tmp_path / name, "int8", Options(), None, {})
    assert read_onnx(tmp_path / "onnx") == expected
    assert read_tflite(tmp_path / "tflite", {len(values) for values in expected}) == expected


@pytest.mark.parametrize("build", [tiny_models.plain_mlp, once])
def test_both_engines_round_alike_at_the_start(build: Any, small: Samples) -> None:
    """Same kernels, 7 bits, and ranges that start from the float model: tfmot's own start at -6 to 6."""
    images = small.images.astype(np.float32)
    rounded = start_rounding(align_pixels(fold(build())), images)
    hybrid = Hybrid(rounded.model, wrap_for_rounding(rounded).replacements)
    variables = list(hybrid.variables)
    hybrid(images, training=True)  # sets the ranges of kernels
    expected, outputs = (np.asarray(network(images, training=False)) for network in (rounded.model, hybrid))
    step = (expected.max() - expected.min()) / 255
    assert np.abs(outputs - expected).max() <= 3 * step
    assert len(Hybrid(rounded.model, hybrid._replacements).variables) == len(variables), "a layer was built again"
