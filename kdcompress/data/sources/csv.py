"""Your own images as a CSV file lists them: path and label, and perhaps partition and group, a row an image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kdcompress.data.base import check_data_folder
from kdcompress.data.columns import UnusedColumns
from kdcompress.data.filesystem import exists, expand_user, is_file, is_folder
from kdcompress.data.listing import ImageFiles, Listing
from kdcompress.data.parts import PARTS
from kdcompress.data.resolving import PathResolver
from kdcompress.data.rows import check_files_exist, check_unique_names, read_rows, require_name
from kdcompress.errors import DataError
from kdcompress.progress import Progress
from kdcompress.urls import is_url, parent_of


class Csv(ImageFiles):
    """A CSV file with a header. Image paths are relative to `dir`, by default the file's folder, and stay inside it.

    Attributes:
        file: The CSV file; by default the only one in `dir`.
        path: Column of image paths.
        label: Column of class names.
        partition: Optional column of train, val or test.
        group: Optional column of groups.
        subclass: Optional column of subclasses.
    """

    PATHS = ("dir", "file")

    file: str | None = None
    path: str = "path"
    label: str = "label"
    partition: str = "partition"
    group: str = "group"
    subclass: str = "subclass"

    def listing(self, progress: Progress) -> Listing:
        """Read the CSV file; see `ImageFiles.listing`."""
        table = self._table()
        root = check_data_folder(expand_user(self.dir) if self.dir else table.parent).resolve()
        listed, lines, resolver = Listing(root, [], [], [], None), [], PathResolver(root)
        groups: list[str] = []
        subclasses: list[str] = []
        unused = UnusedColumns(self._columns())
        for line, row in self._rows(table):
            unused.add(row)
            listed.names.append(resolver.resolve(row[self.path], f"{table}, line {line}"))
            listed.labels.append(require_name(row[self.label], self.label, f"{table}, line {line}"))
            listed.parts.append(_parse_part(row.get(self.partition), f"{table}, line {line}"))
            if self.group in row:
                groups.append(require_name(row[self.group], self.group, f"{table}, line {line}"))
            if self.subclass in row:
                subclasses.append(require_name(row[self.subclass], self.subclass, f"{table}, line {line}"))
            lines.append(line)
        if not lines:
            raise DataError(f"{table} has a header and no rows")
        unused.report(table, progress)
        check_unique_names(table, listed.names, lines)
        check_files_exist(table, root, listed.names, lines)
        if "" in (parts := set(listed.parts)) and len(parts) > 1:
            where = lines[listed.parts.index("")]
            raise DataError(f"{table}, line {where}: column {self.partition!r} is empty, and is filled in other rows")
        return Listing(root, listed.names, listed.labels, listed.parts, groups or None, subclasses or None)

    def _table(self) -> Path:
        if self.file is not None:
            path = expand_user(self.file)
            if is_url(self.file) and self.dir is None:  # its images lie beside it
                path = expand_user(parent_of(self.file)) / path.name
            if is_folder(path):
                raise DataError(f"data.file: {path} is a folder; name the file in it")
            if not is_file(path):
                raise DataError(f"data.file: {path} {'is no file' if exists(path) else 'does not exist'}")
            return path
        if self.dir is None:
            raise DataError("name the CSV file with data.file, or its folder with data.dir or --data-dir")
        tables = sorted(path for path in check_data_folder(expand_user(self.dir)).iterdir() if _is_table(path))
        if len(tables) != 1:
            names = ", ".join(path.name for path in tables) or "none"
            raise DataError(f"{self.dir} must hold one CSV file (there: {names}); name one with data.file")
        return tables[0]

    def _columns(self) -> dict[str, str]:
        """Return the column by setting."""
        return {key: getattr(self, key) for key in ("path", "label", "partition", "group", "subclass")}

    def _rows(self, table: Path) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield line number and row; columns that the user named are required."""
        keys = {
            key: column for key, column in self._columns().items() if key in ("path", "label", *self.model_fields_set)
        }
        required = {column: f"name the right one with data.{key}" for key, column in keys.items()}
        return read_rows(table, required)


DATASET = Csv


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in (".csv", ".tsv") and not path.name.startswith(".") and is_file(path)


def _parse_part(text: str | None, where: str) -> str:
    if not text:
        return ""
    if text.casefold() not in PARTS:
        raise DataError(f"{where}: a partition is train, val or test, got {text[:80]!r}")
    return PARTS[text.casefold()]
