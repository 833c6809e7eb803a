"""Keeps the output of libraries out of notebooks."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterator

from kdcompress.notebook._kernel import in_kernel
from kdcompress.streams import open_sink, redirected

_LOGGERS = ("absl", "tensorflow", "tf2onnx")
_WARNING_MODULES = r"(absl|keras|onnx|onnxruntime|optuna|tensorflow|tf2onnx|tf_keras|torch|tqdm)(\.|$)"
_lock = threading.Lock()
_stack = contextlib.ExitStack()
_depth = 0


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Discard what libraries warn of, log, and write to file descriptors 1 and 2, in a Jupyter kernel.

    A kernel shows these below the cell. What Python prints does not go through them there, so that the output of the
    user's own code stays.
    """
    if not in_kernel():
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _depth
    with _lock:  # calls may be nested, or overlap in threads: the first one redirects, the last one restores
        if _depth == 0:
            if "tensorflow" not in sys.modules:  # which reads this once, and then holds for the user's own calls, too
                os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            sink = _stack.enter_context(open_sink(None))
            _stack.enter_context(redirected(sink.fileno()))
            _stack.enter_context(_quiet_loggers())
            _stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=_WARNING_MODULES)
        _depth += 1


def _leave() -> None:
    global _depth
    with _lock:
        _depth -= 1
        if _depth == 0:
            _stack.close()


@contextlib.contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Drop the log messages of libraries, and take off the handlers that they add to the root logger."""
    import absl.logging  # noqa: F401  # makes its logger itself: one that exists before would be of another class

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    handlers = list(logging.root.handlers)
    for logger in loggers:
        logger.addFilter(_drop)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_drop)
        for handler in [handler for handler in logging.root.handlers if handler not in handlers]:
            logging.root.removeHandler(handler)


def _drop(record: logging.LogRecord) -> bool:
    """A filter that no record passes."""
    return False
