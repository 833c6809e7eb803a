"""Detection of unused table columns that resemble missing ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

# Minimal similarity of a misspelt name: 'lable' is 0.8 similar to 'label', 'path2' 0.89 to 'path'
_MIN_SIMILARITY = 0.75
# Other common names of columns of `data csv`
_SYNONYMS = {"split": "partition", "set": "partition", "subset": "partition", "fold": "partition"}


def similar_columns(header: Sequence[str], wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    """Find unused columns that resemble a missing column or its key.

    Args:
        header: Columns of the table.
        wanted: Column by the recipe key that names it.

    Returns:
        Pairs of column and key.
    """
    absent = {key: column for key, column in wanted.items() if column not in header}
    unused = [column for column in dict.fromkeys(header) if column and column not in wanted.values()]
    matches = ((column, _best_match(column, absent)) for column in unused)
    return [(column, key) for column, key in matches if key]


def _best_match(column: str, absent: Mapping[str, str]) -> str | None:
    """Return the key of the missing column that a name resembles most, or None."""
    plain = _normalize(column)
    if (key := _SYNONYMS.get(plain)) in absent:
        return key
    best = max(((_similarity(plain, (key, name)), key) for key, name in absent.items()), default=(0.0, ""))
    return best[1] if best[0] >= _MIN_SIMILARITY else None


def _similarity(plain: str, names: Iterable[str]) -> float:
    return max(difflib.SequenceMatcher(None, plain, _normalize(name)).ratio() for name in names)


def _normalize(name: str) -> str:
    """Remove case, spaces and punctuation."""
    return "".join(letter for letter in name[:100].casefold() if letter.isalnum())
