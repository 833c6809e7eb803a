"""Every kind of teacher file in every form of output gives the same soft targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import other_models
import pytest
from keras import layers, ops

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import Dataset
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.metrics.softmax import softmax
from kdcompress.teachers import OutputSpec, Teacher, check_output_count, open_teacher

pytestmark = pytest.mark.slow
SPEC = OutputSpec((28, 28, 1), tuple("0123456789"))
N = 100
FORMS: dict[str, tuple[Callable[[Any], Any], float]] = {
    "logits": (lambda z: z, 1e-4),
    "log-softmax": (ops.log_softmax, 1e-4),
    "softmax": (ops.softmax, 1e-4),
    "float16": (lambda z: ops.cast(ops.cast(ops.softmax(z), "float16"), "float32"), 1e-2),
    "clipped": (lambda z: ops.clip(ops.softmax(z), 1e-3, 1 - 1e-3), 2e-2),
    "3 decimals": (lambda z: ops.round(ops.softmax(z) * 1000) / 1000, 2e-2),
    "per cent": (lambda z: 100 * ops.softmax(z), 1e-4),
    "sigmoids": (ops.sigmoid, 2e-3),
}
KINDS: dict[str, Callable[[Any, Path], Path]] = {}


def kind(function: Callable[[Any, Path], Path]) -> Callable[[Any, Path], Path]:
    KINDS[function.__name__] = function
    return function


@kind
def keras_file(model: Any, folder: Path) -> Path:
    model.save(folder / "t.keras")
    return folder / "t.keras"


@kind
def saved_model(model: Any, folder: Path) -> Path:
    return other_models.saved_model(model, folder / "t")


@kind
def tflite(model: Any, folder: Path) -> Path:
    return other_models.tflite_file(model, folder / "t.tflite")


@kind
def onnx(model: Any, folder: Path) -> Path:
    path = folder / "t.onnx"
    make_format("onnx").write(freeze(model, (28, 28, 1)), path, "fp32", Options(), None, {})
    return path


@kind
def logits_file(model: Any, folder: Path) -> Path:
    digits = np.load(folder / "digits.npz")
    np.savez(folder / "t.npz", logits=np.asarray(model(digits["images"].astype("f4"))), ids=digits["ids"])
    return folder / "t.npz"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_in_every_form(name: str, form: str, network: Any, digits: Dataset, tmp_path: Path) -> None:
    make, tolerance = FORMS[form]
    image = keras.Input((28, 28, 1))
    logits = network(layers.Rescaling(1 / 255)(image))
    some = digits.test.take(np.arange(N))
    np.savez(tmp_path / "digits.npz", images=some.images, ids=some.ids)
    path = KINDS[name](keras.Model(image, make(logits)), tmp_path)
    section = SingleTeacherSection(model=str(path))
    teacher: Teacher = open_teacher(path, section, SPEC, f"teacher {path.name}")
    check_output_count(teacher, SPEC)
    teacher.set_reading(section, some)
    expected = softmax(np.asarray(network(some.images / np.float32(255))))
    assert np.abs(softmax(teacher.predict(some)) - expected).max() < tolerance
