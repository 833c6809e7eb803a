"""The networks of keras.applications: their preprocessing, sizes and published ImageNet weights."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from kdcompress.errors import ModelError
from kdcompress.models._published import KERAS, PublishedWeights


class Pixels(Enum):
    """The pixels that a network expects, made of raw ones, 0 to 255."""

    INSIDE = "raw: the network has its preprocessing inside"
    SIGNED = "-1 to 1"
    STANDARDIZED = "minus ImageNet's mean, over its standard deviation"
    BGR = "BGR minus ImageNet's mean"


@dataclass(frozen=True)
class Application:
    """A network of keras.applications.

    Attributes:
        name: Name of the function in keras.applications.
        pixels: Preprocessing of the published weights.
        parameters: Number of parameters without the head, at width 1.
        gflops: Billions of FLOPs of an image of 224x224 pixels, at width 1.
        weights: URL of the published weights without the head, relative to KERAS; with places for the width and
            the size of images where there is a file for each.
        digest: MD5 or SHA-256 of that file; None if Keras records none.
        smallest: Smallest side of images, in pixels.
        file: Name in Keras's cache, if it is not the last part of the address.
        scalable: Whether it has a width multiplier.
    """

    name: str
    pixels: Pixels
    parameters: int
    gflops: float
    weights: str
    digest: str | None
    smallest: int = 32
    file: str | None = None
    scalable: bool = False

    @property
    def widths(self) -> tuple[float, ...]:
        """Widths with published weights."""
        return tuple(_WIDTHS.get(self.name, (1.0,)))

    def estimate_flops(self, input_shape: tuple[int, int, int], width: float = 1.0) -> float:
        """Estimate the FLOPs of an image from its area; see `Architecture.estimate_flops`.

        Args:
            input_shape: (H, W, 3).
            width: Multiplier of the filters, on whose square most FLOPs depend.

        Returns:
            FLOPs.
        """
        height, across, _ = input_shape
        return 1e9 * self.gflops * height * across / 224**2 * width**2

    def published(self, input_shape: tuple[int, int, int], width: float = 1.0) -> PublishedWeights:
        """Return the ImageNet weights that Keras publishes.

        Args:
            input_shape: (H, W, 3).
            width: Multiplier of the filters.

        Returns:
            The weights file, without the head.

        Raises:
            ModelError: If there are no weights for this width.
        """
        base = "" if self.weights.startswith("https://") else f"{KERAS}/"
        if not self.scalable:
            return PublishedWeights(f"{base}{self.weights}", self.digest, self.file)
        files = _WIDTHS[self.name]
        if width not in files:
            raise ModelError(
                f"ImageNet weights of keras:{self.name} exist for the widths {', '.join(map(str, files))}, "
                f'got {width:g}; take one of them, or pretrained = "none"'
            )
        text, digest = files[width]
        height, across, _ = input_shape
        size = height if height == across and height in _SIZES.get(self.name, ()) else 224
        return PublishedWeights(f"{base}{self.weights.format(width=text, size=size)}", digest)


# Of networks with a width multiplier: how file names spell widths, and the digest of the files
_WIDTHS: dict[str, dict[float, tuple[str, str | None]]] = {
    "MobileNet": {0.25: ("2_5", None), 0.5: ("5_0", None), 0.75: ("7_5", None), 1.0: ("1_0", None)},
    "MobileNetV2": {width: (str(width), None) for width in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)},
    "MobileNetV3Large": {
        0.75: ("0.75", "40af19a13ebea4e2ee0c676887f69a2e"),
        1.0: ("1.0", "07fb09a5933dd0c8eaafa16978110389"),
    },
    "MobileNetV3Small": {
        0.75: ("0.75", "ebdb5cc8e0b497cd13a7c275d475c819"),
        1.0: ("1.0", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    },
}
# Sides of images with published weights of their own; those for 224 serve all others
_SIZES = {"MobileNet": (128, 160, 192, 224), "MobileNetV2": (96, 128, 160, 192, 224)}


def _read(row: Mapping[str, str]) -> Application:
    return Application(
        name=row["name"],
        pixels=Pixels[row["pixels"].upper()],
        parameters=int(row["parameters"]),
        gflops=float(row["gflops"]),
        weights=row["weights"],
        digest=row["digest"] or None,
        smallest=int(row["smallest"]),
        file=row["file"] or None,
        scalable=row["scalable"] == "1",
    )


with Path(__file__).with_name("applications.csv").open(encoding="utf-8", newline="") as _file:
    APPLICATIONS = {row["name"]: _read(row) for row in csv.DictReader(_file)}
