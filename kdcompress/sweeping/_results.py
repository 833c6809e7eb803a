"""Stored results of the students of a sweep, each in a folder of its own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from kdcompress.digests import cached_sha256, sha256_of
from kdcompress.progress import Progress
from kdcompress.runs.artefacts import TRIAL
from kdcompress.sealed import read_sealed, write_sealed

STUDENT = "student.keras"
_RESULT = "trial.json"
_METRICS = ("val", "val_loss", "best_epoch")
_SHA256 = "student_sha256"


def save_result(folder: Path, metrics: dict[str, Any]) -> None:
    """Write the validation metrics of a student whose model file is in the folder.

    Args:
        folder: Folder of the student.
        metrics: `val`, `val_loss` and `best_epoch`.
    """
    write_sealed(folder / _RESULT, {**metrics, _SHA256: sha256_of(folder / STUDENT)})


def load_result(folder: Path, progress: Progress) -> dict[str, Any] | None:
    """Load the validation metrics of a trained student.

    Args:
        folder: Folder of the student.
        progress: Receives a warning about a damaged result.

    Returns:
        `val`, `val_loss` and `best_epoch`; None if they are missing, or if they or the model file were modified.
    """
    try:
        result = read_sealed(folder / _RESULT, (*_METRICS, _SHA256))
        digest = cached_sha256(folder / STUDENT)
        # Version 0.1 recorded no SHA-256
        if result.pop(_SHA256, digest) == digest and all(map(_is_finite_number, result.values())):
            return result
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError):
        pass
    progress.warn(f"{folder} was modified or damaged: its student is trained again")
    return None


def delete_result(folder: Path) -> None:
    """Delete the folder of a completed student; one without a result may be in use by another process.

    Args:
        folder: Folder of the student; files that are not the sweep's remain.
    """
    if (folder / _RESULT).is_file():
        (folder / _RESULT).unlink()
        if not TRIAL.delete(folder):
            folder.rmdir()


def _is_finite_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
