"""The group of each image by a regular expression, which may have come with a recipe of a stranger: within a limit."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

# Python's own re cannot be stopped, and some patterns take longer than the universe on a name of forty letters
import regex

from kdcompress.errors import DataError

MAX_PATTERN_LENGTH = 1000  # of a pattern
_MAX_COPIES = 100_000  # letters of a pattern in which every repetition is written out, as regex does
_SECONDS, _SECONDS_IN_ALL = 2.0, 10.0
_MAX_SHOWN = 80  # characters of a name in a message
# Beside braces that repeat, those that both modules read alike, regex has some of its own: {e<=1} is "with an error"
_PARTS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<times>\d+)(?:,\d*)?\}|.", re.DOTALL)
_ESCAPES = re.compile(r"\\N\{[^}]*\}|\\.|\{(?!\d*,?\d*\})|\{\}", re.DOTALL)


def validate_pattern(pattern: str) -> None:
    """ValueError for what is no regular expression as Python has them."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise ValueError(f"must have {MAX_PATTERN_LENGTH:,} characters at most (it has {len(pattern):,})")
    if _written_out(pattern) > _MAX_COPIES:
        raise ValueError(f"must have {_MAX_COPIES:,} letters at most when its repetitions are written out")
    try:
        re.compile(pattern)
        _compiled(pattern)
    except (re.error, regex.error, RecursionError, OverflowError, MemoryError) as exc:
        raise ValueError(f"must be a regular expression ({exc})") from exc


def _written_out(pattern: str) -> int:
    """How long a pattern becomes when x{3} is xxx and what is in brackets is repeated as a whole."""
    sizes, last = [0], 0
    for found in _PARTS.finditer(pattern):
        part, times = found[0], found["times"]
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
    """What the pattern's first bracket, or all of it, matches in each name; DataError if nothing, or if it takes long.

    It means what it means to `re`, but that \\w, and so \\b, takes the accents behind a letter for a part of it.
    """
    compiled, end = _compiled(pattern), time.monotonic() + _SECONDS_IN_ALL
    return [_group(compiled, pattern, name, end) for name in names]


def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(_ESCAPES.sub(_as_in_re, pattern), regex.VERSION0)


def _as_in_re(found: re.Match[str]) -> str:
    return f"\\{found[0]}" if found[0].startswith("{") else found[0]


def _group(compiled: regex.Pattern[str], pattern: str, name: str, end: float) -> str:
    left = end - time.monotonic()
    try:
        if left <= 0:
            raise TimeoutError
        found = compiled.search(name, timeout=min(_SECONDS, left))
    except TimeoutError as exc:
        raise DataError(
            f"data.group: {pattern!r} takes too long on {_told(name)}: a repetition within a repetition, as in (a+)+, "
            "can be tried in more ways than there is time for; write it without"
        ) from exc
    if found is None:
        raise DataError(
            f"data.group: {pattern!r} matches nothing in {_told(name)}, so the group of that image is not known"
        )
    return str(found[1] if compiled.groups and found[1] is not None else found[0])


def _told(name: str) -> str:
    return repr(name) if len(name) <= _MAX_SHOWN else f"{name[:_MAX_SHOWN]!r}..."
