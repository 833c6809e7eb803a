"""What an export format is: how it writes a network, and how its files are run again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kdcompress.exporting._network import Network

Images = NDArray[np.generic]
Logits = NDArray[np.float32]

FP32, FP16, INT8, DYNAMIC = "fp32", "fp16", "int8", "dynamic"
PRECISIONS = (FP32, FP16, INT8, DYNAMIC)
OPSETS = range(13, 19)
INPUT_TYPES = ("int8", "uint8", "float32")


@dataclass(frozen=True)
class Options:
    """How to write: `opset` counts for ONNX; `input_type` is what a full int8 TFLite file takes its pixels as."""

    opset: int = 17
    input_type: str = "int8"


@dataclass(frozen=True)
class ExportedModel:
    """A model file, opened: `run` maps raw pixels (n, H, W, C), 0 to 255, any n, to logits (n, classes)."""

    run: Callable[[Images], Logits]
    input_shape: tuple[int, int, int]
    classes: list[str] | None


class Format(ABC):
    """A file format; its module's FORMAT is one."""

    suffix: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    reproducible: ClassVar[bool] = True
    """Whether the same network gives the same bytes."""

    @abstractmethod
    def write(
        self,
        network: Network,
        path: Path,
        precision: str,
        options: Options,
        calibration: Images | None,
        metadata: dict[str, Any],
    ) -> None:
        """Write the network to `path`, which does not exist yet.

        `calibration` (n, H, W, C) are images to take the ranges of activations from, given for INT8. ExportError names
        the operator and the layer that the format cannot express.
        """

    @abstractmethod
    def open(self, path: Path, threads: int = 1) -> ExportedModel:
        """Open a file of this format to run it on the CPU; ModelError if it cannot be."""
