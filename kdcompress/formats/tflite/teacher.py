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
from kdcompress.files import write_atomically
from kdcompress.formats.tflite.model import LiteRunner, open_interpreter
from kdcompress.formats.tflite.selection import read_model, select_part
from kdcompress.models import check_image_size
from kdcompress.teachers import (
    InputAdapter,
    OutputSpec,
    Selection,
    Teacher,
    check_constants,
    make_input_adapter,
    select_name,
)
from kdcompress.threads import thread_limit


class TFLiteTeacher(Teacher):
    """Runs a TFLite file on the CPU; inputs and outputs of a quantized file are converted from and to real numbers."""

    suffixes = (".tflite",)
    module = "ai_edge_litert"
    copy_suffix = ".tflite"

    def __init__(
        self, path: Path, runner: LiteRunner, section: SingleTeacherSection, adapter: InputAdapter, description: str
    ) -> None:
        self.path: Path = path
        self.adapter, self.description, self._runner = adapter, description, runner
        self.quantization_step = runner.step
        self.selection = Selection(section.input, section.output, section.constants)
        constants = [section.constants] if section.constants else []  # digests without any stay as they were
        self.digest = json_digest([sha256_of(path), section.input, section.output, *constants])

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> TFLiteTeacher:
        """Open the file with LiteRT."""
        interpreter = open_interpreter(path, thread_limit() or os.cpu_count())
        inputs = {details["name"]: details for details in interpreter.get_input_details()}
        outputs = {details["name"]: details for details in interpreter.get_output_details()}
        image = inputs[select_name(list(inputs), section.input, description, "teacher.input")]
        constants = _constants(inputs, image["name"], section, description)
        output = outputs[select_name(list(outputs), section.output, description, "teacher.output")]
        declared = tuple(int(size) if size > 0 else None for size in image["shape_signature"])[1:]
        adapter = make_input_adapter(section.preprocessing, declared, spec, description)
        return cls(path, LiteRunner(interpreter, image, output, constants), section, adapter, description)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the interpreter."""
        return self._runner(batch)

    @property
    def uses_part(self) -> bool:
        """Whether one of several outputs is selected, or inputs are constant."""
        return self.selection.output is not None or bool(self.selection.constants)

    def write_part(self, path: Path) -> TFLiteTeacher:
        """Write the operators that the output needs, with the constants as weights."""
        content = select_part(read_model(self.path), self.selection, self.description)
        write_atomically(path, lambda part: part.write_bytes(content))
        interpreter = open_interpreter(path, thread_limit() or os.cpu_count())
        (image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
        section = SingleTeacherSection(model=path.name)
        return TFLiteTeacher(path, LiteRunner(interpreter, image, output), section, self.adapter, self.description)

    def save_copy(self, path: Path) -> None:
        """Copy the file."""
        write_atomically(path, lambda part: shutil.copyfile(self.path, part))


TEACHER = TFLiteTeacher


def _constants(
    inputs: dict[str, dict[str, Any]], image: str, section: SingleTeacherSection, description: str
) -> list[tuple[dict[str, Any], float]]:
    """Pair the inputs other than the image with their values."""
    others = {name: details for name, details in inputs.items() if name != image}
    types = {name: np.dtype(details["dtype"]).name for name, details in others.items()}
    check_constants(types, section.constants, image, description)
    for name, details in others.items():
        check_image_size([int(size) for size in details["shape"]], f"input {name} of {description}")
    return [(details, section.constants[name]) for name, details in others.items()]
