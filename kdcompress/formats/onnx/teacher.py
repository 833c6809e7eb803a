"""An ONNX file (from PyTorch, say), run by onnxruntime: NCHW or NHWC, batch of any size or a fixed one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import run_in_batches
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import ModelError
from kdcompress.files import move_into_place, scratch_folder, write_atomically
from kdcompress.formats.onnx.external import external_tensors, load_onnx
from kdcompress.formats.onnx.model import open_session, run_with_timeout
from kdcompress.models import check_image_size, external_files
from kdcompress.teachers import InputAdapter, OutputSpec, Teacher, make_input_adapter, select_name

_NUMPY = {"float": "float32", "double": "float64"}


class OnnxTeacher(Teacher):
    """Runs a session on the CPU; external data files beside the model are read with it."""

    suffixes = (".onnx",)
    copy_suffix = ".onnx"

    def __init__(
        self, path: Path, session: Any, section: SingleTeacherSection, adapter: InputAdapter, what: str
    ) -> None:
        self.path: Path = path
        self.adapter, self.description, self._session = adapter, what, session
        self._image = image_of(session, section, what)
        self._output = select_name([one.name for one in session.get_outputs()], section.output, what, "teacher.output")
        self._constants = _constants(session, self._image.name, section, what)
        self.digest = json_digest(
            [
                [sha256_of(file) for file in (path, *external_files(path))],
                self._image.name,
                self._output,
                section.constants,
            ]
        )

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, what: str) -> OnnxTeacher:
        """See Teacher.open."""
        session = open_session(path, None)
        own = sizes_of(image_of(session, section, what), what)[1:]
        adapter = make_input_adapter(section.preprocessing, own, spec, what)
        return cls(path, session, section, adapter, what)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See Teacher.run."""
        kind = _dtype(self._image)

        def call(images: NDArray[Any]) -> NDArray[np.float32]:
            feed = {self._image.name: images.astype(kind), **self._constants}
            return np.asarray(run_with_timeout(self._session, [self._output], feed, self.description)[0], np.float32)

        return run_in_batches(call, batch, sizes_of(self._image, self.description)[0])

    def save_copy(self, path: Path) -> None:
        """See Teacher.save_copy; what lies in several external files goes into one, `path`.data."""
        if not external_files(self.path):
            write_atomically(path, lambda part: shutil.copyfile(self.path, part))
            return
        import onnx

        model = load_onnx(self.path)
        for tensor in external_tensors(model):
            onnx.external_data_helper.load_external_data_for_tensor(tensor, str(self.path.parent))
        with scratch_folder(path.parent) as scratch:
            data = f"{path.name}.data"
            onnx.save(model, str(scratch / path.name), save_as_external_data=True, location=data)
            if (scratch / data).is_file():  # small weights are inside again
                shutil.copymode(scratch / path.name, scratch / data)
                move_into_place(scratch / data, path.with_name(data))
            move_into_place(scratch / path.name, path)


TEACHER = OnnxTeacher


def image_of(session: Any, section: SingleTeacherSection, what: str) -> Any:
    """The input that takes the images; ModelError if there are several and none is named."""
    inputs = {one.name: one for one in session.get_inputs()}
    return inputs[select_name(list(inputs), section.input, what, "teacher.input")]


def sizes_of(value: Any, what: str) -> tuple[int | None, ...]:
    """The sizes of an input, None where they are open, the batch first; ModelError unless it is a batch of images."""
    shape = value.shape or []
    if len(shape) != 4:
        raise ModelError(f"{what} takes {value.name} of shape {shape}; a teacher takes a batch of images, of rank 4")
    return tuple(size if isinstance(size, int) and size > 0 else None for size in shape)


def _constants(session: Any, image: str, section: SingleTeacherSection, what: str) -> dict[str, NDArray[Any]]:
    """What the inputs beside the image are given."""
    others = {one.name: one for one in session.get_inputs() if one.name != image}
    for name in section.constants:
        if name not in others:
            raise ModelError(f"teacher.constants.{name}: {what} has no such input beside {image}")
    for name, one in others.items():
        if name not in section.constants:
            raise ModelError(f"{what} also takes {name} ({one.type}); give it a value with teacher.constants.{name}")
    sizes = {name: [size if isinstance(size, int) else 1 for size in one.shape] for name, one in others.items()}
    for name, shape in sizes.items():
        check_image_size(shape, f"input {name} of {what}")
    return {name: np.full(sizes[name], section.constants[name], _dtype(one)) for name, one in others.items()}


def _dtype(value: Any) -> str:
    kind = str(value.type).removeprefix("tensor(").removesuffix(")")
    return _NUMPY.get(kind, kind)
