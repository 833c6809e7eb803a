"""Reading of MHIST's annotations.csv, with label, votes and part of each image."""

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
_MAX_ROWS, _MAX_NAME = 100_000, 1024  # rows; characters
_MAX_LISTED = 5  # invalid rows that a message names


@dataclass(frozen=True)
class Annotations:
    """The rows of the table, sorted by image name.

    Attributes:
        names: Image paths, (n,).
        ssa: Number of annotators who chose SSA, (n,), 0 to 7.
        parts: "train" or "test", (n,).
        lines: Line numbers, (n,).
    """

    names: NDArray[np.str_]
    ssa: NDArray[np.int64]
    parts: NDArray[np.str_]
    lines: NDArray[np.int64]

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class indices: 0 for HP, 1 for SSA. Reading checks that votes and the label column agree."""
        return (self.ssa >= MAJORITY).astype(np.int64)


def read_annotations(folder: Path) -> Annotations:
    """Read and check annotations.csv.

    Args:
        folder: Absolute path of its folder.

    Returns:
        The rows.

    Raises:
        DataError: If a column is missing, a label, vote count or part is invalid, label and votes contradict each
            other, or an image name is empty, repeated or outside images/; names the lines.
    """
    table = folder / TABLE
    names, rows, lines = [], [], []
    invalid, resolver = [], PathResolver(folder / IMAGES)
    for line, row in read_rows(table, dict.fromkeys((NAME, LABEL, VOTES, PARTITION), _REMEDY)):
        names.append(resolver.resolve(row[NAME], f"{table}, line {line}"))
        rows.append(row)
        lines.append(line)
        if len(rows) > _MAX_ROWS:
            raise DataError(f"{table} has more than {_MAX_ROWS:,} rows, which MHIST has not; {_REMEDY}")
        if problem := _find_problem(row):
            invalid.append(f"line {line}: {problem}")
    _report(table, invalid)
    # An array of names allocates the length of the longest one for each
    long = {name: line for name, line in zip(names, lines, strict=True) if len(name) > _MAX_NAME}
    check_files_exist(table, folder / IMAGES, list(long), list(long.values()))
    check_unique_names(table, names, lines)
    _check_parts(table, [row[PARTITION] for row in rows])
    order = np.argsort(np.array(names, np.str_), kind="stable")
    columns = (names, [int(row[VOTES]) for row in rows], [row[PARTITION] for row in rows], lines)
    return Annotations(*(np.array(column)[order] for column in columns))


def _find_problem(row: Mapping[str, str]) -> str | None:
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


def _report(table: Path, problems: list[str]) -> None:
    if problems:
        count = f" ({len(problems):,} rows are wrong)" if len(problems) > 1 else ""
        more = f"; and {len(problems) - _MAX_LISTED:,} more" if len(problems) > _MAX_LISTED else ""
        raise DataError(f"{table}{count}, {'; '.join(problems[:_MAX_LISTED])}{more}; {_REMEDY}")


def _check_parts(table: Path, parts: list[str]) -> None:
    for part in PARTS:
        if part not in parts:
            raise DataError(f"{table} has no row of partition {part}; it needs rows of both {' and '.join(PARTS)}")
