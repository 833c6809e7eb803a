"""annotations.csv of MHIST: a row an image, with its label, the annotators' votes and its part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.mhist.votes import ANNOTATORS, CLASSES, MAJORITY
from kdcompress.data.resolving import PathResolver
from kdcompress.data.rows import check_files_exist, check_unique_names, read_rows
from kdcompress.errors import DataError

TABLE = "annotations.csv"
IMAGES = "images"
NAME, LABEL, PARTITION = "Image Name", "Majority Vote Label", "Partition"
VOTES = f"Number of Annotators who Selected SSA (Out of {ANNOTATORS})"
PARTS = ("train", "test")
_REMEDY = f"{TABLE} is taken as MHIST's owners hand it out"
_MAX_ROWS, _LONG = 100_000, 1024  # characters that no file of theirs has in its name
_MAX_LISTED = 5  # wrong rows that an error names


@dataclass(frozen=True)
class Annotations:
    """What the rows say, sorted by name: names of image files (n,), votes for SSA (n,), parts (n,), line numbers."""

    names: NDArray[np.str_]
    ssa: NDArray[np.int64]
    parts: NDArray[np.str_]
    lines: NDArray[np.int64]

    @property
    def labels(self) -> NDArray[np.int64]:
        """0 for HP, 1 for SSA; the votes say the same as the column of labels, or reading had failed."""
        return (self.ssa >= MAJORITY).astype(np.int64)


def read_annotations(folder: Path) -> Annotations:
    """The rows of annotations.csv in `folder`, an absolute path.

    Errors: DataError for a missing column, and by line number for labels, votes and parts that are not valid or
    contradict one another, and for names that are empty, repeated, or lead out of images/.
    """
    table = folder / TABLE
    names, rows, lines = [], [], []
    wrong, inside = [], PathResolver(folder / IMAGES)
    for line, row in read_rows(table, dict.fromkeys((NAME, LABEL, VOTES, PARTITION), _REMEDY)):
        names.append(inside.resolve(row[NAME], f"{table}, line {line}"))
        rows.append(row)
        lines.append(line)
        if len(rows) > _MAX_ROWS:
            raise DataError(f"{table} has more than {_MAX_ROWS:,} rows, which MHIST has not; {_REMEDY}")
        if problem := _problem(row):
            wrong.append(f"line {line}: {problem}")
    _refuse(table, wrong)
    # An array of names takes the width of the longest for each
    long = {name: line for name, line in zip(names, lines, strict=True) if len(name) > _LONG}
    check_files_exist(table, folder / IMAGES, list(long), list(long.values()))
    check_unique_names(table, names, lines)
    _refuse_absent(table, [row[PARTITION] for row in rows])
    order = np.argsort(np.array(names, np.str_), kind="stable")
    columns = (names, [int(row[VOTES]) for row in rows], [row[PARTITION] for row in rows], lines)
    return Annotations(*(np.array(column)[order] for column in columns))


def _problem(row: Mapping[str, str]) -> str | None:
    label, votes, part = row[LABEL], row[VOTES], row[PARTITION]
    if label not in CLASSES:
        return f"the label must be {' or '.join(CLASSES)}, got {label[:80]!r}"
    if votes not in map(str, range(ANNOTATORS + 1)):
        return f"the votes for SSA must be a whole number from 0 to {ANNOTATORS}, got {votes[:80]!r}"
    if (int(votes) >= MAJORITY) != (label == "SSA"):
        return f"the label is {label}, but {votes} of {ANNOTATORS} annotators chose SSA (SSA means {MAJORITY} or more)"
    if part not in PARTS:
        return f"the partition must be {' or '.join(PARTS)}, got {part[:80]!r}"
    return None


def _refuse(table: Path, wrong: list[str]) -> None:
    if wrong:
        count = f" ({len(wrong):,} rows are wrong)" if len(wrong) > 1 else ""
        more = f"; and {len(wrong) - _MAX_LISTED:,} more" if len(wrong) > _MAX_LISTED else ""
        raise DataError(f"{table}{count}, {'; '.join(wrong[:_MAX_LISTED])}{more}; {_REMEDY}")


def _refuse_absent(table: Path, parts: list[str]) -> None:
    for part in PARTS:
        if part not in parts:
            raise DataError(f"{table} has no row of partition {part}; it needs rows of both {' and '.join(PARTS)}")
