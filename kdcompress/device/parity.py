"""Parity on a device: whether a file gives the outputs there that it gave where the bundle was made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.benchmarking import make_runtime

FP32_TOLERANCE = 1e-4  # largest difference in fp32, as a fraction of the largest |logit|, as of an export
AGREEMENT = 0.95  # required top-1 agreement of smaller precisions, whose kernels may round in other ways


def outputs_of(runtime: str, path: Path, images: NDArray[Any]) -> NDArray[Any]:
    """Run a file on images, one at a time.

    Args:
        runtime: Name of the runtime.
        path: Model file.
        images: Inputs as the file takes them, (n, ...).

    Returns:
        Outputs as the file gives them, (n, classes); integers of files that end in integers.

    Raises:
        ModelError: The file cannot be opened.
    """
    session = make_runtime(runtime).open(path, 1, (1, *images.shape[1:]))
    outputs = [session.invoke(session.prepare(images[i : i + 1])) for i in range(len(images))]
    return np.concatenate([np.asarray(out[0] if isinstance(out, list) else out) for out in outputs])


def compare(outputs: NDArray[Any], expected: NDArray[Any], precision: str | None) -> dict[str, Any]:
    """Compare the outputs of a file on a device with those where the bundle was made.

    fp32, or a file of unknown precision, passes if no output differs by more than 1e-4 of the largest |output|, and
    top-1 changes only where the two largest outputs are closer than that. Smaller precisions pass if top-1 agrees on
    95 % of the images.

    Args:
        outputs: Outputs on the device, (n, classes).
        expected: Outputs where the bundle was made, of the same shape and dtype.
        precision: Precision of the file, if known.

    Returns:
        `n`, `max_abs_diff`, `largest_logit`, `top1_agreement`, `identical`, `passed` and `reasons`, as a result has
        them.
    """
    if outputs.shape != expected.shape or outputs.dtype != expected.dtype:
        got, wanted = (f"{array.dtype} {array.shape}" for array in (outputs, expected))
        return _entry(len(expected), None, None, 0.0, False, [f"its outputs are {got}, expected {wanted}"])
    finite = bool(np.isfinite(outputs).all())
    ours, theirs = outputs.astype(np.float64), expected.astype(np.float64)
    flipped = np.flatnonzero(ours.argmax(axis=-1) != theirs.argmax(axis=-1)) if finite else np.arange(len(ours))
    largest = float(np.abs(theirs).max())
    worst = float(np.abs(ours - theirs).max()) if finite else None
    agreement = 1 - len(flipped) / len(ours)
    return _entry(
        len(ours), worst, largest, agreement, bool(np.array_equal(outputs, expected)),
        _problems(worst, largest, agreement, _clear(theirs[flipped], FP32_TOLERANCE * largest), precision),
    )  # fmt: skip


def _problems(worst: float | None, largest: float, agreement: float, clear: int, precision: str | None) -> list[str]:
    if worst is None:
        return ["its outputs are not finite"]
    if precision in (None, "fp32"):
        limit, problems = FP32_TOLERANCE * largest, []
        if worst > limit:
            problems.append(
                f"outputs differ by up to {worst:.3g}, above {limit:.3g} ({FP32_TOLERANCE:g} of the largest)"
            )
        if clear:
            problems.append(f"top-1 differs on {clear} images that are not ties")
        return problems
    if agreement < AGREEMENT:
        return [f"top-1 agrees on {100 * agreement:.1f} % of the images, below {100 * AGREEMENT:g} %"]
    return []


def _clear(rows: NDArray[Any], tolerance: float) -> int:
    """Count rows whose two largest outputs are further apart than the tolerance."""
    if not len(rows) or rows.shape[-1] < 2:
        return len(rows)
    two = np.sort(rows, axis=-1)[:, -2:]
    return int(np.sum(two[:, 1] - two[:, 0] > tolerance))


def _entry(
    n: int, worst: float | None, largest: float | None, agreement: float, identical: bool, reasons: list[str]
) -> dict[str, Any]:
    return {
        "n": n,
        "max_abs_diff": worst,
        "largest_logit": largest,
        "top1_agreement": agreement,
        "identical": identical,
        "passed": not reasons,
        "reasons": reasons,
    }
