"""Description of trained int8 integers: the grids of kernels and activations of a float model, as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kdcompress.errors import RunError
from kdcompress.files import read_json, write_json

FILE = "quantization.json"
LEVELS = 255  # steps of an 8-bit activation
KERNEL_LIMIT = 63
"""Largest integer of a kernel: 7 bits, so that two products with 8-bit activations fit 16 bits (255 * 63 * 2)."""
_BITS = 12  # significant bits of a scale: the product of two is exact in float32, and so is 255 times one
SMALLEST = 2.0**-20  # scale of an activation that is always 0: runtimes refuse smaller ones
_MAX_LAYERS = 10_000
_REMEDY = "compress the run again"
_MAX_CHANNELS = 100_000

Scale = Annotated[float, Field(gt=1e-30, lt=1e30, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=500)]


class Grid(BaseModel):
    """The 8-bit integers of an activation: real = scale * (q - zero_point), q in [0, 255].

    Attributes:
        scale: Distance of two neighbouring values.
        zero_point: Integer of the real number 0; int8 files store it, as all integers, less 128.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: Scale
    zero_point: int = Field(ge=0, le=LEVELS)

    @property
    def limits(self) -> tuple[float, float]:
        """The smallest and the largest real number."""
        return -self.zero_point * self.scale, (LEVELS - self.zero_point) * self.scale


class Quantization(BaseModel):
    """Grids of a float model, by the names of its layers.

    Attributes:
        schema_version: Version of the document.
        kernels: Scales of each quantized kernel, which are symmetric: one for a kernel that is quantized per tensor, or
            one for each output channel.
        activations: Grid of the output of each layer that has one; the outputs of other layers are not rounded.
        float_layers: Layers that compute in float, because int8 has no counterpart of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    kernels: dict[Name, Annotated[list[Scale], Field(min_length=1, max_length=_MAX_CHANNELS)]] = Field(
        max_length=_MAX_LAYERS
    )
    activations: dict[Name, Grid] = Field(max_length=_MAX_LAYERS)
    float_layers: list[Name] = Field(default_factory=list, max_length=_MAX_LAYERS)

    @model_validator(mode="after")
    def _check(self) -> Quantization:
        if both := sorted(set(self.float_layers) & set(self.kernels)):
            raise ValueError(f"layer {both[0]} has a quantized kernel and computes in float")
        return self

    def save(self, path: Path) -> None:
        """Write the description atomically.

        Args:
            path: The file, `quantization.json`.
        """
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def load(cls, path: Path) -> Quantization:
        """Read a description, which is untrusted input.

        Args:
            path: The file.

        Returns:
            The description.

        Raises:
            RunError: It is missing, damaged, or of another version.
        """
        try:
            return cls.model_validate(read_json(path, RunError, _REMEDY), strict=True)
        except FileNotFoundError as exc:
            raise RunError(f"{path} is missing; {_REMEDY}") from exc
        except ValidationError as exc:
            problem = exc.errors()[0]
            key = ".".join(map(str, problem["loc"])) or "the document"
            raise RunError(f"{path} is damaged ({key}: {problem['msg'].lower()}); {_REMEDY}") from exc


def round_scale(scale: float, *, down: bool = False) -> float:
    """Round a scale up to 12 significant bits.

    Products of two such scales are exact in float32, so that every converter computes the same scale of a bias, and
    ranges (255 times a scale) are exact as well: no file can differ from another by the rounding of a scale.

    Args:
        scale: The scale, > 0.
        down: Round down instead.

    Returns:
        The rounded scale.
    """
    mantissa, exponent = math.frexp(scale)
    return math.ldexp((math.floor if down else math.ceil)(math.ldexp(mantissa, _BITS)), exponent - _BITS)


def make_grid(low: float, high: float, scale: float | None = None, *, ceiling: float | None = None) -> Grid:
    """Make the grid of a range.

    Args:
        low: Smallest value; the grid always contains 0.
        high: Largest value.
        scale: Scale, if it is not that of the range.
        ceiling: Value that the grid must not pass, such as the 6 of a ReLU6: its rounding then is a limit already.

    Returns:
        The grid.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = round_scale(max((high - low) / LEVELS, SMALLEST)) if scale is None else scale
    if ceiling is not None and LEVELS * scale > ceiling:
        scale = round_scale(ceiling / LEVELS, down=True)
    return Grid(scale=scale, zero_point=min(LEVELS, max(0, round(-low / scale))))


def kernel_scales(largest: Iterable[float] | NDArray[Any], limit: int = KERNEL_LIMIT) -> NDArray[np.float32]:
    """Compute the scales of a kernel.

    Args:
        largest: Largest |value| of the kernel, or of each of its channels.
        limit: Largest integer.

    Returns:
        A scale for each, rounded up.
    """
    values = np.maximum(np.asarray(largest, np.float64).reshape(-1) / limit, 1e-12)
    return np.array([round_scale(float(value)) for value in values], np.float32)
