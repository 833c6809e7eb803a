"""The error tree; every error states the rule, the received value and the remedy in one line.

KDCompressError            anything kdcompress refuses or fails at (exit 1)
 ├── UsageError            asked for wrongly (exit 2)
 │    └── RecipeError      a recipe, key or value that is not valid
 ├── DataError             a data set that is missing, damaged or inconsistent
 ├── ModelError            a model that cannot be loaded or does not fit
 ├── TargetsError          teacher outputs that cannot be used as targets
 ├── TrainingError         training that cannot go on
 ├── RunError              a run folder that cannot be used
 ├── ExportError           a model that a format cannot express
 └── MissingExtraError     an optional package is not installed
"""

from __future__ import annotations


def one_line(exc: BaseException, limit: int = 300) -> str:
    """What an exception of another library says, with its type, in one line of about `limit` characters."""
    return f"{type(exc).__name__}: {' '.join(str(exc).split())[:limit] or 'no message'}"


class KDCompressError(Exception):
    """Base of all errors that kdcompress raises on purpose."""

    exit_code = 1


class UsageError(KDCompressError):
    """The command or call was asked for wrongly."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe, one of its keys, or a value is not valid."""


class DataError(KDCompressError):
    """A data set is missing, damaged or inconsistent."""


class ModelError(KDCompressError):
    """A model cannot be loaded, or does not fit its role."""


class TargetsError(KDCompressError):
    """The teacher's outputs cannot be used as targets."""


class TrainingError(KDCompressError):
    """Training cannot go on."""


class RunError(KDCompressError):
    """A run folder cannot be used as it is."""


class ExportError(KDCompressError):
    """A model cannot be expressed in a format."""


class MissingExtraError(KDCompressError):
    """An optional package is needed and not installed."""
