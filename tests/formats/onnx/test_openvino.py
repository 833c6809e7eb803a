"""OpenVINO computes what onnxruntime computes, file by file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnxruntime
import pytest
from benchmarking.onnx_files import dense

import kdcompress
from kdcompress.benchmarking import make_runtime, runtimes_for
from kdcompress.data import Dataset
from kdcompress.errors import ModelError, UsageError
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze

pytest.importorskip("openvino", reason="OpenVINO is not installed (the extra `openvino`)")

EXPORTS = Path(__file__).parents[2] / "data" / "run-0.1" / "exports"
ROUNDING = 0.02  # of the largest logit: integers that are rounded at other places


def logits(runtime: str, path: Path, images: Any, threads: int = 1) -> Any:
    opened = make_runtime(runtime).open(path, threads, images.shape)
    outputs = opened.invoke(opened.prepare(images))
    return np.asarray(outputs[0] if isinstance(outputs, list) else outputs)


def difference(path: Path, images: Any, threads: int = 1) -> float:
    """The largest difference to onnxruntime's logits, as a fraction of the largest logit."""
    expected = logits("onnxruntime", path, images)
    gap = np.abs(logits("openvino", path, images, threads) - expected).max() / np.abs(expected).max()
    return float(gap)


@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-5), ("fp16", 1e-5), ("int8", ROUNDING)])
def test_exports_of_mnist(precision: str, limit: float, digits: Dataset) -> None:
    path = EXPORTS / f"student-{precision}.onnx"
    images = digits.test.images[:200]
    for threads in (1, 2):
        assert difference(path, images, threads) < limit
    single = np.concatenate([logits("openvino", path, images[i : i + 1]) for i in range(20)])
    assert np.abs(single - logits("openvino", path, images)[:20]).max() < 1e-4
    assert make_runtime("openvino").signature(path) == make_runtime("onnxruntime").signature(path)


@pytest.mark.slow
def test_a_mobilenet(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), np.uint8)
    network = freeze(mobilenet(images), (32, 32, 3))
    fp32, int8 = tmp_path / "mobilenet-fp32.onnx", tmp_path / "mobilenet-int8.onnx"
    make_format("onnx").write(network, fp32, "fp32", Options(), None, {})
    assert difference(fp32, images) < 1e-4
    make_format("onnx").write(network, int8, "int8", Options(), images, {})
    expected = as_defined(int8, images)
    ours, theirs = (np.abs(logits(name, int8, images) - expected).mean() for name in ("openvino", "onnxruntime"))
    assert ours < 2 * theirs + 1e-3 * np.abs(expected).max()  # 53 layers pass on what is rounded otherwise


def mobilenet(images: Any) -> Any:
    """A network with random weights whose batch normalization knows the images, so that outputs are no zeros."""
    keras.utils.set_random_seed(0)
    layers, body = keras.layers, keras.applications.MobileNetV2((32, 32, 3), 0.35, include_top=False, weights=None)
    for layer in body.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    parts = [layers.Rescaling(1 / 127.5, -1), body, layers.GlobalAveragePooling2D(), layers.Dense(5)]
    model = keras.Sequential([keras.Input((32, 32, 3)), *parts])
    model(images.astype(np.float32), training=True)
    return model


def as_defined(path: Path, images: Any) -> Any:
    """Logits by onnxruntime without optimizations: operators as the standard defines them, rounded in float32."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images.astype(np.float32)})[0]


def test_it_computes_in_float32_whatever_the_cpu_would_choose() -> None:
    from kdcompress.formats.onnx.runtimes import openvino

    compiled = openvino._compile(EXPORTS / "student-fp32.onnx", 2, (1, 28, 28, 1))
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"
    assert compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE") == 0
    assert (compiled.get_property("NUM_STREAMS"), compiled.get_property("INFERENCE_NUM_THREADS")) == (1, 2)


def test_operators_are_those_that_take_the_time(tmp_path: Path) -> None:
    shares = make_runtime("openvino").operators(
        dense(tmp_path / "a.onnx", width=3000), 1, np.zeros((1, 8, 8, 1), np.uint8)
    )
    assert shares is not None
    name, share = next(iter(shares.items()))
    assert name.startswith("FullyConnected")
    assert share > 0.8


def test_it_is_chosen_by_name_only(tmp_path: Path) -> None:
    path = dense(tmp_path / "a.onnx")
    assert runtimes_for(path) == ["onnxruntime"]
    chosen = kdcompress.bench(path, threads=[1], duration=0.03, runtimes=["onnxruntime", "openvino"])
    assert [model["runtime"] for model in chosen["models"]] == ["onnxruntime", "openvino"]
    assert chosen["comparisons"][0]["speedup"] > 0
    assert chosen["settings"]["runtimes"]["openvino"]["INFERENCE_PRECISION_HINT"] == "f32"


def test_files_that_it_cannot_take(tmp_path: Path) -> None:
    runtime = make_runtime("openvino")
    junk, empty = tmp_path / "junk.onnx", tmp_path / "empty.onnx"
    junk.write_bytes((EXPORTS / "student-fp32.tflite").read_bytes())  # which OpenVINO would open by its content
    with pytest.raises(ModelError, match=r"junk.onnx cannot be opened by OpenVINO"):
        runtime.signature(junk)
    empty.write_bytes(b"")
    with pytest.raises(ModelError, match=r"empty.onnx takes 0 inputs"):
        runtime.signature(empty)
    with pytest.raises(ModelError, match=r"takes 2 inputs \(image .*, image1 .*\)"):
        runtime.signature(dense(tmp_path / "two.onnx", inputs=2))
    free = dense(tmp_path / "free.onnx", sizes=("batch", "height", "width", 1))
    with pytest.raises(UsageError, match=r"images of \?, \?, 1: name the sizes with --input-shape"):
        runtime.signature(free).image_shape(free, None)
    with pytest.raises(ModelError, match=r"cannot be run by OpenVINO on images \(1, 9, 9, 1\)"):
        runtime.open(dense(tmp_path / "a.onnx"), 1, (1, 9, 9, 1))
