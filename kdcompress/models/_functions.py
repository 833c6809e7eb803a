"""Models that a function of the user's makes: module:function, which the user named."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kdcompress.errors import ModelError, one_line


def load_from_function(reference: str, role: str) -> Any:
    """The Keras model that `module:function` returns; ModelError, with `role` and the reference, if it gives none."""
    import keras

    module_name, _, function_name = reference.partition(":")
    with _current_folder_first():
        try:
            function = getattr(importlib.import_module(module_name), function_name, None)
        except ModuleNotFoundError as exc:
            raise ModelError(
                f"{role} {reference}: no module {exc.name!r} here or among the installed packages"
            ) from exc
        except (Exception, SystemExit) as exc:
            raise ModelError(f"{role} {reference}: importing {module_name} fails: {explain_error(exc)}") from exc
        if not callable(function):
            raise ModelError(f"{role} {reference}: module {module_name} has no function {function_name!r}")
        try:
            model = function()
        except (Exception, SystemExit) as exc:
            raise ModelError(f"{role} {reference} raises {explain_error(exc)}") from exc
    if not isinstance(model, keras.Model):
        raise ModelError(f"{role} {reference} returns {type(model).__name__}; it must return a Keras 3 model")
    return model


def explain_error(exc: BaseException) -> str:
    """An exception in one line, with the way out for the two that people meet most."""
    text = str(exc)
    if unknown := re.search(r"Could not locate (?:class|function) '([^']+)'", text):
        return (
            f"its custom class {unknown[1]!r} is not known here; "
            "give the model as module:function that imports the class and loads the file"
        )
    return one_line(exc)


@contextmanager
def _current_folder_first() -> Iterator[None]:
    """Modules are looked for in the current folder first, as `python` does, while the user's own function is called.

    Afterwards it stands last: what lies there by chance must not take the place of a package that is imported later.
    """
    here = ""
    sys.path[:] = [here, *(place for place in sys.path if place != here)]
    try:
        yield
    finally:
        sys.path[:] = [*(place for place in sys.path if place != here), here]
