"""MNIST in Hinton, Vinyals and Dean 2015, section 3: 1,200 units teach 800, also of a digit that these never see."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from literature_runs import Study, dataset_facts, test_errors
from numpy.typing import NDArray
from without_threes import MISSING

TEACHER_EPOCHS, EPOCHS = 160, 30
SHORTER = LONGER = 4  # how many times, to see whether trainings are at their end
TEMPERATURE, ALPHA = 20.0, 0.9
PUBLISHED = {"teacher": 67, "student alone": 146, "KD": 74}
PUBLISHED_MISSING = {"before": (206, 133), "corrected": (109, 14)}
"""Errors among the 10,000 test images, and those on the 1,010 threes among them."""
BIASES = np.arange(0.0, 15.05, 0.1)


def large() -> Any:
    """Two layers of 1,200 units with dropout and limited weights: pixels of 0 to 255 to logits."""
    from keras import layers
    from keras.constraints import MaxNorm

    return _network(1200, [layers.Dropout(rate) for rate in (0.2, 0.5, 0.5)], kernel_constraint=MaxNorm(3))


def small() -> Any:
    """Two layers of 800 units without regularization: pixels of 0 to 255 to logits."""
    return _network(800, [])


def _network(units: int, dropouts: list[Any], **settings: Any) -> Any:
    import keras
    from keras import layers

    hidden = [layers.Dense(units, activation="relu", **settings) for _ in range(2)]
    parts = [layers.Flatten(), hidden[0], hidden[1]]
    if dropouts:
        parts = [part for pair in zip(parts, dropouts, strict=True) for part in pair]
    return keras.Sequential([keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), *parts, layers.Dense(10)])


def measure_teacher(study: Study, progress: Any) -> dict[str, Any]:
    """Train the large network on digits that are shifted by up to two pixels, and measure it."""

    def make() -> dict[str, Any]:
        run = _teacher(study, progress)
        return {"error": test_errors(run, "student"), "dataset": dataset_facts(run)}

    return study.once("hinton teacher", make)


def _stages(study: Study, epochs: int) -> list[dict[str, float]]:
    """Three quarters of the epochs at 1e-3, the last at a tenth of it; those of the study, if it has some, for each."""
    last = epochs // 4
    return [
        {"epochs": study.epochs or epochs - last, "learning_rate": 1e-3},
        {"epochs": study.epochs or last, "learning_rate": 1e-4},
    ]


def measure_variants(study: Study, progress: Any) -> dict[str, dict[str, Any]]:
    """Look for what keeps us from the published figures: the epochs of the teacher, and those and the labels of KD.

    Returns:
        `short` (a teacher with a quarter of its epochs), `long` and `soft` (KD of seed 0 with four times its epochs,
        and without labels), each with `error`, a fraction; empty where the study has epochs of its own.
    """
    if study.epochs:
        return {}

    def short() -> dict[str, Any]:
        return {"error": test_errors(_teacher(study, progress, TEACHER_EPOCHS // SHORTER), "student")}

    def kd(name: str, settings: dict[str, Any]) -> dict[str, Any]:
        run = partial(_student, study, progress, f"kd-{name}", 0, False, {"method.alpha": ALPHA, **settings})
        return study.once(f"hinton kd {name} s0", lambda: {"error": test_errors(run(), "student")})

    return {
        "short": study.once("hinton teacher short", short),
        "long": kd("long", {"training.stages": _stages(study, LONGER * EPOCHS)}),
        "soft": kd("soft", {"method.alpha": 1.0}),
    }


def _teacher(study: Study, progress: Any, epochs: int = TEACHER_EPOCHS) -> Any:
    """The run of the large network, made now or before: figures may be there where no run is."""
    name = "hinton-teacher" if epochs == TEACHER_EPOCHS else f"hinton-teacher-{epochs}"
    jitter = {"views.count": 64, "views.shift_px": 2.0, "views.rotation_deg": 0.0}
    # A run has a teacher, also where the method asks none; this one is left as it is initialized
    settings = {"teacher.weights": "none", "training.stages": _stages(study, epochs), **jitter}
    return study.distill(name, progress, settings, student="hinton_2015:large", method="none")


def measure(study: Study, seed: int, progress: Any) -> dict[str, dict[str, Any]]:
    """Make a seed's two runs: the small network with the teacher and alone, and with the teacher but without threes.

    Returns:
        What was measured: `kd`, with test errors as fractions, and `missing`, with those before and after correction.
    """

    def kd() -> dict[str, Any]:
        made = _student(study, progress, "kd", seed, True, {"method.alpha": ALPHA})
        return {role: test_errors(made, role) for role in ("student", "baseline")}

    def missing() -> dict[str, Any]:
        settings = {"method.alpha": 1.0, "data.name": "without_threes:WithoutThrees"}
        return _corrected(_student(study, progress, "missing", seed, False, settings).path)

    return {
        "kd": study.once(f"hinton kd s{seed}", kd),
        "missing": study.once(f"hinton missing s{seed}", missing),
    }


def _student(study: Study, progress: Any, name: str, seed: int, baseline: bool, settings: dict[str, Any]) -> Any:
    """The run of a small network with the large one as its teacher."""
    return study.distill(
        f"hinton-{name}-s{seed}",
        progress,
        {"method.temperature": TEMPERATURE, "training.stages": _stages(study, EPOCHS), **settings},
        seed=seed,
        baseline=baseline,
        teacher=str(_teacher(study, progress).path / "student.keras"),
        student="hinton_2015:small",
    )


def _corrected(path: Path) -> dict[str, Any]:
    """Test errors of a student that saw no threes, and after its bias for them is raised.

    Returns:
        `before`, `by_validation` and `by_test`: each (errors, errors on threes, raise of the bias), where the raise is
        0, the one with the fewest errors on validation, and that on test, as the paper has it.
    """
    from kdcompress.runs.folder import RunFolder
    from kdcompress.runs.outputs import read_test_outputs, read_validation_outputs

    test, val = read_test_outputs(RunFolder(path)), read_validation_outputs(RunFolder(path))
    assert val is not None, "a finished run has its validation outputs"
    logits, labels = test.logits["student"], test.labels
    chosen = {
        "before": 0.0,
        "by_validation": best_raise(val.logits["student"], val.labels),
        "by_test": best_raise(logits, labels),
    }
    return {name: [*count_errors(logits, labels, bias), bias] for name, bias in chosen.items()}


def count_errors(logits: NDArray[np.float32], labels: NDArray[np.int64], bias: float) -> tuple[int, int]:
    """Count the errors, and those on threes, if the logit of threes is raised.

    Args:
        logits: Shape (n, 10).
        labels: Shape (n,).
        bias: What is added to the logit of threes.

    Returns:
        (all errors, errors on threes).
    """
    raised = logits + bias * (np.arange(logits.shape[1]) == MISSING)
    wrong = raised.argmax(axis=-1) != labels
    return int(wrong.sum()), int(wrong[labels == MISSING].sum())


def best_raise(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The raise of the logit of threes, from 0 to 15 in steps of 0.1, with the fewest errors; the smallest of equals.

    Args:
        logits: Shape (n, 10).
        labels: Shape (n,).
    """
    errors = [count_errors(logits, labels, float(bias))[0] for bias in BIASES]
    return round(float(BIASES[int(np.argmin(errors))]), 1)
