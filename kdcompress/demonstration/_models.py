"""Models of a page: their files, how pixels become their input, and how their outputs become logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.benchmarking import make_runtime
from kdcompress.config.images import Resize
from kdcompress.data import Shape
from kdcompress.errors import ModelError
from kdcompress.models import external_files

RUNTIME = "onnxruntime"
_INPUT_TYPES = ("float32", "float64", "uint8")  # that the page gives
Pixels = NDArray[np.uint8]
Logits = NDArray[np.float32]


@dataclass(frozen=True)
class PageModel:
    """A model as an ONNX file.

    Attributes:
        role: "teacher" or "student".
        precision: Precision of the file, if known.
        path: The file.
        shape: (H, W, C) of its images.
        resize: How an image of another aspect ratio is resized.
        direct: Whether an image file is resized to `shape` at once, and not to the data's size before.
        facts: What people read of it, as (name, value) pairs.
        prepare: Maps pixels (n, *shape) of 0 to 255 to its input.
        input: What `prepare` does, for the page.
        to_logits: Maps its outputs (n, outputs) to logits of the data's classes, (n, classes).
        outputs: What `to_logits` does, for the page.
    """

    role: str
    precision: str | None
    path: Path
    shape: Shape
    resize: Resize
    direct: bool = True
    facts: tuple[tuple[str, str], ...] = ()
    prepare: Callable[[Pixels], NDArray[Any]] = field(default=lambda images: images)
    input: dict[str, Any] = field(default_factory=dict)
    to_logits: Callable[[Logits], Logits] = field(default=lambda outputs: outputs)
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of its file on the page, without the suffix."""
        return self.role if self.role == "teacher" or self.precision is None else f"{self.role}-{self.precision}"

    @property
    def files(self) -> dict[str, Path]:
        """The files to copy, by their names beside each other."""
        beside = external_files(self.path)
        return {f"{self.name}.onnx": self.path, **{file.name: file for file in beside}}

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(path.stat().st_size for path in self.files.values())

    def logits(self, images: Pixels) -> Logits:
        """Compute logits at the desk, by onnxruntime on the CPU, image by image as the page does.

        Args:
            images: Pixels (n, *shape) of 0 to 255.

        Returns:
            Shape (n, classes).

        Raises:
            ModelError: The file cannot be opened or run, takes images of a type that the page does not give, or gives
                logits that are not finite.
        """
        session = make_runtime(RUNTIME).open(self.path, 1, (1, *self.shape))
        rows = [np.zeros((0, 0), np.float32)] if not len(images) else []
        for image in images:
            feed = session.prepare(self.prepare(image[None]))
            (kind,) = {str(value.dtype) for value in feed.values()}
            if kind not in _INPUT_TYPES:
                raise ModelError(f"{self.path} takes images of {kind}; a page gives {', '.join(_INPUT_TYPES)}")
            rows.append(self.to_logits(np.asarray(session.invoke(feed)[0], np.float32)))
        logits = np.concatenate(rows)
        if not np.isfinite(logits).all():
            raise ModelError(f"{self.path} gives logits that are not finite (NaN or infinite); its weights are damaged")
        return logits
