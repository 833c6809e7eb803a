"""A TFLite file, run by LiteRT: float or quantized."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import OneTeacherSection
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import ModelError
from kdcompress.files import write_atomically
from kdcompress.formats.tflite.model import LiteRunner, open_interpreter
from kdcompress.teachers._base import Question, Teacher, pick
from kdcompress.teachers._fit import Fit, fit_of


class TFLiteTeacher(Teacher):
    """Runs an interpreter on the CPU; the integers of a quantized file are turned from and into real numbers."""

    suffixes = (".tflite",)
    kept_as = ".tflite"

    def __init__(self, path: Path, runner: LiteRunner, section: OneTeacherSection, fit: Fit, what: str) -> None:
        self.path: Path = path
        self.fit, self.what, self._runner = fit, what, runner
        self.step = runner.step
        self.digest = json_digest([sha256_of(path), section.input, section.output])

    @classmethod
    def open(cls, path: Path, section: OneTeacherSection, question: Question, what: str) -> TFLiteTeacher:
        """See Teacher.open."""
        interpreter = open_interpreter(path, os.cpu_count())
        inputs = {one["name"]: one for one in interpreter.get_input_details()}
        outputs = {one["name"]: one for one in interpreter.get_output_details()}
        image = inputs[pick(list(inputs), section.input, what, "teacher.input")]
        if len(inputs) > 1:
            raise ModelError(f"{what} takes {len(inputs)} inputs ({', '.join(inputs)}); it must take images alone")
        output = outputs[pick(list(outputs), section.output, what, "teacher.output")]
        own = tuple(int(size) if size > 0 else None for size in image["shape_signature"])[1:]
        fit = fit_of(section.preprocessing, own, question.shape, question.classes, what)
        return cls(path, LiteRunner(interpreter, image, output), section, fit, what)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See Teacher.run."""
        return self._runner(batch)

    def keep(self, path: Path) -> None:
        """See Teacher.keep."""
        write_atomically(path, lambda part: shutil.copyfile(self.path, part))


TEACHER = TFLiteTeacher
