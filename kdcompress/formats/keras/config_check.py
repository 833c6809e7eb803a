"""The configuration in a Keras file, read before Keras sees it: it may name what computes, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kdcompress.errors import ModelError
from kdcompress.formats.keras.allowed import CLASSES, FUNCTION_MODULES, FUNCTIONS, VALUES, WITHOUT_MODULE
from kdcompress.trust import REMEDY, trusts_code

_MOST_DEPTH = 200
_FUNCTION = "function"
_WAYS_ON = f"give the model as module:function that you trust, or {REMEDY}"


def parse_config(text: str | bytes, what: str) -> dict[str, Any]:
    """The configuration as JSON; ModelError if it is none, or is nested without end."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ModelError(f"{what}: its configuration is damaged ({str(exc).splitlines()[0]})") from exc
    if not isinstance(found, dict):
        raise ModelError(f"{what}: its configuration is damaged (it must be an object, got {type(found).__name__})")
    return found


def check_config(config: dict[str, Any], what: str) -> None:
    """ModelError that names the first class or function that a model may not name; nothing where the user trusts it.

    Classes that the user's own code registered with Keras in this process may be named, too. The configuration of the
    model's compilation is not looked at: it is not used.
    """
    if trusts_code():
        for _ in _objects({**config, "compile_config": None}, what, 0):
            pass  # its depth is bounded all the same
        return
    for found in _objects({**config, "compile_config": None}, what, 0):
        if (reason := _problem(found)) is not None:
            raise ModelError(f"{what} cannot be loaded as a Keras model: {reason}")


def _objects(value: Any, what: str, depth: int) -> Iterator[dict[str, Any]]:
    """Everything in a configuration that Keras makes an object of."""
    if depth > _MOST_DEPTH:
        raise ModelError(f"{what}: its configuration is nested more than {_MOST_DEPTH} deep; no model is")
    if isinstance(value, dict):
        if "class_name" in value or "registered_name" in value:
            yield value
        inside: Any = value.values()
    else:
        inside = value if isinstance(value, list) else ()
    for item in inside:
        yield from _objects(item, what, depth + 1)


def _problem(found: dict[str, Any]) -> str | None:
    """What is wrong with an object of a configuration, in words; None if it may be made."""
    name, module, given = found.get("class_name"), found.get("module"), found.get("registered_name")
    if not isinstance(name, str) or not isinstance(module, str | None) or not isinstance(given, str | None):
        return f"it holds an object whose class is no name ({str(name)[:40]!r})"
    if name in VALUES:
        return None
    called = found["config"].get("name") if isinstance(found.get("config"), dict) else None
    if isinstance(called, str) and not called.isprintable():
        return f"the name of a layer holds control characters ({_shown(called)})"
    if name == _FUNCTION:
        return _function_problem(found.get("config"), module, given)
    if _is_users(found.get("registered_name", name)):  # by which Keras looks first
        return None
    allowed = WITHOUT_MODULE if module is None else CLASSES.get(module, frozenset())
    if given in (None, name) and name in allowed:
        return None
    if given not in (None, name) or (module is not None and module.split(".")[0] != "keras"):
        return (
            f"its custom class {_shown(name)} is not known here; give the model as module:function that imports the "
            "class and loads the file"
        )
    where = f" ({_shown(called)})" if isinstance(called, str) else ""
    if name == "Lambda":
        return f"it holds a Lambda layer{where}, which could run any code; {_WAYS_ON}"
    return (
        f"it holds {_shown(f'{module}.{name}' if module else name)}{where}, which is none of Keras's layers that only "
        f"compute; {_WAYS_ON}"
    )


def _function_problem(function: Any, module: str | None, given: str | None) -> str | None:
    if not isinstance(function, str):
        return "it holds a function without a name"
    if _is_users(function):  # by which Keras looks first
        return None
    known = function in FUNCTIONS and given in (None, function) and module in (None, *FUNCTION_MODULES)
    shown = _shown(f"{module}.{function}" if module else function)
    return None if known else f"it names the function {shown}, which is none of Keras's that only compute; {_WAYS_ON}"


def _is_users(name: str | None) -> bool:
    """Whether the user's own code registered something under that name, in this process or in a scope of its own."""
    import keras

    found = None if name is None else keras.saving.get_registered_object(name)
    return found is not None and str(getattr(found, "__module__", "")).split(".")[0] not in ("keras", "tf_keras")


def _shown(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}...")
