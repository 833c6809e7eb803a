"""Extraction of groups from file names by a regular expression, which is untrusted input and so limited in time."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Sequence

# Python's own re has no timeout, and some patterns take practically forever on a name of forty characters
import regex

from kdcompress.errors import DataError

MAX_PATTERN_LENGTH = 1000  # characters
_MAX_EXPANDED = 100_000  # characters of a pattern with all repetitions expanded, as regex does
_SECONDS, _SECONDS_IN_ALL = 2.0, 10.0
_MAX_SHOWN = 80  # characters of a name in a message
# regex gives a meaning of its own to braces that re takes literally: {e<=1} is "with an error"
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<times>\d+)(?:,\d*)?\}|.", re.DOTALL)
_ESCAPES = re.compile(r"\\N\{[^}]*\}|\\.|\{(?!\d*,?\d*\})|\{\}", re.DOTALL)


def validate_pattern(pattern: str) -> None:
    """Check that a pattern is a regular expression of Python's and not too long.

    Args:
        pattern: The pattern.

    Raises:
        ValueError: If it is not.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(f"must have {MAX_PATTERN_LENGTH:,} characters at most (it has {len(pattern):,})")
    if _expanded_length(pattern) > _MAX_EXPANDED:
        raise ValueError(f"must have {_MAX_EXPANDED:,} letters at most when its repetitions are written out")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # on "[[": re says that its meaning may change
            re.compile(pattern)
            _compiled(pattern)
    except (re.error, regex.error, RecursionError, OverflowError, MemoryError) as exc:
        raise ValueError(f"must be a regular expression ({exc})") from exc


def _expanded_length(pattern: str) -> int:
    """Return the length of a pattern in which x{3} is xxx, and groups are repeated as a whole."""
    sizes, last = [0], 0
    for match in _PARTS.finditer(pattern):
        part, times = match[0], match["times"]
        if times is not None:
            sizes[-1] += last * (int(times[:9]) - 1) if times.strip("0") else 0
            last = 0
            continue
        if part == "(":
            sizes.append(0)
        last = sizes.pop() if part == ")" and len(sizes) > 1 else 1
        sizes[-1] += last
    return sum(sizes)


def extract_groups(pattern: str, names: Sequence[str]) -> list[str]:
    """Extract the group of each image from its name.

    The pattern has the same meaning as in `re`, except that \\w and \\b treat combining accents as part of a word, and
    that [[:alpha:]] and the like are POSIX classes.

    Args:
        pattern: Regular expression that is searched in each name.
        names: Image names.

    Returns:
        The match of the first capturing group, or of the whole pattern, in each name.

    Raises:
        DataError: If a name does not match, or matching takes too long.
    """
    compiled, end = _compiled(pattern), time.monotonic() + _SECONDS_IN_ALL
    return [_extract_group(compiled, pattern, name, end) for name in names]


def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(_ESCAPES.sub(_escape_brace, pattern), regex.VERSION0)


def _escape_brace(match: re.Match[str]) -> str:
    return f"\\{match[0]}" if match[0].startswith("{") else match[0]


def _extract_group(compiled: regex.Pattern[str], pattern: str, name: str, end: float) -> str:
    left = end - time.monotonic()
    try:
        if left <= 0:
            raise TimeoutError
        match = compiled.search(name, timeout=min(_SECONDS, left))
    except TimeoutError as exc:
        raise DataError(
            f"data.group: {pattern!r} takes too long on {_quote(name)}: a repetition within a repetition, as in (a+)+, "
            "can be tried in more ways than there is time for; write it without"
        ) from exc
    if match is None:
        raise DataError(
            f"data.group: {pattern!r} matches nothing in {_quote(name)}, so the group of that image is not known"
        )
    return str(match[1] if compiled.groups and match[1] is not None else match[0])


def _quote(name: str) -> str:
    return repr(name) if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]!r}..."
