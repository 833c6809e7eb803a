"""Detection of unused table columns, and of those among them that may be the split or the groups."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kdcompress.data.parts import PARTS
from kdcompress.progress import Progress

# Minimal similarity of a misspelt name: 'lable' is 0.8 similar to 'label', 'path2' 0.89 to 'path'
_MIN_SIMILARITY = 0.75
_MAX_NAME = 80  # characters of a column's name or value in a message
_MAX_LISTED = 5  # warnings, and values in one
_MAX_NOTED = 20  # columns that the note names
_MAX_VALUES = 10  # distinct values of a column; one with more does not divide data into parts
# Other common names of the columns of `data csv`, without case, spaces and punctuation
_SYNONYMS = {
    "partition": re.compile(
        r"(data|dataset|train|traintest|official|cv)?(split|partition|subset|fold)s?(name|id|nr|no)?\d*|sets?(id|nr|no)?|"
        r"k?folds?|tvt|(is)?(train|test|val|valid|validation)"
    ),
    "group": re.compile(
        r"(anon|anonymi[sz]ed|pseudo)?(patient|subject|participant|person|individual|donor|animal|case|slide|wsi|scan|"
        r"study|specimen|biopsy|lesion|scene|video|clip|sequence|session|speaker|writer|family|household|plate|subj|pat|"
        r"pid|mrn)"
        r"s?(ids?|identifier|nr|no|num|number|name|code|key|index|uid|uuid|hash)?"
    ),
}
# Values such as PublicTest or train_1: a split in other words than train, val and test
_TRAIN = re.compile(r"(^|[^a-z])(train|tr|trn)", re.IGNORECASE)
_HELD_OUT = re.compile(r"test|(^|[^a-z])(te|tst|va|val|valid|validation|dev|eval)([^a-z]|$)|hold.?out", re.IGNORECASE)


class UnusedColumns:
    """The columns of a table that no setting names, with some of their values.

    Args:
        used: Column by the recipe key that names it.
    """

    def __init__(self, used: Mapping[str, str]) -> None:
        self._used = used
        self._absent: dict[str, str] = {}
        self._values: dict[str, set[str]] | None = None

    def add(self, row: Mapping[str, str]) -> None:
        """Collect the values of a row.

        Args:
            row: Value by column; all rows have the same columns.
        """
        if self._values is None:
            self._absent = {key: column for key, column in self._used.items() if column not in row}
            self._values = {column: set() for column in row if column and column not in self._used.values()}
        for column, values in self._values.items():
            if len(values) <= _MAX_VALUES:
                values.add(row[column][:_MAX_NAME])

    def report(self, table: Path, progress: Progress) -> None:
        """Warn about columns that may be a missing one, with the line that names them, and note the others.

        Args:
            table: The file, for messages.
            progress: Receives warnings and a note.
        """
        others, warnings = [], []
        for column, values in (self._values or {}).items():
            if key := self._find_key(column, values):
                warnings.append(f"{table}: column {column[:_MAX_NAME]!r} is not used; {_remedy(column, key, values)}")
            else:
                others.append(column[:_MAX_NAME])
        for warning in warnings[:_MAX_LISTED]:
            progress.warn(warning)
        if others:
            more = f" and {len(others) - _MAX_NOTED} more" if len(others) > _MAX_NOTED else ""
            names = ", ".join(others[:_MAX_NOTED])
            progress.note(f"{table}: not used: column{'s' if len(others) > 1 else ''} {names}{more}")

    def _find_key(self, column: str, values: set[str]) -> str | None:
        """Return the key of the missing column that this one may be, by its values or its name, or None."""
        if "partition" in self._absent and _look_like_parts(values):
            return "partition"
        return match_name(
            column, {key: name for key, name in self._absent.items() if key != "group" or len(values) > 1}
        )


def match_name(name: str, absent: Mapping[str, str]) -> str | None:
    """Find what a column or array may be by its name.

    Args:
        name: Its name.
        absent: Names that are missing, by their keys; "partition" and "group" also have other names.

    Returns:
        The key of the missing name that it is another word for, or resembles most; None if there is none.
    """
    plain = _normalize(name)
    for key, pattern in _SYNONYMS.items():
        if key in absent and pattern.fullmatch(plain):
            return key
    similarities = ((_similarity(plain, (key, missing)), key) for key, missing in absent.items())
    similarity, key = max(similarities, default=(0.0, ""))
    return key if similarity >= _MIN_SIMILARITY else None


def _look_like_parts(values: set[str]) -> bool:
    """Whether values divide data into train and others, in the known words or in similar ones."""
    if len(values) > _MAX_VALUES:
        return False
    held_out = {value for value in values if _part(value) in ("val", "test") or _HELD_OUT.search(value)}
    train = {value for value in values - held_out if _part(value) == "train" or _TRAIN.search(value)}
    return bool(held_out and train) and held_out | train == values - {""}


def _remedy(column: str, key: str, values: set[str]) -> str:
    name = json.dumps(column[:_MAX_NAME], ensure_ascii=False)  # TOML quotes text as JSON does
    if key == "partition" and (others := sorted(value for value in values if value and not _part(value))):
        listed = ", ".join(repr(value[:_MAX_NAME]) for value in others[:_MAX_LISTED])
        more = ", ..." if len(others) > _MAX_LISTED else ""
        return (
            f"if it divides the data, replace {listed}{more} in it by train, val and test, "
            f"and name it: data.partition = {name}"
        )
    return f"if it is what data.{key} means, name it: data.{key} = {name}"


def _part(value: str) -> str | None:
    return PARTS.get(value.casefold())


def _similarity(plain: str, names: Iterable[str]) -> float:
    return max(difflib.SequenceMatcher(None, plain, _normalize(name)).ratio() for name in names)


def _normalize(name: str) -> str:
    """Remove case, spaces and punctuation."""
    return "".join(letter for letter in name[:100].casefold() if letter.isalnum())
