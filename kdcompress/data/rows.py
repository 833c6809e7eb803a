"""CSV files that list images: rows with their line numbers, and what is wrong with the files that they name."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from kdcompress.data.columns import similar_columns
from kdcompress.data.filesystem import exists
from kdcompress.errors import DataError
from kdcompress.paths import check_regular_file
from kdcompress.progress import Progress
from kdcompress.registry import suggestion

MAX_NAME_LENGTH = 255  # of a class, a group or a subclass: as many as a folder's name has
_MAX_BYTES = 256 << 20
_MAX_IN_LINE = 1 << 20  # characters
_MAX_COLUMNS = 1000
_MAX_LISTED = 5  # missing files, or columns, that an error names


def read_rows(
    table: Path, columns: Mapping[str, str], look: Callable[[list[str]], None] = lambda header: None
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, row) of a CSV file; `columns` are those it must have, each with what to do where it lacks it.

    Any line ends, a byte order mark, and commas, semicolons or tabs are fine. `look` is shown a header that is as it
    must be. Errors: DataError with the line.
    """
    data = _bytes(table)
    if not data.removeprefix(b"\xef\xbb\xbf").strip():
        raise DataError(f"{table} is empty; it needs a header with the columns {' and '.join(columns)}")
    lines, begin = _lines(table, data), 1
    first = next(lines)
    # Strict, for else a quote that is never closed takes all rows behind it into one field
    delimiter = max(",;\t", key=first.count)
    reader = csv.DictReader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    try:
        reader.fieldnames = header = _header(table, reader.fieldnames, columns)
        look(header)
        begin = reader.line_num + 1
        for row in reader:
            if None in row or None in row.values():
                raise DataError(f"{table}, line {reader.line_num}: not as many fields as the header's {len(header)}")
            yield reader.line_num, {key: value.strip() for key, value in row.items()}
            begin = reader.line_num + 1
    except csv.Error as exc:
        said = "a quote is opened and never closed" if "unexpected end" in str(exc) else f"no CSV ({exc})"
        end = reader.reader.line_num
        at = f"line {begin}" if end <= begin else f"lines {begin} to {end}"
        raise DataError(f"{table}, {at}: {said}") from exc


def warn_unused_columns(table: Path, header: list[str], wanted: Mapping[str, str], progress: Progress) -> None:
    """Warn of columns that resemble a wanted one (the column by the key that names it) which a table does not have."""
    for column, key in similar_columns(header, wanted)[:_MAX_LISTED]:
        progress.warn(
            f"{table}: column {column[:80]!r} is not used; if it is what data.{key} means, "
            f'name it: data.{key} = "{column[:80]}"'
        )


def _lines(table: Path, data: bytes) -> Iterator[str]:
    """The lines of a text, with their ends; a line that is none of a table is refused."""
    with io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline="") as text:
        for number, line in enumerate(text, start=1):
            if len(line) > _MAX_IN_LINE:
                raise DataError(f"{table}, line {number}: {len(line):,} characters, above {_MAX_IN_LINE:,}")
            yield line


def _header(table: Path, names: Sequence[str] | None, columns: Mapping[str, str]) -> list[str]:
    """The names of the columns, among which are those that must be there, once each."""
    header = [name.strip() for name in names or ()]
    if len(header) > _MAX_COLUMNS:
        raise DataError(f"{table} has {len(header):,} columns, above {_MAX_COLUMNS:,}")
    for column, remedy in columns.items():
        if column not in header:
            more = f" and {len(header) - 20} more" if len(header) > 20 else ""
            there = ", ".join(name[:80] for name in header[:20]) or "none"
            close = suggestion(column, header)
            raise DataError(f"{table} has no column {column!r}{close}; it has {there}{more}: {remedy}")
    if twice := [name for name in dict.fromkeys(header) if name and header.count(name) > 1]:
        raise DataError(f"{table} has two columns {twice[0][:80]!r}, and which one counts is not known; rename one")
    return header


def _bytes(table: Path) -> bytes:
    """The content of a table, of which is known that it is text."""
    check_regular_file(table, DataError)
    try:
        if (size := table.stat().st_size) > _MAX_BYTES:
            raise DataError(f"{table} has {size:,} bytes, above {_MAX_BYTES:,}: no table of images")
        data = table.read_bytes()
        data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise DataError(f"{table} is not UTF-8 text ({exc.reason} at byte {exc.start})") from exc
    except OSError as exc:
        raise DataError(f"{table} cannot be read ({exc.strerror})") from exc
    if (place := data.find(b"\0")) >= 0:
        line = data.count(b"\n", 0, place) + 1
        raise DataError(f"{table}, line {line}: a NUL byte, which is in no text (at byte {place})")
    return data


def require_name(text: str, column: str, where: str) -> str:
    """The name that a field holds; DataError if it is empty or longer than one."""
    if not text:
        raise DataError(f"{where}: column {column!r} is empty")
    if "\n" in text or "\r" in text:
        raise DataError(f"{where}: column {column!r} goes over several lines; is a quote not closed before?")
    if len(text) > MAX_NAME_LENGTH:
        raise DataError(
            f"{where}: column {column!r} holds {len(text):,} characters; a name has {MAX_NAME_LENGTH} at most"
        )
    return text


def check_unique_names(table: Path, names: list[str], lines: list[int]) -> None:
    """DataError if a name stands in two lines."""
    seen: dict[str, int] = {}
    for name, line in zip(names, lines, strict=True):
        if name in seen:
            raise DataError(f"{table}: {name[:MAX_NAME_LENGTH]} stands in line {seen[name]} and again in line {line}")
        seen[name] = line


def check_files_exist(table: Path, root: Path, names: list[str], lines: list[int]) -> None:
    """DataError with the lines of the names that are no files below `root`."""
    missing = [(name, line) for name, line in zip(names, lines, strict=True) if not _is_file(root / name)]
    if missing:
        told = ", ".join(
            f"{name[:MAX_NAME_LENGTH]} (line {line}{_oddity(root / name)})" for name, line in missing[:_MAX_LISTED]
        )
        more = f" and {len(missing) - _MAX_LISTED} more" if len(missing) > _MAX_LISTED else ""
        raise DataError(f"{table} lists images that do not exist below {root}: {told}{more}")


def _oddity(path: Path) -> str:
    return ", which is no file" if exists(path) else ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system would take
        return False
