"""pandas DataFrames of image paths and labels."""

from __future__ import annotations

import csv
import io
import numbers
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kdcompress.data.columns import match_name
from kdcompress.digests import json_digest
from kdcompress.errors import DataError, UsageError
from kdcompress.files import write_text
from kdcompress.intake._base import Intake, Kind, is_of
from kdcompress.intake._store import store
from kdcompress.progress import Progress

_COLUMNS = {
    "path": ("path", "image", "file", "filename", "filepath", "image_path", "image_file"),
    "label": ("label", "class", "target", "y", "category"),
}
_TABLE = "table.csv"


class Frame(Kind):
    """A DataFrame with a row per image, which the data set source `csv` reads."""

    def accepts(self, data: Any) -> bool:
        """Return whether data are a pandas DataFrame; see `Kind.accepts`."""
        return is_of(data, "pandas") and hasattr(data, "columns") and hasattr(data, "iloc")

    def take_in(
        self, parts: Mapping[str, Any], classes: list[str] | None, settings: Mapping[str, Any], progress: Progress
    ) -> Intake:
        """Write the table to a CSV file; see `Kind.take_in`."""
        rows = [row for part, frame in parts.items() for row in _rows(frame, part, settings)]
        if not rows:
            raise DataError("data: the DataFrame has no rows")
        names = _name_labels(rows, classes)
        paths = [Path(str(row["path"])).expanduser().absolute() for row in rows]
        root = Path(os.path.commonpath([path.parent for path in paths]))
        for row, path in zip(rows, paths, strict=True):
            row["path"] = str(path.relative_to(root))
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        digest = json_digest({"root": str(root), "table": text.getvalue()})
        folder = store(digest, lambda folder: write_text(folder / _TABLE, text.getvalue()), progress)
        order = {} if names is None else {"classes": names}
        rest = {key: value for key, value in settings.items() if key not in _COLUMNS}
        return Intake({"name": "csv", "dir": str(root), **order, **rest, "file": str(folder / _TABLE)}, folder)


KIND = Frame()


def _rows(frame: Any, part: str, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows with the columns `path` and `label`, the latter of names, and `partition` for divided data."""
    columns = {
        _find_column(list(frame.columns), str(settings.get(column, "")), names, column): column
        for column, names in _COLUMNS.items()
    }
    for record in frame.to_dict("records"):
        row = {columns.get(name, str(name)): value for name, value in record.items()}
        yield {**row, "partition": part} if part else row


def _find_column(columns: list[Any], setting: str, names: tuple[str, ...], kind: str) -> Any:
    if setting:
        matches = [column for column in columns if column == setting]
    else:
        matches = [column for name in names for column in columns if str(column).casefold() == name]
        matches = matches or [column for column in columns if match_name(str(column), {kind: kind})]
    if not matches:
        what = "image paths" if kind == "path" else "class names or numbers"
        raise UsageError(
            f"data: the DataFrame has no column of {what} ({setting or ', '.join(names)}); it has "
            f"{', '.join(map(str, columns))[:200]}; name it with settings={{'data.{kind}': 'COLUMN'}}"
        )
    return matches[0]


def _name_labels(rows: list[dict[str, Any]], classes: list[str] | None) -> list[str] | None:
    """Replace labels that are numbers by names, in place.

    Args:
        rows: Rows with the key `label`.
        classes: Names in the order of the numbers, or None.

    Returns:
        All names in the order of the numbers; None for labels that are names without `classes`.

    Raises:
        DataError: A label is missing, or none of the classes.
    """
    for number, row in enumerate(rows):
        if row["label"] is None or row["label"] != row["label"]:
            raise DataError(f"data: row {number:,} of the DataFrame has no label")
    if all(isinstance(row["label"], str) for row in rows):
        unknown = next((row["label"] for row in rows if classes and row["label"] not in classes), None)
        if unknown is not None:
            raise DataError(f"data: label {unknown[:80]!r} of the DataFrame is none of the classes")
        return classes
    indices = [_to_number(row["label"]) for row in rows]
    names = dict(enumerate(classes)) if classes else {index: str(index) for index in sorted(set(indices))}
    for row, index in zip(rows, indices, strict=True):
        if index not in names:
            raise DataError(
                f"data: label {index} of the DataFrame is none of 0 to {len(names) - 1}, the {len(names)} classes"
            )
        row["label"] = names[index]
    return list(names.values())


def _to_number(label: Any) -> int:
    if isinstance(label, numbers.Real) and float(label).is_integer():
        return int(float(label))
    raise DataError(f"data: label {str(label)[:80]!r} of the DataFrame is no whole number, as others are")
