"""Interface of export formats: writing a network to a file, and opening such files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.images import DEFAULT_IMAGE_SETTINGS, ImageSettings

if TYPE_CHECKING:
    from kdcompress.exporting._network import Network

Images = NDArray[np.generic]
Logits = NDArray[np.float32]

FP32, FP16, INT8, DYNAMIC, INT4 = "fp32", "fp16", "int8", "dynamic", "int4"
PRECISIONS = (FP32, FP16, INT8, DYNAMIC, INT4)
CALIBRATED = (INT8, INT4)  # precisions whose files take ranges of activations from images
OPSETS = range(13, 19)
INPUT_TYPES = ("int8", "uint8", "float32")


@dataclass(frozen=True)
class Options:
    """Format-specific options.

    Attributes:
        opset: ONNX operator set.
        input_type: Data type of the input of a fully quantised int8 TFLite file.
        float_layers: Names of the layers of an int8 file that stay in float.
        int4_convolutions: Whether convolutions of an int4 file have 4 bits, too, and not 8.
    """

    opset: int = 17
    input_type: str = "int8"
    float_layers: tuple[str, ...] = ()
    int4_convolutions: bool = False


@dataclass(frozen=True)
class ExportedModel:
    """An opened model file.

    Attributes:
        run: Maps raw pixels in [0, 255], (n, H, W, C) for any n, to logits, (n, classes).
        input_shape: (H, W, C).
        classes: Class names, if the file records them.
        image_settings: How image files are converted to raw pixels.
    """

    run: Callable[[Images], Logits]
    input_shape: tuple[int, int, int]
    classes: list[str] | None
    image_settings: ImageSettings = DEFAULT_IMAGE_SETTINGS


class MixedInt8(ABC):
    """An int8 file whose ranges are known, of which any layers may stay in float.

    Attributes:
        layers: Names of its layers, in the order of the network.
    """

    layers: tuple[str, ...]

    @abstractmethod
    def build(self, float_layers: Collection[str], float_ends: bool = False) -> bytes:
        """Quantise all but some layers.

        Args:
            float_layers: Names among `layers`.
            float_ends: Whether input and output are float32, whatever the options of the file.

        Returns:
            The content of a file that the format opens, without metadata.
        """


class Format(ABC):
    """A file format.

    Attributes:
        suffix: Suffix of its files, with the dot.
        precisions: Precisions that it supports.
    """

    suffix: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    reproducible: ClassVar[bool] = True
    """Whether the same network gives the same bytes."""
    contents: ClassVar[str] = ""
    """Pattern of the names of the files in the folder that it writes; empty for a format of single files."""
    extra: ClassVar[str] = ""
    """Extra of kdcompress that its writer needs; `--format all` stands for the formats that need none."""
    approximate: ClassVar[tuple[str, ...]] = ()
    """TensorFlow operators that its runtimes compute with other weights."""

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
        """Write a network to a file.

        Args:
            network: Frozen network.
            path: File or folder, which does not exist yet.
            precision: One of `precisions`.
            options: Format-specific options.
            calibration: Images for the ranges of activations, (n, H, W, C); only for INT8 and INT4.
            metadata: JSON-compatible document to store in the file.

        Raises:
            ExportError: The format cannot express an operator; the message names it and its layer.
        """

    def calibrate(self, network: Network, options: Options, calibration: Images) -> MixedInt8 | None:
        """Measure the ranges of an int8 file once, so that variants of it cost no calibration.

        Args:
            network: Frozen network.
            options: Format-specific options.
            calibration: Images for the ranges of activations, (n, H, W, C).

        Returns:
            The int8 file; None if the format cannot leave single layers in float.

        Raises:
            ExportError: The format cannot express an operator.
        """
        return None

    @abstractmethod
    def open(self, path: Path, threads: int = 1) -> ExportedModel:
        """Open a file of this format on the CPU.

        Args:
            path: File or folder.
            threads: Threads of the runtime.

        Returns:
            The model.

        Raises:
            ModelError: The file cannot be opened.
        """
