"""LiteRT's interpreter, its CompiledModel, and the profiler of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import other_models
import pytest

import kdcompress
from kdcompress.benchmarking import make_runtime, runtimes_for
from kdcompress.data import Dataset
from kdcompress.errors import MissingExtraError, ModelError
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.formats.tflite.profiler import operator_shares, parse_summary

EXPORTS = Path(__file__).parents[2] / "data" / "run-0.1" / "exports"
pytest.importorskip("ai_edge_litert.cpu_options", reason="ai-edge-litert is older than 2.2")


def outputs(runtime: str, path: Path, images: Any, threads: int = 1) -> Any:
    opened = make_runtime(runtime).open(path, threads, images.shape)
    return opened.invoke(opened.prepare(images))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "dynamic", "int8"])
def test_a_compiled_model_computes_what_the_interpreter_does(precision: str, digits: Dataset) -> None:
    path, images = EXPORTS / f"student-{precision}.tflite", digits.test.images
    for n, threads in ((1, 1), (5, 2)):
        expected = outputs("litert", path, images[:n], threads)
        found = outputs("litert-compiled", path, images[:n], threads)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(found, expected)
    assert make_runtime("litert-compiled").signature(path) == make_runtime("litert").signature(path)


def test_a_file_without_signatures_is_run_as_well(tmp_path: Path, digits: Dataset) -> None:
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(EXPORTS / "student-fp32.tflite"))
    model.signatureDefs = None
    path = tmp_path / "bare.tflite"
    path.write_bytes(flatbuffer_utils.convert_object_to_bytearray(model))
    images = digits.test.images[:3]
    np.testing.assert_array_equal(outputs("litert-compiled", path, images), outputs("litert", path, images))
    assert make_runtime("litert").operators(path, 1, images)


def test_a_file_that_computes_its_shapes_is_refused_at_other_batch_sizes(tmp_path: Path, network: Any) -> None:
    path = other_models.tflite_file(network, tmp_path / "other.tflite")  # as TensorFlow's converter writes Flatten
    images = np.random.default_rng(0).integers(0, 256, (4, 28, 28, 1), np.uint8)
    expected = outputs("litert", path, images[:1])
    np.testing.assert_array_equal(outputs("litert-compiled", path, images[:1]), expected)
    with pytest.raises(ModelError, match=r"keeps that of batch 1, got 4: time it with --runtime litert"):
        make_runtime("litert-compiled").open(path, 1, images.shape)
    assert make_runtime("litert").operators(path, 1, images[:1])
    assert make_runtime("litert").operators(path, 1, images) is None  # LiteRT ends that process, and not this one


def test_the_interpreter_stays_the_default() -> None:
    path = EXPORTS / "student-int8.tflite"
    assert runtimes_for(path) == ["litert"]
    result = kdcompress.bench(path, threads=[1], duration=0.03, runtimes=["litert", "litert-compiled"])
    assert [model["runtime"] for model in result["models"]] == ["litert", "litert-compiled"]


def test_what_a_compiled_model_cannot_be_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    junk = tmp_path / "junk.tflite"
    junk.write_bytes(b"junk")
    with pytest.raises(ModelError, match=r"junk.tflite cannot be opened by LiteRT"):
        make_runtime("litert-compiled").open(junk, 1, (1, 28, 28, 1))
    with pytest.raises(ModelError, match=r"cannot be run by LiteRT on images \(1, 5\)"):
        make_runtime("litert-compiled").open(EXPORTS / "student-fp32.tflite", 1, (1, 5))

    from ai_edge_litert import compiled_model

    monkeypatch.delattr(compiled_model, "CpuOptions")  # as in version 2.1
    with pytest.raises(MissingExtraError, match=r"litert-compiled needs ai-edge-litert 2.2 or later: pip install"):
        make_runtime("litert-compiled").open(EXPORTS / "student-fp32.tflite", 1, (1, 28, 28, 1))


@pytest.fixture(scope="module")
def convolutions() -> Any:
    """Images of 32x32 through a convolution that takes nearly all of the time, and a dense layer."""
    layers = keras.layers
    parts = [layers.Conv2D(8, 3), layers.Conv2D(64, 7), layers.Flatten(), layers.Dense(5)]
    return freeze(keras.Sequential([keras.Input((32, 32, 3)), *parts]), (32, 32, 3))


@pytest.mark.parametrize(("precision", "kernel"), [("fp32", "F32"), ("int8", "QC8")])
def test_operators_are_those_that_take_the_time(precision: str, kernel: str, convolutions: Any, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), np.uint8)
    path = tmp_path / "model.tflite"
    calibration = images if precision == "int8" else None
    make_format("tflite").write(convolutions, path, precision, Options(), calibration, {})
    for runtime in ("litert", "litert-compiled"):
        shares = make_runtime(runtime).operators(path, 1, images)  # one thread: none waits for another
        assert shares is not None
        name, share = next(iter(shares.items()))
        assert name.startswith(f"Convolution (NHWC, {kernel})")
        assert share > 0.8
        assert sum(shares.values()) == pytest.approx(1)


def test_a_profiler_that_fails_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "kdcompress")
    assert operator_shares(Path("missing.tflite"), 1, np.zeros((1, 28, 28, 1), np.float32)) is None
    assert "LiteRT's profiler fails (exit 1): RuntimeError: LiteRtCreateModelFromFile gives status" in caplog.text


def test_the_table_by_type_is_read_and_no_other() -> None:
    columns = "   [Node type]    [count]   [avg ms]    [avg %]    [cdf %]   [mem KB] [times called]\n"
    before = (
        "==== Run Order ====\n     Delegate/Other      0.000      0.091      0.096    19.130%    19.130% 0.0 20 x\n"
    )
    rows = (
        "     Delegate/Convolution (NHWC, QC8) IGEMM          2      0.219    75.000%    75.000%      0.000    40\n"
        "                          DEPTHWISE_CONV_2D         15      0.292    15.000%    90.000%      0.000   300\n"
        "               Delegate/Static Reshape (NC)          3      0.000     0.000%   100.000%      0.000    60\n"
    )
    after = "\n==== Delegate Statistics ====\nDelegate/Convolution (NHWC, QC8) IGEMM     40  219.38   75  672   8775\n"
    text = f"{before}==== Summary by node type ====\n{columns}{rows}{after}"
    assert parse_summary(text) == {"Convolution (NHWC, QC8) IGEMM": 0.75 / 0.9, "DEPTHWISE_CONV_2D": 0.15 / 0.9}
    assert parse_summary(before) is None
    assert parse_summary(text.replace("75.000%", "0.000%").replace("15.000%", "0.000%")) is None
