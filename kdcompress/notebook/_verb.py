"""The functions of the Python interface in a Jupyter kernel."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from kdcompress.notebook._bar import ProgressBar
from kdcompress.notebook._kernel import in_kernel
from kdcompress.notebook._quiet import quiet_libraries
from kdcompress.progress import Progress

P = ParamSpec("P")
R = TypeVar("R")


def for_notebooks(function: Callable[P, R]) -> Callable[P, R]:
    """Give a function a progress bar and keep the output of libraries out, in a Jupyter kernel.

    Args:
        function: Takes `progress` as a keyword. Elsewhere than in a kernel it is called as it is.

    Returns:
        The function; a call that passes a `progress` of its own gets no bar.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if not in_kernel():
            return function(*args, **kwargs)
        with quiet_libraries():
            if kwargs.get("progress") is not None:
                return function(*args, **kwargs)
            return _with_bar(function, *args, **kwargs)

    return wrapped


def _with_bar(function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    bar = ProgressBar()
    # A log that nobody has set up ends on stderr, where the warnings would be shown a second time
    logger = logging.getLogger("kdcompress")
    log = bool(logger.handlers) or logger.level != logging.NOTSET
    try:
        return function(*args, **{**kwargs, "progress": Progress(bar, log=log)})
    finally:
        bar.close()
