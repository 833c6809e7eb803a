"""Validated settings: refuse every unknown key and bad value with the choices, in one line."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from kdcompress.errors import RecipeError
from kdcompress.registry import suggestion

_RULES = {
    "greater_than": "must be > {gt:g}",
    "greater_than_equal": "must be >= {ge:g}",
    "less_than": "must be < {lt:g}",
    "less_than_equal": "must be <= {le:g}",
    "literal_error": "must be one of {expected}",
    "finite_number": "must be a finite number",
    "model_type": "is a section, name one of its keys",
    "int_from_float": "must be a whole number",
}


class Section(BaseModel):
    """A part of a recipe: immutable, strict about its keys and about numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


S = TypeVar("S", bound=Section)


def build(kind: type[S], values: dict[str, Any], prefix: str = "") -> S:
    """Make a section from `values`; RecipeError names the first key that is wrong, the rule, and what came."""
    try:
        return kind.model_validate(values)
    except ValidationError as exc:
        raise RecipeError(_first_problem(kind, exc, prefix)) from exc


def _first_problem(kind: type[Section], exc: ValidationError, prefix: str) -> str:
    problem = exc.errors()[0]
    place = [str(part) for part in problem["loc"]]
    name = ".".join([*([prefix] if prefix else []), *place])
    if problem["type"] == "extra_forbidden":
        known = _keys_at(kind, place[:-1])
        return f"unknown key {name!r}{suggestion(place[-1], known)}; choices: {', '.join(sorted(known)) or '(none)'}"
    if problem["type"] == "missing":
        return f"{name} is missing"
    rule = _RULES.get(problem["type"])
    text = rule.format(**problem.get("ctx", {})) if rule else problem["msg"][0].lower() + problem["msg"][1:]
    return f"{name} {text}, got {problem['input']!r}"


def _keys_at(kind: type[Section], place: list[str]) -> list[str]:
    fields = kind.model_fields
    for part in place:
        annotation = fields[part].annotation
        fields = annotation.model_fields if isinstance(annotation, type) and issubclass(annotation, Section) else {}
    return list(fields)
