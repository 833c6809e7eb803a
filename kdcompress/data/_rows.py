"""CSV files that list images: rows with their line numbers, and what is wrong with the files that they name."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from kdcompress.errors import DataError
from kdcompress.registry import suggestion

_TOLD = 5  # missing files that an error names


def read_rows(table: Path, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a CSV file; `columns` are those it must have, each with what to do where it lacks it.

    Any line ends, a byte order mark, and commas, semicolons or tabs are fine. Errors: DataError with the line.
    """
    text = _text(table)
    if not text.strip():
        raise DataError(f"{table} is empty; it needs a header with the columns {' and '.join(columns)}")
    first = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        reader.fieldnames = header = [name.strip() for name in reader.fieldnames or []]
        for column, remedy in columns.items():
            if column not in header:
                there = ", ".join(header) or "none"
                close = suggestion(column, header)
                raise DataError(f"{table} has no column {column!r}{close}; it has {there}: {remedy}")
        for row in reader:
            if None in row or None in row.values():
                raise DataError(f"{table}, line {reader.line_num}: not as many fields as the header's {len(header)}")
            yield reader.line_num, {key: value.strip() for key, value in row.items()}
    except csv.Error as exc:
        raise DataError(f"{table}, line {reader.line_num}: no CSV ({exc})") from exc


def _text(table: Path) -> str:
    try:
        return table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise DataError(f"{table} is not UTF-8 text ({exc.reason} at byte {exc.start})") from exc
    except OSError as exc:
        raise DataError(f"{table} cannot be read ({exc.strerror})") from exc


def inside(root: Path, text: str, where: str) -> str:
    """The path below `root`, an absolute one, that a row names; DataError says `where` if it leaves the folder."""
    if not text:
        raise DataError(f"{where}: the path is empty")
    if any(ord(letter) < 32 for letter in text):
        raise DataError(f"{where}: the path {text[:80]!r} holds control characters")
    path = Path(os.path.normpath(root / text.replace("\\", "/")))  # a link inside may lead where it likes
    if not path.is_relative_to(root):
        raise DataError(f"{where}: {text} leaves the folder {root}; paths are relative to it (data.dir names another)")
    return path.relative_to(root).as_posix()


def refuse_repeated(table: Path, names: list[str], lines: list[int]) -> None:
    """DataError if a name stands in two lines."""
    seen: dict[str, int] = {}
    for name, line in zip(names, lines, strict=True):
        if name in seen:
            raise DataError(f"{table}: {name} stands in line {seen[name]} and again in line {line}")
        seen[name] = line


def refuse_missing(table: Path, root: Path, names: list[str], lines: list[int]) -> None:
    """DataError with the lines of the names that are no files below `root`."""
    missing = [(name, line) for name, line in zip(names, lines, strict=True) if not _is_file(root / name)]
    if missing:
        told = ", ".join(f"{name} (line {line})" for name, line in missing[:_TOLD])
        more = f" and {len(missing) - _TOLD} more" if len(missing) > _TOLD else ""
        raise DataError(f"{table} lists images that do not exist below {root}: {told}{more}")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file system would take
        return False
