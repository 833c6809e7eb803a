"""Check of the configuration in a Keras file, before Keras reads it, against the allowlist."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kdcompress.errors import ModelError
from kdcompress.formats.keras.allowed import CLASSES, FUNCTION_MODULES, FUNCTIONS, VALUES, WITHOUT_MODULE
from kdcompress.trust import REMEDY, trusts_code

_MAX_DEPTH = 200
_FUNCTION = "function"
_REMEDY = f"give the model as module:function that you trust, or {REMEDY}"


def parse_config(text: str | bytes, name: str) -> dict[str, Any]:
    """Parse a configuration.

    Args:
        text: JSON.
        name: Name of the file in errors.

    Returns:
        The configuration.

    Raises:
        ModelError: It is not a JSON object, or is nested too deeply to be parsed.
    """
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ModelError(f"{name}: its configuration is damaged ({str(exc).splitlines()[0]})") from exc
    if not isinstance(config, dict):
        raise ModelError(f"{name}: its configuration is damaged (it must be an object, got {type(config).__name__})")
    return config


def check_config(config: dict[str, Any], name: str) -> None:
    """Check that a configuration names only allowed classes and functions, unless the user trusts the file's code.

    Classes that user code has registered with Keras are allowed, too. The configuration of the compilation is not
    checked, since it is not used.

    Args:
        config: Configuration of a model.
        name: Name of the file in errors.

    Raises:
        ModelError: It names something that is not allowed, or is nested too deeply.
    """
    trusted = trusts_code()
    for document in _objects({**config, "compile_config": None}, name, 0):  # limits the depth of trusted files, too
        if not trusted and (reason := _problem(document)) is not None:
            raise ModelError(f"{name} cannot be loaded as a Keras model: {reason}")


def _objects(value: Any, name: str, depth: int) -> Iterator[dict[str, Any]]:
    """Iterate over the parts of a configuration that Keras deserializes to objects."""
    if depth > _MAX_DEPTH:
        raise ModelError(f"{name}: its configuration is nested more than {_MAX_DEPTH} deep; no model is")
    if isinstance(value, dict):
        if "class_name" in value or "registered_name" in value:
            yield value
        items: Any = value.values()
    else:
        items = value if isinstance(value, list) else ()
    for item in items:
        yield from _objects(item, name, depth + 1)


def _problem(document: dict[str, Any]) -> str | None:
    """Describe why an object may not be deserialized; None if it may."""
    name, module, registered = (document.get(key) for key in ("class_name", "module", "registered_name"))
    if not isinstance(name, str) or not isinstance(module, str | None) or not isinstance(registered, str | None):
        return f"it holds an object whose class is no name ({str(name)[:40]!r})"
    if name in VALUES:
        return None
    layer = document["config"].get("name") if isinstance(document.get("config"), dict) else None
    if isinstance(layer, str) and not layer.isprintable():
        return f"the name of a layer holds control characters ({_quote(layer)})"
    if name == _FUNCTION:
        return _function_problem(document.get("config"), module, registered)
    if _is_registered_by_user(document.get("registered_name", name)):  # Keras looks this name up first
        return None
    allowed = WITHOUT_MODULE if module is None else CLASSES.get(module, frozenset())
    if registered in (None, name) and name in allowed:
        return None
    if registered not in (None, name) or (module is not None and module.split(".")[0] != "keras"):
        return (
            f"its custom class {_quote(name)} is not known here; give the model as module:function that imports the "
            "class and loads the file"
        )
    location = f" ({_quote(layer)})" if isinstance(layer, str) else ""
    if name == "Lambda":
        return f"it holds a Lambda layer{location}, which could run any code; {_REMEDY}"
    return (
        f"it holds {_quote(f'{module}.{name}' if module else name)}{location}, which is none of Keras's layers that "
        f"only compute; {_REMEDY}"
    )


def _function_problem(function: Any, module: str | None, registered: str | None) -> str | None:
    if not isinstance(function, str):
        return "it holds a function without a name"
    if _is_registered_by_user(function):  # Keras looks this name up first
        return None
    if function in FUNCTIONS and registered in (None, function) and module in (None, *FUNCTION_MODULES):
        return None
    name = _quote(f"{module}.{function}" if module else function)
    return f"it names the function {name}, which is none of Keras's that only compute; {_REMEDY}"


def _is_registered_by_user(name: str | None) -> bool:
    """Return whether user code has registered an object with Keras under a name."""
    import keras

    registered = None if name is None else keras.saving.get_registered_object(name)
    module = str(getattr(registered, "__module__", ""))
    return registered is not None and module.split(".")[0] not in ("keras", "tf_keras")


def _quote(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}...")
