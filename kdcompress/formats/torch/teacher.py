"""PyTorch models as teachers: .pt2 files, module:function, and classifiers of transformers in a local folder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import run_in_batches
from kdcompress.config.sections import PreprocessingSection, SingleTeacherSection
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import ModelError
from kdcompress.files import write_atomically
from kdcompress.formats.torch.embedding import cut_head
from kdcompress.formats.torch.export import cache_module, require_onnxscript, write_onnx
from kdcompress.formats.torch.huggingface import (
    POOLED,
    is_model_folder,
    load_classifier,
    load_encoder,
    read_classes,
    read_preprocessing,
)
from kdcompress.formats.torch.model import Program, deterministic, open_program, require_torch
from kdcompress.leftovers import temporary_folder
from kdcompress.teachers import (
    Classifier,
    Embedder,
    InputAdapter,
    OutputSpec,
    Selection,
    Teacher,
    make_input_adapter,
    open_teacher,
    output_name,
    stored_note,
    with_stored,
)

_CONVERTED = ("torch.float32", "torch.float16")


class TorchTeacher(Teacher):
    """Runs a torch.nn.Module on the CPU in evaluation mode; its input is NCHW unless the recipe says nhwc."""

    suffixes = (".pt2",)
    module = "torch"
    copy_suffix = ".pt2"
    channels_first = True

    def __init__(self, path: Path, program: Program, adapter: InputAdapter, description: str, digest: str) -> None:
        self.path: Path = path
        self.adapter, self.description, self.digest, self._program = adapter, description, digest, program
        self.selection = Selection(output=program.output)
        self.converts_to = (".onnx",) if str(program.dtype) == "torch.float32" else ()
        self.input_notes = _input_notes(program, adapter)

    @classmethod
    def owns(cls, path: Path) -> bool:
        """Return whether a path is a .pt2 file or a folder of transformers."""
        return super().owns(path) or is_model_folder(path)

    @classmethod
    def owns_model(cls, model: Any) -> bool:
        """Return whether an object is a torch.nn.Module, without importing PyTorch."""
        torch = sys.modules.get("torch")
        return torch is not None and isinstance(model, torch.nn.Module)

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> TorchTeacher:
        """Open a .pt2 file, or a folder of transformers, whose module is exported to the cache."""
        if path.is_dir():
            require_torch(str(path))
            stored = read_preprocessing(path)
            if section.probe:
                return cls._of_encoder(path, section, spec, description, stored)
            classes = read_classes(path)
            named = {"classes": classes} if not set(spec.classes) - set(classes) else {}
            return cls._of_module(load_classifier(path), section, spec, description, {**stored, **named})
        program = open_program(path, output_name(section))
        digest = json_digest([sha256_of(path), program.output])
        return cls._of_program(path, program, section, spec, description, digest)

    @classmethod
    def of_model(cls, model: Any, section: SingleTeacherSection, spec: OutputSpec, description: str) -> TorchTeacher:
        """Export a module to the cache, and open that file."""
        return cls._of_module(model, section, spec, description, {})

    @classmethod
    def _of_encoder(
        cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str, stored: dict[str, Any]
    ) -> TorchTeacher:
        module = load_encoder(path)
        if output_name(section):
            return cls._of_module(module, section, spec, description, stored)
        pooled = section.model_copy(update={"output": POOLED})
        try:
            return cls._of_module(module, pooled, spec, description, stored)
        except ModelError as exc:
            if f"has no {POOLED!r}" not in str(exc):
                raise
            raise ModelError(
                f"{path} is of a model without a pooled output, which would be its embedding: give module:function "
                "that returns one"
            ) from exc

    @classmethod
    def _of_module(
        cls, module: Any, section: SingleTeacherSection, spec: OutputSpec, description: str, stored: dict[str, Any]
    ) -> TorchTeacher:
        preprocessing = with_stored(section.preprocessing, stored, description, not section.probe)
        shapes, output, embedding = _shapes(preprocessing, spec), output_name(section), section.embedding
        path = cache_module(module, shapes, output, description, stored, embedding)
        program = open_program(path, None if embedding is None else output)
        digest = path.parent.name if embedding is None else json_digest([path.parent.name, program.output])
        return cls._of_program(path, program, section, spec, description, digest)

    @classmethod
    def _of_program(
        cls,
        path: Path,
        program: Program,
        section: SingleTeacherSection,
        spec: OutputSpec,
        description: str,
        digest: str,
    ) -> TorchTeacher:
        preprocessing = with_stored(section.preprocessing, program.settings, description, not section.probe)
        if preprocessing.layout == "auto":
            last_only = program.sizes[3] in (1, 3, 4) and program.sizes[1] not in (1, 3, 4, None)
            preprocessing = preprocessing.model_copy(update={"layout": "nhwc" if last_only else "nchw"})
        adapter = make_input_adapter(preprocessing, program.sizes[1:], spec, description)
        return cls(path, program, adapter, description, digest)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the network in batches, with deterministic algorithms."""
        return _run(self._program, batch)

    def open_embedder(self, name: str | None) -> Embedder:
        """Open an output that is the embedding, or what the last linear layer reads."""
        if name is not None:
            return super().open_embedder(name)
        program = open_program(self.path, self.selection.output)
        layer, classifier = cut_head(program, self.description)
        return Embedder(layer, lambda batch: _run(program, batch), classifier, channels_first=True)

    def check_head(self) -> None:
        """Check that the network can be converted to ONNX."""
        require_onnxscript(self.description)
        if str(self._program.dtype) not in _CONVERTED:
            raise ModelError(
                f"{self.description} computes in {self._program.dtype}, and gets a head in float32 or float16: call "
                "float() on the module"
            )

    def write_with_head(self, path: Path, head: Classifier, stored: Mapping[str, Any] | None = None) -> Path:
        """Write the network as ONNX with a matrix product behind its output, and the preprocessing that it holds."""
        encoder, name = self, self.section.embedding
        if name is not None:
            section = self.section.model_copy(update={"output": name, "embedding": None})
            encoder = type(self).open(self.path, section, self.spec, self.description)
        with temporary_folder() as folder:
            part = encoder.write_part(folder / "encoder.onnx")
            return part.write_with_head(path, head, stored or self._program.settings)

    def save_copy(self, path: Path) -> None:
        """Copy the .pt2 file."""
        write_atomically(path, lambda part: shutil.copyfile(self.path, part))

    def write_part(self, path: Path) -> Teacher:
        """Write an ONNX file by torch.onnx.export."""
        height, width, channels = self.adapter.input_shape
        nchw = self.adapter.nchw
        shape = (channels, height, width) if nchw else (height, width, channels)
        write_atomically(path, lambda part: write_onnx(self._program, shape, part, self.description))
        preprocessing = PreprocessingSection(layout="nchw" if nchw else "nhwc")
        section = SingleTeacherSection(model=str(path), preprocessing=preprocessing)
        return open_teacher(path, section, OutputSpec(self.adapter.input_shape, ()), f"{self.description}, as ONNX,")


TEACHER = TorchTeacher


def _run(program: Program, batch: NDArray[Any]) -> NDArray[np.float32]:
    with deterministic():
        return run_in_batches(program.run, batch, program.sizes[0])


def _shapes(section: PreprocessingSection, spec: OutputSpec) -> list[tuple[int, ...]]:
    """List shapes of images in the module's layout: of the recipe's or the data's size, in gray and colour."""
    height, width, channels = spec.input_shape
    size = section.size or (height, width)
    sides = size if isinstance(size, tuple) else (size, size)
    counts = (channels, 3, 1, 4)
    return [(*sides, count) if section.layout == "nhwc" else (count, *sides) for count in counts]


def _input_notes(program: Program, adapter: InputAdapter) -> tuple[str, ...]:
    """Say in which layout images are given, and the preprocessing that was read from the model's own files."""
    layout = "first (NCHW)" if adapter.nchw else "last (NHWC)"
    notes = [f"gets images with channels {layout}; teacher.preprocessing.layout says otherwise"]
    if program.sizes[0] == 1:
        notes.append("gets one image at a time, since its code fixes the batch size (as len(x) does)")
    if program.settings:
        notes.append(stored_note(adapter, program.settings))
    return tuple(notes)
