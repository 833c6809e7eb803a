"""Models from the user's own code: module:function, or module:Class of an Architecture."""

from __future__ import annotations

import importlib
import re
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.models._base import Architecture
from kdcompress.plugins import block_triton, current_folder_first


def is_keras_model(model: Any) -> bool:
    """Whether an object is a Keras 3 model.

    Args:
        model: Any object.
    """
    import keras

    return isinstance(model, keras.Model)


def load_from_function(
    reference: str, role: str, input_shape: tuple[int, int, int] | None = None, outputs: int | None = None
) -> Any:
    """Make a Keras model by a user's function or architecture, see `call_function`.

    Args:
        reference: `module:function` of a function without arguments, or `module:Class` of an Architecture.
        role: "teacher" or "student", for messages.
        input_shape: (H, W, C), which an architecture requires.
        outputs: Number of outputs, which an architecture requires.

    Returns:
        A Keras 3 model.

    Raises:
        ModelError: If the code cannot be imported, fails, or returns anything else.
    """
    model = call_function(reference, role, input_shape, outputs)
    if not is_keras_model(model):
        raise ModelError(f"{role} {reference} returns {type(model).__name__}; it must return a Keras 3 model")
    return model


def call_function(
    reference: str, role: str, input_shape: tuple[int, int, int] | None = None, outputs: int | None = None
) -> Any:
    """Import and call a user's function, or build a user's architecture.

    Args:
        reference: `module:function` of a function without arguments, or `module:Class` of an Architecture.
        role: "teacher" or "student", for messages.
        input_shape: (H, W, C), which an architecture requires.
        outputs: Number of outputs, which an architecture requires.

    Returns:
        What the function returns.

    Raises:
        ModelError: If the code cannot be imported, or fails.
    """
    module_name, _, function_name = reference.partition(":")
    block_triton()
    with current_folder_first():
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
            return _make(function, input_shape, outputs)
        except (Exception, SystemExit) as exc:
            raise ModelError(f"{role} {reference} raises {explain_error(exc)}") from exc


def _make(function: Any, input_shape: tuple[int, int, int] | None, outputs: int | None) -> Any:
    if not (isinstance(function, type) and issubclass(function, Architecture)):
        return function()
    if input_shape is None or outputs is None:
        raise ModelError("an architecture is built for a data set's images: give a function that returns a model")
    return function.build(input_shape, outputs)


def explain_error(exc: BaseException) -> str:
    """Format an exception that loading a model raised, with a hint for an unknown custom class.

    Args:
        exc: The exception.

    Returns:
        One line.
    """
    text = str(exc)
    if unknown := re.search(r"Could not locate (?:class|function) '([^']+)'", text):
        return (
            f"its custom class {unknown[1]!r} is not known here; "
            "give the model as module:function that imports the class and loads the file"
        )
    return one_line(exc)
