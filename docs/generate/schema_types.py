"""Types and limits in words, from JSON schemas."""

from __future__ import annotations

import json
from typing import Any

_NAMES = {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}
_LIMITS = (
    ("exclusiveMinimum", ">\u00a0{}"),
    ("minimum", "≥\u00a0{}"),
    ("exclusiveMaximum", "<\u00a0{}"),
    ("maximum", "≤\u00a0{}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
    ("minProperties", "at least {} keys"),
    ("maxProperties", "at most {} keys"),
)


def describe_type(schema: dict[str, Any], section: str = "section") -> str:
    """Describe the type and the limits of a value.

    Args:
        schema: JSON schema of the value; references to other schemas are sections.
        section: Word for a group of keys: "section" in TOML, which has no null, "object" in JSON.

    Returns:
        Markdown for the cell of a table.
    """
    if branches := schema.get("anyOf"):
        kinds = [
            describe_type(branch, section) for branch in branches if branch.get("type") != "null" or section == "object"
        ]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in schema or "const" in schema:
        return " or ".join(format_value(value) for value in schema.get("enum", [schema.get("const")]))
    return ", ".join([_name(schema, section), *_limits(schema)])


def format_value(value: Any) -> str:
    """Format a value as in TOML and JSON, as code."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def escape(text: str) -> str:
    """Escape text for the cell of a Markdown table."""
    return " ".join(text.split()).replace("|", r"\|").replace("<", "&lt;").replace("*", r"\*")


def _name(schema: dict[str, Any], section: str) -> str:
    kind = schema.get("type")
    if kind == "array":
        if parts := schema.get("prefixItems"):
            return f"list of {len(parts)}: {describe_type(parts[0], section)}"
        items = schema.get("items")
        return f"list of {describe_type(items, section)}" if items else "list"
    if kind == "object" and isinstance(values := schema.get("additionalProperties"), dict):
        return f"{section} of {describe_type(values, section)}"
    return _NAMES.get(str(kind), "any" if not schema.keys() - {"title", "default"} else section)


def _limits(schema: dict[str, Any]) -> list[str]:
    if "prefixItems" in schema:
        return []
    limits = dict(schema)
    if limits.get("type") == "integer" and "exclusiveMaximum" in limits:
        limits["maximum"] = limits.pop("exclusiveMaximum") - 1
    if limits.get("type") == "integer" and {"minimum", "maximum"} <= limits.keys():
        return [f"{_number(limits['minimum'])} to {_number(limits['maximum'])}"]
    return [text.format(_number(limits[key])) for key, text in _LIMITS if key in limits]


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.12g}"
