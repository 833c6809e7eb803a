"""What is timed of a teacher is what the student learned from: one output, with constants for other inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import Recorder
from keras import layers
from tiny_runs import distill

import kdcompress
from kdcompress.benchmarking import _bench, make_runtime

SHAPE = (28, 28, 1)
FORMAT_OF = {"keras": "onnx", "saved": "onnx", "onnx": "onnx", "tflite": "tflite"}
RUNTIME_OF = {"onnx": "onnxruntime", "tflite": "litert"}


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bench, "measure_fresh", lambda *args: {"load_ms": 1.0, "first_ms": 1.0, "peak_rss_mb": 1.0})


def branches(temperature: bool) -> Any:
    """A model whose second output costs far more than the first, and that may divide by a second input."""
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE, name="image")
    shared = layers.Conv2D(4, 3, strides=2, activation="relu", name="shared")(layers.Rescaling(1 / 255)(image))
    small = layers.Dense(10, bias_initializer="ones", name="small")(layers.Flatten()(shared))
    wide = layers.Conv2D(96, 7, padding="same", name="wide")(layers.UpSampling2D(4)(shared))
    large = layers.Dense(10, name="large")(layers.GlobalAveragePooling2D()(wide))
    if not temperature:
        return keras.Model(image, {"small": small, "large": large})
    divisor = keras.Input((1,), name="temperature")
    return keras.Model([image, divisor], {"small": small / divisor, "large": large * divisor})


def write(kind: str, folder: Path, temperature: bool) -> tuple[Path, dict[str, Any]]:
    """The model as a file of a kind, and the settings of a teacher that uses its small output."""
    import tf2onnx

    whole = branches(temperature)
    specs = [tf.TensorSpec((None, *SHAPE), tf.float32, name="image")]
    specs += [tf.TensorSpec((None, 1), tf.float32, name="temperature")] if temperature else []
    settings: dict[str, Any] = {"teacher.output": "small"}
    if temperature:
        settings |= {"teacher.input": "image", "teacher.constants": {"temperature": 2.0}}
    if kind == "keras":
        whole.save(folder / "m.keras")
        return folder / "m.keras", settings

    def call(image: Any, temperature: Any = None) -> Any:
        return whole(image if temperature is None else [image, temperature], training=False)

    if kind == "onnx":
        function = tf.function(call, input_signature=specs)
        tf2onnx.convert.from_function(function, specs, opset=17, output_path=str(folder / "m.onnx"))
        return folder / "m.onnx", settings
    archive = keras.export.ExportArchive()
    archive.track(whole)
    archive.add_endpoint("serve", call, specs)
    archive.write_out(str(folder / "saved"), verbose=False)
    if kind == "saved":
        return folder / "saved", settings
    (folder / "m.tflite").write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert())
    interpreter = tf.lite.Interpreter(str(folder / "m.tflite"))
    names = [value["name"] for value in interpreter.get_input_details()]
    image = next(name for name in names if "image" in name)
    constants = {name: 2.0 for name in names if name != image}
    settings = {"teacher.output": small_output(interpreter, image, constants), "teacher.input": image}
    return folder / "m.tflite", {**settings, **({"teacher.constants": constants} if constants else {})}


def small_output(interpreter: Any, image: str, constants: dict[str, float]) -> str:
    """Name of the output whose biases are one: on a blank image it is 1, or 1 / 2."""
    interpreter.allocate_tensors()
    for value in interpreter.get_input_details():
        interpreter.set_tensor(value["index"], np.full(value["shape"], constants.get(value["name"], 0.0), np.float32))
    interpreter.invoke()
    outputs = {value["name"]: interpreter.get_tensor(value["index"]) for value in interpreter.get_output_details()}
    return next(name for name, value in outputs.items() if abs(value).max() > 0.1)


def macs_of(path: Path) -> int:
    from kdcompress.verification.costs import cost_of_file

    return int(cost_of_file(path, SHAPE).macs or 0)


@pytest.mark.parametrize("temperature", [False, True])
@pytest.mark.parametrize("kind", FORMAT_OF)
def test_the_part_that_is_used_is_timed(kind: str, temperature: bool, tmp_path: Path, recorder: Recorder) -> None:
    path, settings = write(kind, tmp_path, temperature)
    run = distill(tmp_path / "run", epochs=1, limit=200, settings={**settings, "teacher.model": str(path)})
    kdcompress.export(run, FORMAT_OF[kind], parity_samples=50)
    result = kdcompress.bench(run, threads=[1], duration=0.03, progress=recorder)
    assert result["skipped"] == []
    timed = Path(result["models"][0]["path"])
    assert result["models"][0]["name"] == "teacher"
    verified = kdcompress.verify(run)
    expected = 13 * 13 * 4 * 9 + 13 * 13 * 4 * 10
    assert macs_of(timed) == verified["teacher"]["macs"] == expected
    images = np.random.default_rng(0).integers(0, 256, (2, *SHAPE)).astype(np.float32)
    inputs = [images, np.full((2, 1), 2.0, np.float32)] if temperature else images
    session = make_runtime(RUNTIME_OF[FORMAT_OF[kind]]).open(timed, 1, images.shape)
    outputs = session.invoke(session.prepare(images))
    answers = np.asarray(outputs[0] if isinstance(outputs, list) else outputs)
    assert answers == pytest.approx(np.asarray(branches(temperature)(inputs)["small"]), abs=1e-4)
    noted = [note for note in recorder.notes if "the part of it that the student learned from" in note]
    assert len(noted) == (kind in ("onnx", "tflite"))


def classifier(policy: str, head: int = 10) -> Any:
    """A classifier of digits in a dtype policy; one output is a sigmoid."""
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(3)
    image = keras.Input(SHAPE)
    hidden = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(image))
    hidden = layers.BatchNormalization()(layers.DepthwiseConv2D(3)(hidden))
    activation = "sigmoid" if head == 1 else None
    model = keras.Model(image, layers.Dense(head, activation=activation)(layers.Flatten()(hidden)))
    keras.config.set_dtype_policy("float32")
    return model


@pytest.mark.parametrize("kind", ["keras", "saved"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64", "bfloat16"])
def test_a_teacher_of_another_policy_is_timed_in_float32(
    policy: str, kind: str, tmp_path: Path, recorder: Recorder
) -> None:
    model, path = classifier(policy), tmp_path / ("m.keras" if kind == "keras" else "saved")
    model.save(path) if kind == "keras" else model.export(str(path), verbose=False)
    run = distill(tmp_path / "run", epochs=1, limit=200, settings={"teacher.model": str(path), "baseline": False})
    kdcompress.export(run, ["onnx", "tflite"], parity_samples=50)
    result = kdcompress.bench(run, threads=[1], duration=0.03, progress=recorder)
    assert result["skipped"] == []
    assert [m["runtime"] for m in result["models"] if m["name"] == "teacher"] == ["onnxruntime", "litert"]
    noted = [note for note in recorder.notes if "computes in" in note]
    assert len(noted) == 1
    shown = policy if kind == "keras" else policy.removeprefix("mixed_")
    assert f"computes in {shown}: exported from the same weights in float32, and compared with that" in noted[0]
    timed = next(Path(m["path"]) for m in result["models"] if m["runtime"] == "onnxruntime")
    images = np.random.default_rng(0).integers(0, 256, (4, *SHAPE)).astype(np.float32)
    session = make_runtime("onnxruntime").open(timed, 1, images.shape)
    expected = classifier("float32")
    for weight, source in zip(expected.weights, model.weights, strict=True):
        weight.assign(np.asarray(source).astype(np.float32))
    assert session.invoke(session.prepare(images))[0] == pytest.approx(np.asarray(expected(images)), abs=1e-5)
    if kind == "keras":
        kdcompress.bench(run, threads=[1], duration=0.03, progress=(again := Recorder()))
        assert any(f"computes in {shown}: timed is its export in float32" in note for note in again.notes)


def transformer() -> Any:
    """A small vision transformer."""
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    x = layers.Reshape((16, 16))(layers.Conv2D(16, 7, strides=7)(layers.Rescaling(1 / 255)(image)))
    normalized = layers.LayerNormalization(epsilon=1e-6)(x)
    x = x + layers.MultiHeadAttention(2, 8)(normalized, normalized)
    x = x + layers.Dense(16)(layers.Dense(64, activation="gelu")(layers.LayerNormalization(epsilon=1e-6)(x)))
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))))


def test_a_transformer_is_timed_and_a_recurrent_teacher_is_told_why_not(tmp_path: Path) -> None:
    image = keras.Input(SHAPE)
    recurrent = keras.Model(image, layers.Dense(10)(layers.LSTM(4)(layers.Reshape((28, 28))(image))))
    timed = {}
    for name, teacher in (("transformer", transformer()), ("recurrent", recurrent)):
        teacher.save(tmp_path / f"{name}.keras")
        settings = {"teacher.model": str(tmp_path / f"{name}.keras"), "baseline": False}
        run = distill(tmp_path / name, epochs=1, limit=100, settings=settings)
        kdcompress.export(run, ["onnx", "tflite"], parity_samples=20)
        timed[name] = kdcompress.bench(run, threads=[1], duration=0.03)
    runtimes = [m["runtime"] for m in timed["transformer"]["models"] if m["name"] == "teacher"]
    assert (runtimes, timed["transformer"]["skipped"]) == (["onnxruntime", "litert"], [])
    skipped = timed["recurrent"]["skipped"]
    assert any(text.startswith("the teacher on litert: it has no file to time there (") for text in skipped)
    assert all("\n" not in text and len(text) < 400 for text in skipped)
