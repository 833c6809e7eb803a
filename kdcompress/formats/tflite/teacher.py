"""TFLite files as teachers, float or quantized, run by LiteRT."""

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
from kdcompress.teachers import InputAdapter, OutputSpec, Selection, Teacher, make_input_adapter, select_name


class TFLiteTeacher(Teacher):
    """Runs a TFLite file on the CPU; inputs and outputs of a quantized file are converted from and to real numbers."""

    suffixes = (".tflite",)
    copy_suffix = ".tflite"

    def __init__(
        self, path: Path, runner: LiteRunner, section: SingleTeacherSection, adapter: InputAdapter, description: str
    ) -> None:
        self.path: Path = path
        self.adapter, self.description, self._runner = adapter, description, runner
        self.quantization_step = runner.step
        self.selection = Selection(output=section.output)
        self.digest = json_digest([sha256_of(path), section.input, section.output])

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> TFLiteTeacher:
        """Open the file with LiteRT."""
        interpreter = open_interpreter(path, os.cpu_count())
        inputs = {details["name"]: details for details in interpreter.get_input_details()}
        outputs = {details["name"]: details for details in interpreter.get_output_details()}
        image = inputs[select_name(list(inputs), section.input, description, "teacher.input")]
        if len(inputs) > 1:
            raise ModelError(
                f"{description} takes {len(inputs)} inputs ({', '.join(inputs)}); it must take images only"
            )
        output = outputs[select_name(list(outputs), section.output, description, "teacher.output")]
        declared = tuple(int(size) if size > 0 else None for size in image["shape_signature"])[1:]
        adapter = make_input_adapter(section.preprocessing, declared, spec, description)
        return cls(path, LiteRunner(interpreter, image, output), section, adapter, description)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the interpreter."""
        return self._runner(batch)

    def save_copy(self, path: Path) -> None:
        """Copy the file."""
        write_atomically(path, lambda part: shutil.copyfile(self.path, part))


TEACHER = TFLiteTeacher
