"""The columns of a table by their names in its header, and those that are not used although they look as if meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

# How alike two names must be to be the same but for a slip: 'lable' is 0.8 like 'label', 'path2' 0.89 like 'path'
_ALIKE = 0.75
# What people call what `data csv` calls otherwise
_OTHERWISE = {"split": "partition", "set": "partition", "subset": "partition", "fold": "partition"}


def similar_columns(header: Sequence[str], wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    """(column, key) of what is in a header, is not used, and resembles a wanted column, or the key of one, that is not
    there; `wanted` is the column by key.
    """
    absent = {key: column for key, column in wanted.items() if column not in header}
    unused = [column for column in dict.fromkeys(header) if column and column not in wanted.values()]
    found = ((column, _meant(column, absent)) for column in unused)
    return [(column, key) for column, key in found if key]


def _meant(column: str, absent: Mapping[str, str]) -> str | None:
    """The key of the absent column that a name resembles most, or None."""
    plain = _plain(column)
    if (key := _OTHERWISE.get(plain)) in absent:
        return key
    best = max(((_likeness(plain, (key, name)), key) for key, name in absent.items()), default=(0.0, ""))
    return best[1] if best[0] >= _ALIKE else None


def _likeness(plain: str, names: Iterable[str]) -> float:
    return max(difflib.SequenceMatcher(None, plain, _plain(name)).ratio() for name in names)


def _plain(name: str) -> str:
    """A name without its case, and without what joins words."""
    return "".join(letter for letter in name[:100].casefold() if letter.isalnum())
