"""Every kind of teacher file in every form of output gives the same soft targets."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import other_models
import pytest
from keras import layers, ops

import kdcompress
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import Dataset
from kdcompress.errors import ModelError
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._network import freeze
from kdcompress.metrics.softmax import softmax
from kdcompress.pipeline.opening import open_single_teacher
from kdcompress.teachers import OutputSpec, Teacher, check_output_count, combine_logits

pytestmark = pytest.mark.slow
Form = Callable[[Any], Any]
SPEC = OutputSpec((28, 28, 1), tuple("0123456789"))
N = 100
FORMS: dict[str, tuple[Form, float]] = {
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


@kind
def function(model: Any, folder: Path) -> Path:
    """A module with a function that returns the model; modules of earlier tests stay imported under other names."""
    name = f"made_{abs(hash(folder))}"
    model.save(folder / "weights.keras")
    (folder / f"{name}.py").write_text(
        f"import keras\n\n\ndef teacher():\n    return keras.saving.load_model({str(folder / 'weights.keras')!r})\n"
    )
    sys.path.insert(0, str(folder))
    return Path(f"{name}:teacher")


def h5_file(model: Any, folder: Path) -> Path:
    """Keras loads layers from such files, and no operations."""
    model.save(folder / "t.h5")
    return folder / "t.h5"


# The same forms by layers
H5_FORMS: dict[str, tuple[Form, float]] = {
    "logits": (lambda z: z, 1e-4),
    "log-softmax": (layers.Activation("log_softmax"), 1e-4),
    "softmax": (layers.Softmax(), 1e-4),
    "float16": (layers.Activation("softmax", dtype="float16"), 1e-2),
    "clipped": (lambda z: layers.ReLU(max_value=0.999)(layers.Softmax()(z)), 2e-2),
    "bfloat16": (layers.Activation("softmax", dtype="bfloat16"), 1e-2),
    "per cent": (lambda z: layers.Rescaling(100)(layers.Softmax()(z)), 1e-4),
    "sigmoids": (layers.Activation("sigmoid"), 2e-3),
}


@pytest.fixture(autouse=True)
def path_of_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `function` adds is removed again."""
    monkeypatch.setattr(sys, "path", [*sys.path])


def make_teacher(network: Any, form: Form, name: str, digits: Dataset, folder: Path) -> Path:
    """The file of a teacher with outputs of a form."""
    folder.mkdir(exist_ok=True)
    image = keras.Input((28, 28, 1))
    samples = digits.test.take(np.arange(N))
    np.savez(folder / "digits.npz", images=samples.images, ids=samples.ids)
    model = keras.Model(image, form(network(layers.Rescaling(1 / 255)(image))))
    return (KINDS | {"h5_file": h5_file})[name](model, folder)


def open_and_read(path: Path, digits: Dataset) -> Teacher:
    """The teacher, with its outputs read for what they are."""
    section = SingleTeacherSection(model=str(path))
    teacher = open_single_teacher(section, SPEC)
    check_output_count(teacher, SPEC)
    teacher.set_reading(section, digits.test.take(np.arange(N)))
    return teacher


def known_softmax(network: Any, digits: Dataset) -> np.ndarray:
    return softmax(np.asarray(network(digits.test.images[:N] / np.float32(255))))


# How outputs are read does not depend on the kind of file: each kind has every third form, each form two kinds
PAIRS = [
    (name, form) if (row + column) % 3 == 0 else pytest.param(name, form, marks=pytest.mark.exhaustive)
    for row, name in enumerate(KINDS)
    for column, form in enumerate(FORMS)
]


@pytest.mark.parametrize(("name", "form"), [*PAIRS, *[("h5_file", form) for form in H5_FORMS]])
def test_every_kind_in_every_form(name: str, form: str, network: Any, digits: Dataset, tmp_path: Path) -> None:
    make, tolerance = (H5_FORMS if name == "h5_file" else FORMS)[form]
    teacher = open_and_read(make_teacher(network, make, name, digits, tmp_path), digits)
    outputs = teacher.predict(digits.test.take(np.arange(N)))
    assert np.abs(softmax(outputs) - known_softmax(network, digits)).max() < tolerance


def test_an_h5_file_with_operations_is_refused_with_the_way_on(network: Any, digits: Dataset, tmp_path: Path) -> None:
    path = make_teacher(network, FORMS["clipped"][0], "h5_file", digits, tmp_path)
    with pytest.raises(
        ModelError, match=r"Keras 3 loads layers from \.h5 files, but no operations .*: save it as \.keras"
    ):
        open_and_read(path, digits)


@pytest.mark.parametrize("combine", ["probabilities", "logits"])
def test_members_in_different_forms_are_averaged_as_what_they_are(
    combine: Literal["probabilities", "logits"], network: Any, digits: Dataset, tmp_path: Path
) -> None:
    """Each form with a second member of other knowledge, in the next form and of the next kind."""
    other = keras.models.clone_model(network)
    other.set_weights([weights * np.float32(0.7) for weights in network.get_weights()])
    logits = [np.asarray(model(digits.test.images[:N] / np.float32(255))) for model in (network, other)]
    expected = softmax(combine_logits(logits, [1.0, 3.0], combine))
    # A mean of logits shows what rounding and clipping lost of the least probabilities
    forms = [form for form in FORMS if combine == "probabilities" or FORMS[form][1] < 5e-3]
    members = list(itertools.islice(zip(itertools.cycle(KINDS), itertools.cycle(forms)), 2 * len(forms) + 1))
    for number, pair in enumerate(itertools.pairwise(members)):
        outputs = []
        for model, (name, form) in zip((network, other), pair, strict=True):
            path = make_teacher(model, FORMS[form][0], name, digits, tmp_path / f"{number}-{name}")
            outputs.append(open_and_read(path, digits).predict(digits.test.take(np.arange(N))))
        tolerance = max(FORMS[form][1] for _, form in pair)
        assert np.abs(softmax(combine_logits(outputs, [1.0, 3.0], combine)) - expected).max() < 2 * tolerance, pair


def calibration_error(teacher: dict[str, Any], out: Path) -> float:
    """The teacher's calibration error on test as `verify` finds it, after a short run."""
    recipe: dict[str, Any] = {
        "name": "forms",
        "data": {"name": "mnist", "source": "embedded"},
        "teacher": teacher,
        "student": {"model": "tiny_models:plain"},
        "split": {"limit": 200},
        "training": {"epochs": 1},
        "baseline": False,
    }
    verdict = kdcompress.verify(kdcompress.distill(recipe, out=out))
    assert verdict["passed"]
    return float(verdict["teacher"]["metrics"]["ece"])


@pytest.fixture(scope="module")
def known_error(network: Any, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The calibration error of the network that gives logits."""
    folder = tmp_path_factory.mktemp("known")
    path = make_teacher(network, FORMS["logits"][0], "keras_file", digits, folder)
    return calibration_error({"model": str(path)}, folder / "run")


RUNS = [
    ("keras_file", "per cent"),
    ("saved_model", "sigmoids"),
    *(
        pytest.param(*pair, marks=pytest.mark.exhaustive)
        for pair in (
            ("tflite", "softmax"), ("onnx", "float16"), ("function", "log-softmax"), ("h5_file", "per cent"),
            ("h5_file", "sigmoids"),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "form"), RUNS)
def test_verify_finds_the_same_calibration_error(
    name: str, form: str, network: Any, digits: Dataset, known_error: float, tmp_path: Path
) -> None:
    make, tolerance = (H5_FORMS if name == "h5_file" else FORMS)[form]
    path = make_teacher(network, make, name, digits, tmp_path)
    assert calibration_error({"model": str(path)}, tmp_path / "run") == pytest.approx(known_error, abs=tolerance)


def test_verify_finds_the_same_calibration_error_of_an_ensemble(
    network: Any, digits: Dataset, known_error: float, tmp_path: Path
) -> None:
    """Members of one knowledge in three forms know what each of them does."""
    members = [
        {"model": str(make_teacher(network, FORMS[form][0], name, digits, tmp_path / form)), "weight": weight}
        for weight, (name, form) in enumerate((("onnx", "sigmoids"), ("function", "per cent"), ("tflite", "logits")), 1)
    ]
    assert calibration_error({"members": members}, tmp_path / "run") == pytest.approx(known_error, abs=2e-3)
