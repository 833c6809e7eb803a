"""What a runtime is: how it opens a model file of its kind, and what it was told to do."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import MissingExtraError, UsageError

Images = NDArray[np.generic]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class RuntimeSession:
    """A model ready to run: `prepare` makes raw pixels (batch, ...) what the file takes, `invoke` runs on that."""

    prepare: Callable[[Images], Any]
    invoke: Callable[[Any], Any]


@dataclass(frozen=True)
class Signature:
    """The one input of a model file: its sizes, None where the file leaves them open, the batch first."""

    sizes: tuple[int | None, ...]
    precision: str | None

    def image_shape(self, path: Path, given: Shape | None) -> Shape:
        """The sizes behind the batch, those that are open as `given`.

        Errors: UsageError if some are open and none are given, and if those given are not those of the file.
        """
        own = self.sizes[1:]
        shown = ", ".join("?" if size is None else str(size) for size in own)
        if given is None and None in own:
            raise UsageError(f"{path} takes images of {shown}: name the sizes with --input-shape, such as 224,224,3")
        shape = given or tuple(size for size in own if size is not None)
        if len(shape) != len(own) or any(size not in (None, now) for size, now in zip(own, shape, strict=True)):
            raise UsageError(f"{path} takes images of {shown}, got --input-shape {','.join(map(str, shape))}")
        return shape

    def check_batch(self, path: Path, batch_size: int) -> None:
        """UsageError if the file takes batches of one size only, and not of this."""
        if self.sizes[0] not in (None, batch_size):
            raise UsageError(f"{path} takes batches of {self.sizes[0]} alone, got --batch-size {batch_size}")


class Runtime(ABC):
    """What runs model files of some kinds on this machine's CPU.

    Attributes:
        package: What `pip install` brings it.
        module: What is imported to run a model.
        suffixes: The endings of the files that it runs.
    """

    package: ClassVar[str]
    module: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]

    def require(self) -> None:
        """MissingExtraError with the pip install if the runtime is not installed."""
        if importlib.util.find_spec(self.module.split(".")[0]) is None:
            raise MissingExtraError(
                f"{self.package} is not installed, and {self.suffixes[0]} files need it: pip install {self.package}"
            )

    def load(self) -> None:
        """Import the runtime, so that the time this takes is not taken for the time to load a model."""
        importlib.import_module(self.module)

    @abstractmethod
    def signature(self, path: Path) -> Signature:
        """What a file takes; ModelError if it is no model of this runtime, or takes other than one tensor."""

    @abstractmethod
    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """Open a file to run on the CPU in `threads` threads, with images (batch, ...) of `shape`; ModelError."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything that the runtime is told explicitly, beside the number of threads."""

    @abstractmethod
    def operators(self, path: Path, threads: int, images: Images) -> dict[str, float] | None:
        """The share of each type of operator in the time of a call, largest first; None if the runtime cannot say."""
