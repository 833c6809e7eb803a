"""Base of recipe sections, and one-line messages for invalid keys and values."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from kdcompress.errors import RecipeError
from kdcompress.registry import did_you_mean

MAX_PATH_CHARS = 300  # of a path in a message
_MAX_CHARS = 100  # of a value in a message
_RULES = {
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "recursion_loop": "must not be nested without end",
    "literal_error": "must be one of {expected}",
    "finite_number": "must be a finite number",
    "model_type": "is a section, name one of its keys",
    "dict_type": "is a section, name one of its keys",
    "tuple_type": "must be a list",
    "int_from_float": "must be a whole number",
}
_LIMITS = (
    "greater_than", "greater_than_equal", "less_than", "less_than_equal", "too_short", "too_long", "finite_number",
)  # fmt: skip

# Lines that messages about missing keys offer
_EXAMPLES = {
    "name": 'name = "my-run"',
    "data": '[data] with name = "folder" and dir = "photos"',
    "data.name": 'name = "folder"',
    "teacher": '[teacher] with model = "teacher.keras"',
    "student": '[student] with model = "student.keras"',
    "student.model": 'model = "student.keras"',
    "method.name": 'name = "hinton"',
}


class Section(BaseModel):
    """A section of a recipe: immutable, without unknown keys, and with finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


S = TypeVar("S", bound=Section)


class MissingKeyError(RecipeError):
    """A recipe lacks a required key.

    Args:
        key: Dotted key.
        hint: Further text for the message, such as the choices.
    """

    def __init__(self, key: str, hint: str = "") -> None:
        section, _, leaf = key.rpartition(".")
        line = _EXAMPLES.get(key) or f"{leaf} = ..."
        where = "a section" if line.startswith("[") else f"to section [{section}]" if section else "at the top"
        super().__init__(f"{format_name(key)} is missing; add {where}: {format_name(line)}{hint}")


def build_section(kind: type[S], values: dict[str, Any], prefix: str = "", context: dict[str, Any] | None = None) -> S:
    """Validate the values of a section.

    Args:
        kind: Class of the section.
        values: Plain values by key.
        prefix: Dotted key of the section in the recipe, for messages.
        context: Validation context of pydantic.

    Returns:
        The section.

    Raises:
        RecipeError: Names the first invalid key, the rule and the value.
    """
    try:
        return kind.model_validate(values, context=context)
    except ValidationError as exc:
        raise _first_problem(kind, exc, prefix, values) from exc
    except RecursionError as exc:
        raise RecipeError(f"{prefix or 'the recipe'} is nested without end; no recipe is") from exc


def _first_problem(kind: type[Section], exc: ValidationError, prefix: str, values: dict[str, Any]) -> RecipeError:
    problems = exc.errors(include_url=False)
    keys = _keys(kind, problems[0]["loc"])
    # For a union, an exceeded limit is more helpful than a mismatch with the first type
    limits_exceeded = (
        problem for problem in problems if problem["type"] in _LIMITS and _keys(kind, problem["loc"]) == keys
    )
    problem = next(limits_exceeded, problems[0])
    full = ".".join([*([prefix] if prefix else []), *_as_written(keys, values)])
    name = format_name(full)
    if problem["type"] == "extra_forbidden":
        known = list(_section_at(kind, keys[:-1]).model_fields)
        choices = ", ".join(sorted(known)) or "(none)"
        return RecipeError(f"unknown key {format_value(full)}{did_you_mean(keys[-1], known)}; choices: {choices}")
    if problem["type"] == "missing":
        unknown = [str(other["loc"][-1]) for other in problems if _is_beside(problem, other)]
        return MissingKeyError(full, describe_misspelt(keys[-1], unknown))
    rule = _RULES.get(problem["type"])
    message = problem["msg"].removeprefix("Value error, ")
    limits = {key: _plain_number(value) for key, value in problem.get("ctx", {}).items()}
    text = rule.format(**limits) if rule else message[0].lower() + message[1:]
    # A rule about several keys names them; the whole section would say no more
    value = "" if isinstance(problem["input"], dict) and not rule else f", got {format_value(problem['input'])}"
    return RecipeError(f"{name} {text}{value}{_percent_hint(problem)}")


def _percent_hint(problem: Any) -> str:
    """The hint for a percentage where a fraction is meant; empty for other problems."""
    limits, value = problem.get("ctx", {}), problem["input"]
    with contextlib.suppress(TypeError, ValueError):
        number = float(value)  # 1.2 is a wrong fraction rather than a percentage
        if 1 in (limits.get("lt"), limits.get("le")) and 2 <= number <= 100:
            return f"; {number:g} % is {number / 100:g}"
    return ""


def format_value(value: Any) -> str:
    """Format a value for a message.

    Args:
        value: Any value, also from an untrusted file.

    Returns:
        Its repr, truncated to 100 characters.
    """
    if isinstance(value, list | tuple | str):
        value = value[: _MAX_CHARS + 1]
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists
        text = "a number of too many digits to show" if isinstance(value, int) else "what is too large to show"
    return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}..."


def format_name(text: str, max_chars: int = _MAX_CHARS) -> str:
    """Format a key or a path for a message.

    Args:
        text: The key or path.
        max_chars: Maximum length, beyond which the text is truncated.

    Returns:
        The text on one line, without quotes; characters that cannot be printed are escaped.
    """
    printable = text if text.isprintable() else repr(text)[1:-1]
    return printable if len(printable) <= max_chars else f"{printable[:max_chars]}..."


def _is_beside(missing: Any, other: Any) -> bool:
    """Whether a problem is an unknown key in the section that lacks a key."""
    return bool(other["type"] == "extra_forbidden" and other["loc"][:-1] == missing["loc"][:-1])


def describe_misspelt(missing: str, keys: Iterable[str]) -> str:
    """Describe the key that may be a misspelling of a missing one.

    Args:
        missing: The missing key.
        keys: Keys that are there in its place.

    Returns:
        Text for the end of a message, such as "; is 'Data' a misspelling of it?"; empty if no key is similar.
    """
    spelt = {key.casefold(): key for key in keys}
    close = difflib.get_close_matches(missing, list(spelt), n=1)
    return f"; is {format_value(spelt[close[0]])} a misspelling of it?" if close else ""


def _plain_number(value: Any) -> Any:
    """Write a limit without an exponent: 1000000000000, not 1e+12."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e16 else f"{value:.12g}"
    return value


def _keys(kind: type[Section], loc: tuple[int | str, ...]) -> list[str]:
    """The keys in a location of pydantic, which also contains the branches of unions."""
    keys: list[str] = []
    section: type[Section] | None = kind
    is_mapping = False
    for part in loc:
        if isinstance(part, int):  # index of a list, whose items have the type of the key before it
            keys.append(str(part))
            continue
        if section is None and not is_mapping:
            break
        keys.append(part)
        field = section.model_fields.get(part) if section else None
        is_mapping = field is not None and get_origin(field.annotation) is dict
        section = _section_in(field.annotation) if field else None
    return keys


def _as_written(keys: list[str], values: Any) -> list[str]:
    """The keys without the index of a section that stands alone where a list of sections may be."""
    written: list[str] = []
    for key in keys:
        if isinstance(values, Mapping) and key.isdecimal() and not {key, int(key)} & values.keys():
            continue
        written.append(key)
        if isinstance(values, Mapping):
            values = values.get(key)
        elif isinstance(values, list | tuple) and key.isdecimal() and int(key) < len(values):
            values = values[int(key)]
        else:
            values = None
    return written


def _section_at(kind: type[Section], keys: list[str]) -> type[Section]:
    for key in keys:
        if not key.isdecimal():
            kind = _section_in(kind.model_fields[key].annotation) or Section
    return kind


def _section_in(annotation: Any) -> type[Section] | None:
    """The section class in the annotation of a field: itself, in a tuple, or optional."""
    if parts := get_args(annotation):  # checked first: in Python 3.10, tuple[X, ...] is an instance of type
        return next((section for part in parts if (section := _section_in(part))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None
