"""Reading of CSV files that list images, and checks of their rows."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from kdcompress.data.filesystem import exists
from kdcompress.errors import DataError
from kdcompress.paths import check_regular_file
from kdcompress.registry import did_you_mean

MAX_NAME_LENGTH = 255  # characters of a class, group or subclass, as of a folder
_MAX_BYTES = 256 << 20
_MAX_LINE = 1 << 20  # characters
_MAX_COLUMNS = 1000
_MAX_HEADER = 100_000  # characters by which the delimiter is found
_DELIMITERS = ",;\t|"
_SEPARATOR = re.compile(r'"?sep=(.)"?[,;\t|]*[\r\n]*', re.IGNORECASE)  # a line that Excel writes and reads
_WORKBOOKS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")  # of Excel
_MAX_LISTED = 5  # missing files that a message names


def read_rows(table: Path, columns: Mapping[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a CSV file with commas, semicolons or tabs, any line ends, in UTF-8 or UTF-16.

    Args:
        table: The file. A first line such as "sep=;" names its separator, as Excel has it.
        columns: Required columns, each with what to do if it is missing.

    Yields:
        Line number and row by column.

    Raises:
        DataError: If the file is damaged or lacks a column; names the line.
    """
    lines, begin = _lines(table, *_read_table(table)), 1
    first, separator, skipped = _find_header(lines)
    if not first:
        raise DataError(f"{table} is empty; it needs a header with the columns {' and '.join(columns)}")
    delimiter = separator or _find_delimiter(first, columns)
    # Strict: otherwise a quote that is never closed would join all later rows into one field
    reader = csv.DictReader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    try:
        reader.fieldnames = header = _header(table, reader.fieldnames, columns)
        begin = reader.line_num + 1
        for row in reader:
            if None in row or None in row.values():
                raise DataError(
                    f"{table}, line {reader.line_num + skipped}: not as many fields as the header's {len(header)}"
                )
            yield reader.line_num + skipped, {key: value.strip() for key, value in row.items()}
            begin = reader.line_num + 1
    except csv.Error as exc:
        problem = "a quote is opened and never closed" if "unexpected end" in str(exc) else f"no CSV ({exc})"
        begin, end = begin + skipped, reader.reader.line_num + skipped
        at = f"line {begin}" if end <= begin else f"lines {begin} to {end}"
        raise DataError(f"{table}, {at}: {problem}") from exc


def _lines(table: Path, data: bytes, encoding: str) -> Iterator[str]:
    """Yield lines with their line ends; overlong ones and those with NUL are rejected."""
    with io.TextIOWrapper(io.BytesIO(data), encoding, newline="") as text:
        for number, line in enumerate(text, start=1):
            if len(line) > _MAX_LINE:
                raise DataError(f"{table}, line {number}: {len(line):,} characters, above {_MAX_LINE:,}")
            if "\0" in line:
                raise DataError(f"{table}, line {number}: a NUL byte, which is in no text")
            yield line


def _find_header(lines: Iterator[str]) -> tuple[str, str | None, int]:
    """Return the header's line, the separator that a line before it names, and the number of lines before it."""
    separator = None
    for number, line in enumerate(lines):
        if declared := _SEPARATOR.fullmatch(line):
            separator = declared[1]
        elif line.strip():
            return line, separator, number
    return "", separator, 0


def _find_delimiter(header: str, columns: Iterable[str]) -> str:
    """Return the delimiter by which the header has the most required columns, or else the most columns."""

    def count(delimiter: str) -> tuple[int, int]:
        names = next(csv.reader([header[:_MAX_HEADER]], delimiter=delimiter), [])
        return len(set(columns) & {name.strip() for name in names}), len(names)

    return max(_DELIMITERS, key=count)


def _header(table: Path, names: Sequence[str] | None, columns: Mapping[str, str]) -> list[str]:
    """Return the column names, which must be unique and contain the required ones."""
    header = [name.strip() for name in names or ()]
    if len(header) > _MAX_COLUMNS:
        raise DataError(f"{table} has {len(header):,} columns, above {_MAX_COLUMNS:,}")
    for column, remedy in columns.items():
        if column not in header:
            more = f" and {len(header) - 20} more" if len(header) > 20 else ""
            existing = ", ".join(name[:80] for name in header[:20]) or "none"
            close = did_you_mean(column, header)
            raise DataError(f"{table} has no column {column!r}{close}; it has {existing}{more}: {remedy}")
    if repeated := [name for name in dict.fromkeys(header) if name and header.count(name) > 1]:
        raise DataError(f"{table} has two columns {repeated[0][:80]!r}, and which one counts is not known; rename one")
    return header


def _read_table(table: Path) -> tuple[bytes, str]:
    """Read a table, check that it is text, and return its bytes and their encoding."""
    check_regular_file(table, DataError)
    try:
        if (size := table.stat().st_size) > _MAX_BYTES:
            raise DataError(f"{table} has {size:,} bytes, above {_MAX_BYTES:,}: no table of images")
        data = table.read_bytes()
    except OSError as exc:
        raise DataError(f"{table} cannot be read ({exc.strerror})") from exc
    if data.startswith(_WORKBOOKS):
        raise DataError(f"{table} is an Excel workbook or an archive, not CSV; save its sheet as CSV in UTF-8")
    encoding = _find_encoding(data)
    try:
        data.decode(encoding)
    except UnicodeDecodeError as exc:
        name = encoding[:6].upper() if encoding.startswith("utf-16") else "UTF-8"
        line = data.count(b"\n", 0, exc.start) + 1
        raise DataError(
            f"{table} is not {name} text ({exc.reason} at byte {exc.start}, in line {line}); save it as UTF-8, which "
            "Excel lists as CSV UTF-8"
        ) from exc
    return data, encoding


def _find_encoding(data: bytes) -> str:
    """Return UTF-16 for its byte order marks, and for headers of ASCII in it; UTF-8 for all others."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    zeros = "".join("0" if byte == 0 else "." for byte in data[:4])
    return {".0.0": "utf-16-le", "0.0.": "utf-16-be"}.get(zeros, "utf-8-sig")


def require_name(text: str, column: str, where: str) -> str:
    """Check that a field contains a name.

    Args:
        text: The field.
        column: Its column, for messages.
        where: File and line, for messages.

    Returns:
        `text`.

    Raises:
        DataError: If it is empty, too long, or contains line breaks.
    """
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
    """Check that no image is listed twice.

    Args:
        table: The file, for messages.
        names: Image paths.
        lines: Their line numbers.

    Raises:
        DataError: If one is; names both lines.
    """
    seen: dict[str, int] = {}
    for name, line in zip(names, lines, strict=True):
        if name in seen:
            raise DataError(f"{table}: {name[:MAX_NAME_LENGTH]} stands in line {seen[name]} and again in line {line}")
        seen[name] = line


def check_files_exist(table: Path, root: Path, names: list[str], lines: list[int]) -> None:
    """Check that all listed images exist.

    Args:
        table: The file, for messages.
        root: Folder of the images.
        names: Image paths relative to `root`.
        lines: Their line numbers.

    Raises:
        DataError: If some do not; names their lines.
    """
    missing = [(name, line) for name, line in zip(names, lines, strict=True) if not _is_file(root / name)]
    if missing:
        listed = ", ".join(
            f"{name[:MAX_NAME_LENGTH]} (line {line}{_problem_kind(root / name)})"
            for name, line in missing[:_MAX_LISTED]
        )
        more = f" and {len(missing) - _MAX_LISTED} more" if len(missing) > _MAX_LISTED else ""
        raise DataError(f"{table} lists images that do not exist below {root}: {listed}{more}")


def _problem_kind(path: Path) -> str:
    return ", which is no file" if exists(path) else ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file system accepts
        return False
