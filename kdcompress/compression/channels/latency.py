"""Latency of a model relative to a teacher's file on onnxruntime, measured in turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.benchmarking import make_runtime
from kdcompress.benchmarking._statistics import summarise
from kdcompress.benchmarking._timing import Call, Contender, Plan, take_turns
from kdcompress.compression._base import Tuning
from kdcompress.errors import ModelError
from kdcompress.exporting import Options, make_format
from kdcompress.exporting._base import FP32
from kdcompress.exporting._network import freeze
from kdcompress.exporting._teacher import export_teachers
from kdcompress.leftovers import temporary_folder
from kdcompress.training.supervision import finalise

RUNTIME, FORMAT = "onnxruntime", "onnx"
_IMAGES = 8  # which calls cycle through
_DURATION_S = 3.0  # of each model and measurement


@dataclass(frozen=True)
class TimedFile:
    """A model file and images to time it on.

    Attributes:
        path: ONNX file.
        images: Images as the file takes them, (n, ...).
    """

    path: Path
    images: NDArray[Any]

    def contender(self) -> Contender:
        """Return the file on one thread, with one image a call."""
        runtime = make_runtime(RUNTIME)
        batches = [self.images[index : index + 1] for index in range(len(self.images))]
        session = runtime.open(self.path, 1, batches[0].shape)

        def open_anew() -> Call:
            return runtime.open(self.path, 1, batches[0].shape).invoke

        return Contender(open_anew, [session.prepare(batch) for batch in batches])


def teacher_file(tuning: Tuning) -> TimedFile:
    """Export the teacher of a run, and prepare training images for it.

    Args:
        tuning: The run's data and teachers.

    Raises:
        ModelError: There is no single teacher, or it cannot be an ONNX file.
    """
    teachers: Sequence[Any] = tuning.ensemble.teachers if tuning.ensemble else ()
    dataset = tuning.experiment.data.dataset
    problem = "the run has no teacher"
    if teachers:
        file = export_teachers(teachers, dataset, [FORMAT], tuning.progress).files[FORMAT]
        problem = "; ".join(file.reasons)
        if file.path is not None and not file.reasons:
            images = teachers[0].resize(tuning.train_samples.images)[:_IMAGES]
            return TimedFile(file.path, teachers[0].adapter.prepare(images))
    raise ModelError(
        f"max_latency_ratio compares with the teacher on {RUNTIME}, where it cannot be timed ({problem}); "
        "give max_flops_ratio, max_params_ratio or channels"
    )


def latency_ratio(model: Any, tuning: Tuning, teacher: TimedFile) -> float:
    """Measure the ratio student / teacher of the median latencies, on one thread and one image a call.

    Args:
        model: Keras model from pixels to outputs (batch, head).
        tuning: The run's method and data.
        teacher: The teacher.

    Returns:
        The ratio.
    """
    student = finalise(model, tuning.method, tuning.input_shape)
    with temporary_folder() as folder:
        path = folder / f"student{make_format(FORMAT).suffix}"
        network = freeze(student, tuning.input_shape, model.name)
        make_format(FORMAT).write(network, path, FP32, Options(), None, {})
        images = np.asarray(tuning.train_samples.images[:_IMAGES])
        contenders = [TimedFile(path, images).contender(), teacher.contender()]
        take_turns(contenders, Plan.of(_DURATION_S), lambda done: None)
    medians = [summarise(contender.turns, 1)["p50_ms"] for contender in contenders]
    return float(medians[0] / medians[1])
