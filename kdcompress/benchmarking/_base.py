"""Interface of runtimes: how they open and time model files."""

from __future__ import annotations

import importlib
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import MissingExtraError, ModelError, UsageError

Images = NDArray[np.generic]
Shape = tuple[int, ...]


class Reporter(Protocol):
    """What a benchmark reports to: `kdcompress.progress.Progress`, or the console of a device."""

    def note(self, text: str) -> None:
        """Report a note for the user, in one line."""

    def begin(self, phase: str, total: int) -> None:
        """Report that a phase of so many steps starts."""

    def step(self, done: int, parts: Mapping[str, float]) -> None:
        """Report how many steps of the phase are done."""

    def end(self) -> None:
        """Report that the phase ended, complete or not."""


@dataclass(frozen=True)
class RuntimeSession:
    """A model that is ready to run.

    Attributes:
        prepare: Converts raw pixels, (batch, ...), to the input of the file.
        invoke: Runs the model on that input.
    """

    prepare: Callable[[Images], Any]
    invoke: Callable[[Any], Any]


@dataclass(frozen=True)
class Signature:
    """Signature of a model file with one input.

    Attributes:
        sizes: Shape of the input, with the batch; None for open dimensions.
        precision: Precision, if the file records it.
    """

    sizes: tuple[int | None, ...]
    precision: str | None

    @classmethod
    def of_inputs(
        cls, path: Path, inputs: Sequence[tuple[str, Sequence[int | None]]], precision: str | None
    ) -> Signature:
        """Create a signature from the inputs of a file.

        Args:
            path: The file, for errors.
            inputs: Name and shape of each, with the batch; None for open dimensions, no dimensions for unknown rank.
            precision: Precision, if the file records it.

        Returns:
            The signature.

        Raises:
            ModelError: There is not exactly one input, or it is no batch of images.
        """
        if len(inputs) != 1:
            names = ", ".join(f"{name} {list(sizes)}" for name, sizes in inputs)
            raise ModelError(f"{path} takes {len(inputs)} inputs ({names}); bench times models that take one image")
        ((name, sizes),) = inputs
        if len(sizes) < 2:
            raise ModelError(f"{path} takes {name} of unknown rank; bench needs a batch of images")
        return cls(tuple(sizes), precision)

    def image_shape(self, path: Path, input_shape: Shape | None) -> Shape:
        """Determine the shape of an image.

        Args:
            path: The file, for errors.
            input_shape: Shape that the user specified, required if dimensions are open.

        Returns:
            The shape without the batch.

        Raises:
            UsageError: Dimensions are open, or the specified shape does not fit the file.
        """
        declared = self.sizes[1:]
        text = ", ".join("?" if size is None else str(size) for size in declared)
        if input_shape is None and None in declared:
            raise UsageError(f"{path} takes images of {text}: name the sizes with --input-shape, such as 224,224,3")
        shape = input_shape or tuple(size for size in declared if size is not None)
        pairs = zip(declared, shape)  # noqa: B905 (as Python 3.9 has it, on devices)
        fits = len(shape) == len(declared) and all(a in (None, b) for a, b in pairs)
        if not fits:
            raise UsageError(f"{path} takes images of {text}, got --input-shape {','.join(map(str, shape))}")
        return shape

    def check_batch(self, path: Path, batch_size: int) -> None:
        """Check a batch size against that of the file.

        Args:
            path: The file, for errors.
            batch_size: Batch size.

        Raises:
            UsageError: The file has another, fixed batch size.
        """
        if self.sizes[0] not in (None, batch_size):
            raise UsageError(f"{path} takes only batches of {self.sizes[0]}, got --batch-size {batch_size}")


class Runtime(ABC):
    """Runs model files on the CPU.

    Attributes:
        package: Package to install.
        module: Module to import.
        suffixes: Suffixes of the files that it runs.
    """

    package: ClassVar[str]
    module: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]

    def require(self) -> None:
        """Check that the runtime is installed.

        Raises:
            MissingExtraError: It is not; the message has the command that installs it.
        """
        if importlib.util.find_spec(self.module.split(".")[0]) is None:
            raise MissingExtraError(
                f"{self.package} is not installed, and {self.suffixes[0]} files need it: pip install {self.package}"
            )

    def load(self) -> None:
        """Import the runtime, so that the import is not measured as part of loading a model."""
        importlib.import_module(self.module)

    @abstractmethod
    def signature(self, path: Path) -> Signature:
        """Read the signature of a file.

        Args:
            path: Model file.

        Returns:
            The signature.

        Raises:
            ModelError: The runtime cannot open the file, or it does not have exactly one input.
        """

    @abstractmethod
    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """Open a file.

        Args:
            path: Model file.
            threads: Number of threads.
            shape: Shape of the input, with the batch.

        Returns:
            A session.

        Raises:
            ModelError: The file cannot be opened, or not with this shape.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the options with which sessions are opened, besides the number of threads."""

    @abstractmethod
    def operators(self, path: Path, threads: int, images: Images) -> dict[str, float] | None:
        """Measure how the time of a call is distributed over types of operators.

        Args:
            path: Model file.
            threads: Number of threads.
            images: One batch of raw pixels.

        Returns:
            Fractions of the time by type, the largest first; None if the runtime has no profiler.
        """
