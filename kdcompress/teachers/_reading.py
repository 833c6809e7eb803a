"""Detection of what the outputs of a teacher are: logits, softmax probabilities or sigmoids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ModelError

Floats = NDArray[np.float32]
OutputKind = Literal["logits", "probabilities", "sigmoids"]

_TINY = float(np.finfo(np.float32).tiny)
# Rows of a softmax sum to 1 within this, in bfloat16 (0.017 where TensorFlow also adds in it, as it does on processors
# without AVX-512 VNNI), float16 and float32
_BFLOAT16_TOLERANCE, _FLOAT16_TOLERANCE, _SUM_TOLERANCE = 2.5e-2, 4e-3, 1e-3
_NOTABLE = 1e-6  # rounding steps below it are those of float16
_ABOVE_ONE = 1e-3  # by which rounding may lift a probability over 1
_SURE_PERCENT = 90.0  # that the surest of some sigmoids in per cent reaches, and logits hardly do
# Denominators of what outputs are rounded to: decimals, and the steps of integers of 8 and 16 bits
_DENOMINATORS = (10, 100, 255, 256, 1000, 10_000, 65_535, 65_536, 100_000)
_LEAST_DISTINCT = 8  # values between 0 and 1, by which a grid can be told from certainties
_CLIPPED_PART = 0.02  # of the outputs that are equal to the lowest one, where they were clipped


@dataclass(frozen=True)
class OutputReading:
    """Conversion of a teacher's own outputs to logits.

    Attributes:
        kind: Kind of the outputs.
        percent: Whether they range from 0 to 100.
        floor: The smallest probability that is distinguished from 0: half of a rounding step.
        gap: The smallest distinguished difference from 1.
        rounded: Whether `floor` was detected, and is not that of float32.
    """

    kind: OutputKind = "logits"
    percent: bool = False
    floor: float = _TINY
    gap: float = 2.0**-25
    rounded: bool = False

    @property
    def identity(self) -> str:
        """The part of the key of cached targets that depends on the outputs' kind and resolution."""
        details = [*(["percent"] if self.percent else []), *([f"{self.floor:.3g}"] if self.rounded else [])]
        return " ".join([self.kind, *details])

    @property
    def note(self) -> str | None:
        """Message on their kind, to follow the teacher's name; None for logits."""
        if self.kind == "logits":
            return None
        in_percent = ", in per cent" if self.percent else ""
        rounding = f", rounded to steps of {2 * self.floor:.2g}" if self.floor > _NOTABLE and self.rounded else ""
        if self.kind == "probabilities":
            return f"ends in probabilities{in_percent}{rounding}: their logarithms are taken as logits"
        return (
            f"ends in sigmoids{in_percent}{rounding} (0 to 1, rows do not sum to 1): their log-odds, "
            "log p - log(1 - p), are taken as logits"
        )

    def to_logits(self, outputs: NDArray[Any]) -> Floats:
        """Convert outputs to logits.

        Args:
            outputs: Outputs (..., classes) of this kind.

        Returns:
            The same shape.
        """
        if self.kind == "logits":
            return np.asarray(outputs, np.float32)
        p = np.asarray(outputs, np.float32) / np.float32(100 if self.percent else 1)
        logits = np.log(np.maximum(p, np.float32(self.floor)))
        if self.kind == "sigmoids":
            logits = logits - np.log(np.maximum(1 - p, np.float32(self.gap)))
        return np.asarray(logits, np.float32)


def inspect_outputs(
    outputs: NDArray[Any], step: float = 0.0, kind: str = "auto", description: str = ""
) -> OutputReading:
    """Detect what the outputs of a model are, from those for some images.

    Outputs that are never negative and at most 1, or 100, are probabilities: of a softmax where every row sums to 1 as
    nearly as their precision, clipping and rounding allow, else of sigmoids.

    Args:
        outputs: The model's own outputs (n, outputs), before classes are selected.
        step: Distance between neighbouring outputs of a quantized model, otherwise 0.
        kind: Setting teacher.outputs of the recipe, or "auto".
        description: Name of the model in messages.

    Returns:
        How they are converted to logits.

    Raises:
        ModelError: They are set to probabilities or sigmoids, but are below 0 or above 100.
    """
    values = np.asarray(outputs, np.float32)
    if kind == "logits" or not np.isfinite(values).all() or values.size == 0:
        return OutputReading("logits")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 100 + _ABOVE_ONE or (kind == "auto" and low == high):
        if kind != "auto":
            raise ModelError(
                f"teacher.outputs = {kind!r}, but {description} gives numbers from {low:.3g} to {high:.3g}; "
                "probabilities are 0 to 1, or 0 to 100: take 'logits', or leave it out"
            )
        return OutputReading("logits")
    percent = high > 1 + _ABOVE_ONE
    p = values / np.float32(100) if percent else values
    floor, gap = _resolution(p, step / 100 if percent else step)
    softmax = _sums_to_one(p, floor)
    if kind == "auto" and percent and not softmax and high < _SURE_PERCENT:
        return OutputReading("logits")
    detected: OutputKind = "probabilities" if softmax else "sigmoids"
    if kind in ("probabilities", "sigmoids"):
        detected = "probabilities" if kind == "probabilities" else "sigmoids"
    return OutputReading(detected, percent, floor, gap, rounded=floor > _TINY and not step)


def are_probabilities(outputs: NDArray[np.floating[Any]], step: float = 0.0) -> bool:
    """Whether outputs are those of a softmax in [0, 1].

    Args:
        outputs: Shape (n, classes).
        step: Quantization step of the outputs, otherwise 0.
    """
    reading = inspect_outputs(outputs, step)
    return reading.kind == "probabilities" and not reading.percent


def with_both_classes(logits: Floats) -> Floats:
    """Convert the logit z of the second of two classes to (0, z), whose softmax is (1 - sigmoid(z), sigmoid(z)).

    Args:
        logits: Shape (..., 1).

    Returns:
        Shape (..., 2).
    """
    return np.concatenate([np.zeros_like(logits), logits], axis=-1)


def _sums_to_one(p: Floats, floor: float) -> bool:
    classes = p.shape[-1]
    if classes == 1:
        return False
    tolerance = _SUM_TOLERANCE
    if _is_bfloat16(p):
        tolerance = _BFLOAT16_TOLERANCE
    elif _is_float16(p):
        tolerance = _FLOAT16_TOLERANCE
    tolerance += classes * (floor if floor > _TINY else 0)
    lowest = p.min()
    if lowest > 0 and (p == lowest).mean() > _CLIPPED_PART:  # every class was lifted by at most that
        tolerance += classes * float(lowest)
    return bool((np.abs(p.sum(axis=-1, dtype=np.float64) - 1) <= tolerance).all())


def _resolution(p: Floats, step: float) -> tuple[float, float]:
    """The lowest probability that is told from 0, and the lowest difference from 1: half a step each."""
    if step:
        return max(_TINY, step / 2), max(2.0**-25, step / 2)
    inside = np.unique(p[(p > 0) & (p < 1)])
    if len(inside) >= _LEAST_DISTINCT:
        for denominator in _DENOMINATORS:
            counts = inside.astype(np.float64) * denominator
            whole = np.rint(counts)
            if (np.abs(counts - whole) <= 1e-3 + 1e-7 * denominator).all() and whole.min() >= 1:
                return 0.5 / denominator, 0.5 / denominator
    if _is_bfloat16(p):
        return _TINY, 2.0**-9
    if _is_float16(p):
        return 2.0**-25, 2.0**-12
    return _TINY, 2.0**-25


def _is_float16(p: Floats) -> bool:
    return bool(np.array_equal(p, p.astype(np.float16).astype(np.float32)))


def _is_bfloat16(p: Floats) -> bool:
    return bool(((np.ascontiguousarray(p).view(np.uint32) & 0xFFFF) == 0).all())
