"""Plain values of a recipe: read from TOML, and checked against limits that later code relies on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcompress.config.settings import MAX_PATH_CHARS, format_name, format_value
from kdcompress.config.toml_syntax import syntax_remedy
from kdcompress.errors import KDCompressError, RecipeError
from kdcompress.files import read_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Limits against malicious recipes. Python's TOML parser is quadratic in the parts of a key, so dots are limited
MAX_DEPTH = 20
_MAX_BYTES, _MAX_DOTS, _MAX_CHARS, _MAX_BITS = 1 << 20, 1000, 10_000, 128
_MAX_MESSAGE = 200  # characters of a parser's message


_SAVE = "save it as UTF-8"


class _NotText(KDCompressError):
    """A file does not contain text."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.

    Returns:
        Its values.

    Raises:
        FileNotFoundError: There is no such file.
        RecipeError: It cannot be read, is not valid TOML, or exceeds the limits of a recipe.
    """
    shown_path = format_name(str(path), MAX_PATH_CHARS)
    try:
        text = read_text(path, _NotText, _SAVE)
    except FileNotFoundError:  # each caller has a message of its own
        raise
    except _NotText as exc:
        raise RecipeError(f"{shown_path} is not valid TOML: {str(exc).removeprefix(f'{path} is ')}") from exc
    except PermissionError as exc:
        raise RecipeError(f"{shown_path} cannot be read (permission denied)") from exc
    except (OSError, ValueError) as exc:  # a loop of links, a name that is too long or contains NUL
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise RecipeError(f"{shown_path} cannot be read ({reason}); name another file") from exc
    if len(text) > _MAX_BYTES:
        raise RecipeError(f"{shown_path} is too large for a recipe, which has at most {_MAX_BYTES} characters")
    if "\0" in text:
        raise RecipeError(f"{shown_path} is not valid TOML: it holds NUL, as UTF-16 without a mark does; {_SAVE}")
    values = parse_toml(text, shown_path)
    check_plain_values(values, f"{shown_path}: ")
    return values


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """Parse a TOML document.

    Args:
        text: The document.
        name: Its path or origin, for messages.

    Returns:
        Its values.

    Raises:
        RecipeError: It is not valid TOML, or exceeds a limit of the parser.
    """
    _check_dots(text, name)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        problem = f"{format_name(str(exc), _MAX_MESSAGE)}{syntax_remedy(text, str(exc))}"
        raise RecipeError(f"{name} is not valid TOML: {problem}") from exc
    except (RecursionError, ValueError) as exc:  # deep nesting, a number of thousands of digits
        raise RecipeError(f"{name} cannot be read: {format_name(str(exc), _MAX_MESSAGE)}") from exc


def _check_dots(text: str, name: str) -> None:
    if any(line.count(".") > _MAX_DOTS for line in text.split("\n")):
        raise RecipeError(f"{name} has a line with more than {_MAX_DOTS} dots, which no recipe needs; break the line")


def check_plain_values(values: Mapping[str, Any], prefix: str = "") -> None:
    """Check plain values against limits that later code relies on.

    These are the depth of nesting, the length of text and its encoding, and the number of digits.

    Args:
        values: Plain values of a recipe.
        prefix: Start of the message.

    Raises:
        RecipeError: Names the first value beyond a limit.
    """
    pending: list[tuple[tuple[str, ...], Any]] = [((), values)]
    while pending:
        keys, value = pending.pop()
        if problem := _find_problem(value):
            raise RecipeError(f"{prefix}{format_name('.'.join(keys))} {problem}, got {format_value(value)}")
        if not isinstance(value, Mapping | list | tuple):
            continue
        if len(keys) >= MAX_DEPTH:
            raise RecipeError(
                f"{prefix}{format_name('.'.join(keys))} is nested deeper than any recipe, {MAX_DEPTH} keys"
            )
        for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            if problem := _find_problem(key):
                raise RecipeError(f"{prefix}a key {problem}, got {format_value(key)}")
            if isinstance(item, Mapping | list | tuple) or _find_problem(item):
                pending.append(((*keys, str(key)), item))


def _find_problem(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        return "must be a number of fewer digits"
    if not isinstance(value, str):
        return ""
    if len(value) > _MAX_CHARS:
        return f"must have at most {_MAX_CHARS} characters"
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return "must be text, not halves of characters"
    return "must be text without NUL" if "\0" in value else ""


def parse_setting(text: str) -> tuple[str, Any]:
    """Parse `KEY=VALUE`.

    Args:
        text: A dotted key, an equals sign, and a value in TOML or as plain text.

    Returns:
        (key, value).

    Raises:
        RecipeError: The text has another form.
    """
    key, equals, value = text.partition("=")
    if not equals or not all(part.strip() for part in key.split(".")):
        raise RecipeError(f"--set takes KEY=VALUE, such as training.epochs=3, got {format_value(text)}")
    key = key.strip()
    _check_dots(value, f"--set {format_name(key)}")
    try:
        document = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return key, value.strip()
    except (RecursionError, ValueError) as exc:  # deep nesting, a number of thousands of digits
        raise RecipeError(f"--set {format_name(key)}: its value cannot be read ({format_name(str(exc))})") from exc
    if len(document) > 1:
        raise RecipeError(f"--set takes one KEY=VALUE, got {format_value(text)}; give --set once for each")
    return key, document["value"]
