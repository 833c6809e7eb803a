"""The exception hierarchy. Every message states the rule, the received value and the remedy in one line.

KDCompressError            any error that kdcompress raises on purpose (exit 1)
 ├── UsageError            an invalid command or call (exit 2)
 │    └── RecipeError      an invalid recipe, key or value
 ├── DataError             a data set that is missing, damaged or inconsistent
 ├── ModelError            a model that cannot be loaded or does not fit its role
 ├── TargetsError          teacher outputs that cannot be used as targets
 ├── TrainingError         training that cannot continue
 ├── RunError              a run folder that cannot be used
 ├── ExportError           a model that a format cannot express
 ├── DeviceError           a device that cannot be reached, or cannot do what it is asked
 ├── ClusterError          a cluster that cannot be used, or lost what it needs
 └── MissingExtraError     an optional package is not installed
"""

from __future__ import annotations


def one_line(exc: BaseException, limit: int = 300) -> str:
    """Format an exception of another library in one line.

    Args:
        exc: The exception.
        limit: Maximum length of its message, in characters.

    Returns:
        Type and message.
    """
    text = str(exc)
    if "\x1b[1m" in text:  # Keras sets the message in bold, between the call and its arguments
        text = text.rpartition("\x1b[1m")[2].partition("\x1b[0m")[0]
    return f"{type(exc).__name__}: {' '.join(text.split())[:limit] or 'no message'}"


def error_text(exc: BaseException) -> str:
    """Format the message of an exception in one short line.

    Args:
        exc: The exception.

    Returns:
        At most 200 characters, without the type; the type if there is no message.
    """
    return " ".join(str(exc).split())[:200] or type(exc).__name__


class KDCompressError(Exception):
    """Base of all errors that kdcompress raises on purpose."""

    exit_code = 1
    kind = "failed"
    """Name of the class of errors in JSON documents."""


class UsageError(KDCompressError):
    """The command or call is invalid."""

    exit_code = 2
    kind = "usage"


class RecipeError(UsageError):
    """A recipe, one of its keys, or a value is invalid."""

    kind = "recipe"


class DataError(KDCompressError):
    """A data set is missing, damaged or inconsistent."""

    kind = "data"


class ModelError(KDCompressError):
    """A model cannot be loaded, or does not fit its role."""

    kind = "model"


class TargetsError(KDCompressError):
    """The teacher's outputs cannot be used as targets."""

    kind = "targets"


class TrainingError(KDCompressError):
    """Training cannot continue."""

    kind = "training"


class RunError(KDCompressError):
    """A run folder cannot be used as it is."""

    kind = "run"


class ExportError(KDCompressError):
    """A model cannot be expressed in a format."""

    kind = "export"


class DeviceError(KDCompressError):
    """A device cannot be reached, or cannot do what it is asked."""

    kind = "device"


class ClusterError(KDCompressError):
    """A cluster cannot be used, or lost what the work needs."""

    kind = "cluster"


class MissingExtraError(KDCompressError):
    """An optional package is required and not installed."""

    kind = "missing_extra"
