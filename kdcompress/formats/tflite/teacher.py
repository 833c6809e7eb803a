"""A TFLite file, run by LiteRT: float or quantized."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import ModelError
from kdcompress.files import write_atomically
from kdcompress.formats.tflite.model import LiteRunner, open_interpreter
from kdcompress.teachers import InputAdapter, OutputSpec, Teacher, make_input_adapter, select_name


class TFLiteTeacher(Teacher):
    """Runs an interpreter on the CPU; the integers of a quantized file are turned from and into real numbers."""

    suffixes = (".tflite",)
    copy_suffix = ".tflite"

    def __init__(
        self, path: Path, runner: LiteRunner, section: SingleTeacherSection, adapter: InputAdapter, what: str
    ) -> None:
        self.path: Path = path
        self.adapter, self.description, self._runner = adapter, what, runner
        self.quantization_step = runner.step
        self.digest = json_digest([sha256_of(path), section.input, section.output])

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, what: str) -> TFLiteTeacher:
        """See Teacher.open."""
        interpreter = open_interpreter(path, os.cpu_count())
        inputs = {one["name"]: one for one in interpreter.get_input_details()}
        outputs = {one["name"]: one for one in interpreter.get_output_details()}
        image = inputs[select_name(list(inputs), section.input, what, "teacher.input")]
        if len(inputs) > 1:
            raise ModelError(f"{what} takes {len(inputs)} inputs ({', '.join(inputs)}); it must take images alone")
        output = outputs[select_name(list(outputs), section.output, what, "teacher.output")]
        own = tuple(int(size) if size > 0 else None for size in image["shape_signature"])[1:]
        adapter = make_input_adapter(section.preprocessing, own, spec, what)
        return cls(path, LiteRunner(interpreter, image, output), section, adapter, what)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See Teacher.run."""
        return self._runner(batch)

    def save_copy(self, path: Path) -> None:
        """See Teacher.save_copy."""
        write_atomically(path, lambda part: shutil.copyfile(self.path, part))


TEACHER = TFLiteTeacher
