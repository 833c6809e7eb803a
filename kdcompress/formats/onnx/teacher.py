"""ONNX files as teachers (from PyTorch, for example), run by onnxruntime: NCHW or NHWC, any or a fixed batch size."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import run_in_batches
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import ModelError
from kdcompress.files import move_into_place, scratch_folder, write_atomically
from kdcompress.formats.onnx.embedding import append_head, write_embedding_part
from kdcompress.formats.onnx.external import external_tensors, load_onnx, save_onnx
from kdcompress.formats.onnx.model import open_session, run_with_timeout
from kdcompress.formats.onnx.selection import select_part
from kdcompress.formats.onnx.shapes import load
from kdcompress.leftovers import temporary_folder
from kdcompress.models import check_image_size, external_files
from kdcompress.teachers import (
    METADATA_KEY,
    Classifier,
    Embedder,
    InputAdapter,
    OutputSpec,
    Selection,
    Teacher,
    check_constants,
    make_input_adapter,
    output_name,
    read_stored,
    select_name,
    storable,
    stored_note,
    with_stored,
)
from kdcompress.threads import thread_limit

_NUMPY = {"float": "float32", "double": "float64"}


class OnnxTeacher(Teacher):
    """Runs an ONNX file on the CPU, with its external data files."""

    suffixes = (".onnx",)
    module = "onnxruntime"
    copy_suffix = ".onnx"
    channels_first = True
    _stored: Mapping[str, Any] = {}
    """Preprocessing that the file holds."""

    def __init__(
        self, path: Path, session: Any, section: SingleTeacherSection, adapter: InputAdapter, description: str
    ) -> None:
        self.path: Path = path
        self.adapter, self.description, self._session = adapter, description, session
        self._image = image_of(session, section, description)
        outputs = [value.name for value in session.get_outputs()]
        self._output = select_name(outputs, output_name(section, outputs), description, "teacher.output")
        self._constants = _constants(session, self._image.name, section, description)
        self.selection = Selection(self._image.name, self._output if len(outputs) > 1 else None, section.constants)
        self.digest = json_digest(
            [
                [sha256_of(file) for file in (path, *external_files(path))],
                self._image.name,
                self._output,
                section.constants,
            ]
        )

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> OnnxTeacher:
        """Open the file with onnxruntime."""
        session = open_session(path, thread_limit())
        stored = read_stored(session.get_modelmeta().custom_metadata_map, description)
        preprocessing = with_stored(section.preprocessing, stored, description)
        declared = sizes_of(image_of(session, section, description), description)[1:]
        adapter = make_input_adapter(preprocessing, declared, spec, description)
        teacher = cls(path, session, section, adapter, description)
        teacher._stored = stored
        teacher.input_notes = (stored_note(adapter, stored),) if stored else ()
        return teacher

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the session in batches, with the constants of the recipe for its other inputs."""
        kind = _dtype(self._image)

        def call(images: NDArray[Any]) -> NDArray[np.float32]:
            feed = {self._image.name: images.astype(kind), **self._constants}
            return np.asarray(run_with_timeout(self._session, [self._output], feed, self.description)[0], np.float32)

        return run_in_batches(call, batch, sizes_of(self._image, self.description)[0])

    def open_embedder(self, name: str | None) -> Embedder:
        """Open the nodes that the embedding needs; any tensor of the graph can be named."""
        with temporary_folder() as folder:
            part = folder / "embedding.onnx"
            layer, classifier = write_embedding_part(self.path, self.selection, name, part, self.description)
            session = open_session(part, thread_limit())
        image = session.get_inputs()[0]

        def call(images: NDArray[Any]) -> NDArray[np.float32]:
            feed = {image.name: images.astype(_dtype(image))}
            return np.asarray(run_with_timeout(session, [layer], feed, self.description)[0], np.float32)

        batch = sizes_of(image, self.description)[0]
        return Embedder(layer, lambda images: run_in_batches(call, images, batch), classifier, channels_first=True)

    def check_head(self) -> None:
        """Allow it."""

    def write_with_head(self, path: Path, head: Classifier, stored: Mapping[str, Any] | None = None) -> Path:
        """Write the nodes that the embedding needs with a matrix product behind them, as one file."""
        from onnx import helper

        file = path.with_suffix(self.copy_suffix)
        name = self.section.embedding
        blank = self.adapter.prepare(np.zeros((1, *self.adapter.input_shape), np.uint8))
        rank = (self.run if name is None else self.embedder.run)(blank).ndim
        tensor = name or self._output
        with temporary_folder() as folder:
            part = folder / "embedding.onnx"
            write_embedding_part(self.path, self.selection, tensor, part, self.description)
            model = load(part)
        append_head(model, head, pooled=rank == 4)
        held = {entry.key: entry.value for entry in model.metadata_props if entry.key != METADATA_KEY}
        if settings := storable(stored or self._stored):
            held[METADATA_KEY] = json.dumps(settings, allow_nan=False)
        helper.set_model_props(model, held)
        write_atomically(file, lambda written: save_onnx(model, written, self.description))
        return file

    @property
    def uses_part(self) -> bool:
        """Whether the file has several outputs or inputs."""
        return self.selection.output is not None or bool(self._constants)

    def write_part(self, path: Path) -> OnnxTeacher:
        """Write the nodes that the output needs, with the constants as initializers."""
        model = load(self.path)
        select_part(model, self.selection, self.description)
        write_atomically(path, lambda part: save_onnx(model, part, self.description))
        section = SingleTeacherSection(model=path.name)
        return OnnxTeacher(path, open_session(path, thread_limit()), section, self.adapter, self.description)

    def save_copy(self, path: Path) -> None:
        """Copy the file; several external data files are merged into one, `path`.data."""
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


def image_of(session: Any, section: SingleTeacherSection, description: str) -> Any:
    """Select the input for the images.

    Args:
        session: InferenceSession.
        section: Section of the recipe, whose `input` names it.
        description: Name of the teacher in messages.

    Returns:
        The input.

    Raises:
        ModelError: There are several inputs, and the recipe names none of them.
    """
    inputs = {value.name: value for value in session.get_inputs()}
    return inputs[select_name(list(inputs), section.input, description, "teacher.input")]


def sizes_of(value: Any, description: str) -> tuple[int | None, ...]:
    """Read the shape of an input.

    Args:
        value: Input of a session.
        description: Name of the teacher in messages.

    Returns:
        The shape with the batch; None for open dimensions.

    Raises:
        ModelError: The rank is not 4.
    """
    shape = value.shape or []
    if len(shape) != 4:
        raise ModelError(
            f"{description} takes {value.name} of shape {shape}; a teacher takes a batch of images, of rank 4"
        )
    return tuple(size if isinstance(size, int) and size > 0 else None for size in shape)


def _constants(session: Any, image: str, section: SingleTeacherSection, description: str) -> dict[str, NDArray[Any]]:
    """Create the values of the inputs other than the image."""
    others = {value.name: value for value in session.get_inputs() if value.name != image}
    types = {name: value.type for name, value in others.items()}
    check_constants(types, section.constants, image, description)
    sizes = {name: [size if isinstance(size, int) else 1 for size in value.shape] for name, value in others.items()}
    for name, shape in sizes.items():
        check_image_size(shape, f"input {name} of {description}")
    return {name: np.full(sizes[name], section.constants[name], _dtype(value)) for name, value in others.items()}


def _dtype(value: Any) -> str:
    kind = str(value.type).removeprefix("tensor(").removesuffix(")")
    return _NUMPY.get(kind, kind)
