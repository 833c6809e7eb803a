"""Validated settings: refuse every unknown key and bad value with the choices, in one line."""

from __future__ import annotations

from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from kdcompress.errors import RecipeError
from kdcompress.registry import did_you_mean

MAX_PATH_CHARS = 300  # in a message
_SHOWN = 100  # characters of a value in a message
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


class Section(BaseModel):
    """A part of a recipe: immutable, strict about its keys and about numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


S = TypeVar("S", bound=Section)


def build_section(kind: type[S], values: dict[str, Any], prefix: str = "", context: dict[str, Any] | None = None) -> S:
    """Make a section from its values.

    Args:
        kind: The section's class.
        values: Plain values.
        prefix: The dotted key of the section in the recipe, for messages.
        context: What validators are told beside the values.

    Raises:
        RecipeError: Names the first key that is wrong, the rule, and the value.
    """
    try:
        return kind.model_validate(values, context=context)
    except ValidationError as exc:
        raise RecipeError(_first_problem(kind, exc, prefix)) from exc
    except RecursionError as exc:
        raise RecipeError(f"{prefix or 'the recipe'} is nested without end; no recipe is") from exc


def _first_problem(kind: type[Section], exc: ValidationError, prefix: str) -> str:
    problems = exc.errors(include_url=False)
    place = _keys(kind, problems[0]["loc"])
    # Of what may be one thing or another, the limit that was passed says more than that it is not the first
    alike = (one for one in problems if one["type"] in _LIMITS and _keys(kind, one["loc"]) == place)
    problem = next(alike, problems[0])
    full = ".".join([*([prefix] if prefix else []), *place])
    name = format_name(full)
    if problem["type"] == "extra_forbidden":
        known = list(_section_at(kind, place[:-1]).model_fields)
        choices = ", ".join(sorted(known)) or "(none)"
        return f"unknown key {format_value(full)}{did_you_mean(place[-1], known)}; choices: {choices}"
    if problem["type"] == "missing":
        return f"{name} is missing"
    rule = _RULES.get(problem["type"])
    said = problem["msg"].removeprefix("Value error, ")
    limits = {key: _plain_number(value) for key, value in problem.get("ctx", {}).items()}
    text = rule.format(**limits) if rule else said[0].lower() + said[1:]
    return f"{name} {text}, got {format_value(problem['input'])}"


def format_value(value: Any) -> str:
    """A value for a message, cut where it is long: it may come from a stranger's file."""
    if isinstance(value, list | tuple | str):
        value = value[: _SHOWN + 1]
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or lists in lists
        text = "a number of too many digits to show" if isinstance(value, int) else "what is too large to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def format_name(text: str, most: int = _SHOWN) -> str:
    """A key or a path for a message, as it is where it can be: one that would break the line or fill it is not."""
    told = text if text.isprintable() else repr(text)[1:-1]
    return told if len(told) <= most else f"{told[:most]}..."


def _plain_number(value: Any) -> Any:
    """A limit as people write it: 1000000000000, not 1e+12."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e16 else f"{value:.12g}"
    return value


def _keys(kind: type[Section], loc: tuple[int | str, ...]) -> list[str]:
    """The keys of a place in a recipe: what pydantic adds behind a key, the branch of a union, is no key."""
    keys: list[str] = []
    inside: type[Section] | None = kind
    any_key = False
    for part in loc:
        if isinstance(part, int):  # a place in a list, whose items are what the key before it holds
            keys.append(str(part))
            continue
        if inside is None and not any_key:
            break
        keys.append(part)
        field = inside.model_fields.get(part) if inside else None
        any_key = field is not None and get_origin(field.annotation) is dict
        inside = _section_in(field.annotation) if field else None
    return keys


def _section_at(kind: type[Section], keys: list[str]) -> type[Section]:
    for key in keys:
        if not key.isdecimal():
            kind = _section_in(kind.model_fields[key].annotation) or Section
    return kind


def _section_in(annotation: Any) -> type[Section] | None:
    """The section that a field holds, be it alone, in a tuple, or missing at times."""
    if parts := get_args(annotation):  # first: in Python 3.10, tuple[X, ...] is a type, too
        return next((found for part in parts if (found := _section_in(part))), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None
