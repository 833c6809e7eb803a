"""A teacher's outputs are read for what they are: the same knowledge in any form gives the same soft targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdcompress.errors import ModelError
from kdcompress.metrics.softmax import softmax
from kdcompress.teachers import are_probabilities, inspect_outputs

RNG = np.random.default_rng(0)
TEN, TWO = RNG.normal(0, 3, (64, 10)).astype("f4"), RNG.normal(0, 2, (64, 2)).astype("f4")
THOUSAND = RNG.normal(0, 2, (64, 1000)).astype("f4")


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-z.astype(np.float64))), np.float32)


def float32_softmax(z: np.ndarray) -> np.ndarray:
    return np.asarray(softmax(z), np.float32)


def bfloat16(values: np.ndarray) -> np.ndarray:
    import ml_dtypes

    return values.astype(ml_dtypes.bfloat16).astype(np.float32)


def bfloat16_softmax(logits: np.ndarray) -> np.ndarray:
    """Every step in bfloat16, the sum in pairs."""
    powers = bfloat16(np.exp(logits - logits.max(axis=-1, keepdims=True)))
    total = powers
    while total.shape[-1] > 1:
        total = np.pad(total, ((0, 0), (0, total.shape[-1] % 2)))
        total = bfloat16(total[..., ::2] + total[..., 1::2])
    return bfloat16(powers / total)


Form = Callable[[np.ndarray], np.ndarray]
# What is made of logits, what it must be read as, and by how much its softmax may be off
FORMS: dict[str, tuple[Form, str, float]] = {
    "logits": (lambda z: z, "logits", 1e-6),
    "log-softmax": (lambda z: np.log(float32_softmax(z)), "logits", 1e-5),
    "softmax": (float32_softmax, "probabilities", 1e-5),
    "float16": (lambda z: float32_softmax(z).astype(np.float16).astype("f4"), "probabilities", 1e-2),
    "bfloat16": (lambda z: bfloat16(float32_softmax(z)), "probabilities", 1e-2),
    # As TensorFlow computes it where it takes no kernel of oneDNN: every step in bfloat16
    "bfloat16 throughout": (bfloat16_softmax, "probabilities", 2e-2),
    "per cent": (lambda z: 100 * float32_softmax(z), "probabilities", 1e-5),
    "clipped": (lambda z: np.clip(float32_softmax(z), 1e-3, 1 - 1e-3), "probabilities", 2e-2),
    "3 decimals": (lambda z: np.round(float32_softmax(z), 3), "probabilities", 2e-2),
    "2 decimals": (lambda z: np.round(float32_softmax(z), 2), "probabilities", 1e-1),
    "8 bits": (lambda z: np.round(float32_softmax(z) * 255) / np.float32(255), "probabilities", 5e-2),
    "sigmoids": (sigmoid, "sigmoids", 1e-4),
    "float16 sigmoids": (
        lambda z: sigmoid(z).astype(np.float16).astype("f4"),
        "sigmoids",
        0.15,
    ),  # of those over 0.999 little is left
    "sigmoids in per cent": (lambda z: 100 * sigmoid(z), "sigmoids", 1e-4),
}


@pytest.mark.parametrize("logits", [TEN, TWO], ids=["ten classes", "two classes"])
@pytest.mark.parametrize("form", FORMS)
def test_the_same_knowledge_in_any_form_gives_the_same_softmax(form: str, logits: np.ndarray) -> None:
    make, kind, tolerance = FORMS[form]
    outputs = make(logits)
    reading = inspect_outputs(outputs)
    assert (reading.kind, reading.percent) == (kind, "per cent" in form)
    assert np.abs(softmax(reading.to_logits(outputs)) - softmax(logits)).max() < tolerance


@pytest.mark.parametrize("form", [name for name in FORMS if FORMS[name][1] == "probabilities"])
def test_classes_picked_from_more_are_read_by_the_whole_row(form: str) -> None:
    make, kind, _ = FORMS[form]
    outputs = make(THOUSAND)
    reading = inspect_outputs(outputs)
    assert reading.kind == kind
    if "decimal" not in form and "bits" not in form and form != "clipped":  # which lose most of a thousand classes
        picked = softmax(reading.to_logits(outputs[:, :10]))
        assert np.abs(picked - softmax(THOUSAND[:, :10])).max() < 2e-2


@pytest.mark.parametrize(
    "outputs",
    [
        TEN,
        np.abs(TEN),  # logits behind a ReLU, over 1
        np.maximum(TEN, 0),
        40 * np.abs(TEN) / np.abs(TEN).max(),
        np.zeros((64, 10), "f4"),
        np.full((64, 10), 0.5, "f4"),
        TEN / np.linalg.norm(TEN, axis=-1, keepdims=True),  # cosines
        np.full((4, 10), np.nan, "f4"),
    ],
    ids=["plain", "abs", "relu", "up to 40", "zeros", "constant", "cosines", "nan"],
)
def test_what_is_no_probability_stays_as_it_is(outputs: np.ndarray) -> None:
    reading = inspect_outputs(outputs)
    assert reading.kind == "logits"
    assert reading.note is None
    assert np.array_equal(reading.to_logits(outputs), outputs, equal_nan=True)


def test_a_certain_softmax_keeps_its_certainty() -> None:
    """One-hot rows are on every grid: none may be taken for their rounding."""
    outputs = np.eye(10, dtype="f4")[np.arange(64) % 10]
    reading = inspect_outputs(outputs)
    assert reading.kind == "probabilities"
    assert not reading.rounded
    assert reading.to_logits(outputs).min() < -80


def test_rounded_zeros_are_half_a_step() -> None:
    outputs = np.round(float32_softmax(TEN), 3)
    reading = inspect_outputs(outputs)
    assert reading.floor == pytest.approx(5e-4)
    assert reading.to_logits(outputs).min() == pytest.approx(np.log(5e-4), abs=1e-4)
    assert reading.note is not None
    assert "rounded to steps of 0.001" in reading.note


def test_the_user_s_word_is_taken_unless_it_cannot_be() -> None:
    assert inspect_outputs(sigmoid(TEN), kind="probabilities").kind == "probabilities"
    assert inspect_outputs(float32_softmax(TEN), kind="logits").kind == "logits"
    assert inspect_outputs(float32_softmax(TWO), kind="sigmoids").kind == "sigmoids"
    with pytest.raises(ModelError, match=r"teacher.outputs = 'sigmoids', but teacher x gives numbers from -\d"):
        inspect_outputs(TEN, kind="sigmoids", description="teacher x")


def test_how_outputs_are_read_is_part_of_what_cached_logits_depend_on() -> None:
    identities = [inspect_outputs(make(TEN)).identity for make, _, _ in FORMS.values()]
    assert identities[:3] == ["logits", "logits", "probabilities"]
    assert {"probabilities percent", "probabilities 0.0005", "probabilities 0.005", "sigmoids"} < set(identities)


def test_students_and_predictions_ask_for_a_softmax_alone() -> None:
    assert are_probabilities(float32_softmax(TEN))
    assert not are_probabilities(sigmoid(TEN))
    assert not are_probabilities(100 * float32_softmax(TEN))


def test_one_output_for_two_classes_is_the_second_class(tmp_path: Path, digits: Any) -> None:
    import keras

    from kdcompress.config.sections import SingleTeacherSection
    from kdcompress.teachers import OutputSpec, check_output_count, open_teacher

    keras.utils.set_random_seed(0)
    layers = keras.layers
    for activation in ("sigmoid", None):
        network = keras.Sequential([keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Flatten()])
        network.add(layers.Dense(1, activation=activation))
        path = tmp_path / f"{activation}.keras"
        network.save(path)
        section = SingleTeacherSection(model=str(path))
        spec = OutputSpec((28, 28, 1), ("no", "yes"))
        teacher = open_teacher(path, section, spec, "teacher one")
        check_output_count(teacher, spec)
        some = digits.test.take(np.arange(70))
        teacher.set_reading(section, some)
        outputs = np.asarray(network(some.images.astype(np.float32)))[:, 0]
        yes = outputs if activation else sigmoid(outputs)
        assert softmax(teacher.predict(some))[:, 1] == pytest.approx(yes, abs=1e-5)
        assert "has one output for two classes: it is taken as the logit of 'yes'" in teacher.notes(spec.classes)
        named = section.model_copy(
            update={"preprocessing": section.preprocessing.model_copy(update={"classes": ("yes", "no")})}
        )
        other = open_teacher(path, named, spec, "teacher one")
        check_output_count(other, spec)
        other.set_reading(named, some)
        assert softmax(other.predict(some))[:, 0] == pytest.approx(yes, abs=1e-5)


def test_a_teacher_that_is_right_and_nearly_uniform_is_warned_about(digits: Any) -> None:
    """Logits divided by a large number: right everywhere, and no soft target says so."""
    from kdcompress.teachers._check import check_on_samples

    class Cosine:
        description, uses_images = "teacher cosine", False

        def predict(self, samples: Any) -> np.ndarray:
            return np.eye(10, dtype="f4")[samples.labels]

    warning = check_on_samples(Cosine(), digits.train, digits.classes, lambda logits: logits)  # type: ignore[arg-type]
    assert warning is not None
    assert "is right on 100.0 % of 200 training images, but its softmax gives these answers a probability" in warning
    assert "no more than 0.23 on average (chance: 0.10): are its outputs logits?" in warning
