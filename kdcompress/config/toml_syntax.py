"""Remedies for common mistakes in recipe files: backslashes of Windows paths, curly quotes, text without quotes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcompress.config.settings import format_name, format_value
from kdcompress.errors import RecipeError

_MAX_LINE = 1000  # characters of a line that is looked at
_POSITION = re.compile(r"at line (\d+), column \d+")
_CURLY_QUOTES = re.compile("[\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb]")
_BACKSLASH = re.compile(r'"([^"]*\\[^"]*)(?:"|$)')
_BARE_VALUE = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*=\s*([^\s\"'\[{#][^#\"']*?)\s*(?:#.*)?")
_PATH_KEYS = ("dir", "file", "model", "pretrained", "log_dir")
_DRIVE = re.compile(r"[A-Za-z]:")
_ESCAPED = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r", "\x1b": r"\e"}


def syntax_remedy(text: str, problem: str) -> str:
    """Find what is probably wrong with the line that a parser's message names.

    Args:
        text: The document.
        problem: Message of the TOML parser.

    Returns:
        The remedy with a semicolon before it, or nothing.
    """
    position, lines = _POSITION.search(problem), text.split("\n")
    line = lines[int(position[1]) - 1][:_MAX_LINE] if position and int(position[1]) <= len(lines) else ""
    if match := _BACKSLASH.search(line):
        plain = _single_backslashes(match[1].rstrip("\r"))
        doubled = plain.replace("\\", "\\\\")
        literal = "" if "'" in plain else f"'{format_name(plain)}' or "
        return f'; in "..." a backslash starts an escape: write {literal}"{format_name(doubled)}"'
    if quotes := _CURLY_QUOTES.search(line):
        return f'; quotes are straight: " and not {quotes[0]}'
    if match := _BARE_VALUE.fullmatch(line):
        return f'; text stands in quotes: {match[1]} = "{format_name(match[2])}"'
    return ""


def _single_backslashes(path: str) -> str:
    """Undo the doubling of backslashes, except of the two that a network path starts with."""
    start = "\\\\" if path.startswith("\\\\") else ""
    return start + re.sub(r"\\+", r"\\", path.lstrip("\\") if start else path)


def check_escapes(values: Any, name: str, folder: Path, key: str = "") -> None:
    """Reject paths in which the parser took a backslash and a letter for a control character.

    Args:
        values: Values of a recipe file.
        name: The file, for messages.
        folder: Folder that relative paths start from.
        key: Dotted key of `values`.

    Raises:
        RecipeError: A path holds such a character, and there is no such file.
    """
    if isinstance(values, Mapping | list):
        for part, value in values.items() if isinstance(values, Mapping) else enumerate(values):
            check_escapes(value, name, folder, f"{key}.{part}" if key else str(part))
        return
    escape = next((_ESCAPED[letter] for letter in values if letter in _ESCAPED), "") if isinstance(values, str) else ""
    if escape and (key.rpartition(".")[2] in _PATH_KEYS or _DRIVE.match(values)) and not _exists(folder / values):
        raise RecipeError(
            f'{name}: {format_name(key)} holds {format_value(values)}: in "..." {escape} is a control character; '
            "write paths with backslashes in '...', or double the backslashes"
        )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
