"""Resolution of file names from tables and archives, which must stay inside their folder."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path, PurePosixPath

from kdcompress.errors import DataError, KDCompressError
from kdcompress.paths import safe_join

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_MAX_SHOWN = 80  # characters of a path in a message
_REMEDY = "name with data.dir the folder that holds both, or copy the files into it"


class _LeavesError(KDCompressError):
    """Raised by `safe_join`, to be replaced by a DataError."""


class PathResolver:
    """Resolves untrusted file names relative to a folder.

    Links are resolved once per folder and for each file that is a link, so that a table of a hundred thousand rows
    costs one `lstat` per file.

    Args:
        root: Absolute path of the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._parents: dict[str, str] = {"": ""}

    def resolve(self, text: str, where: str) -> str:
        """Resolve a name.

        Args:
            text: The name; backslashes separate parts, too.
            where: File and line, for messages.

        Returns:
            Path relative to the folder, with slashes.

        Raises:
            DataError: If it is empty, contains control characters, or leaves the folder.
        """
        if not text:
            raise DataError(f"{where}: the path is empty")
        if _CONTROL.search(text):
            raise DataError(f"{where}: the path {text[:_MAX_SHOWN]!r} holds control characters")
        plain = text.replace("\\", "/").removeprefix(
            f"{self._root.as_posix()}/"
        )  # absolute paths into the folder are allowed
        parent, _, name = plain.rpartition("/")
        if name in ("", ".", "..") or plain.startswith("/"):
            return self._checked(plain, text, where)
        if parent not in self._parents:
            self._parents[parent] = self._folder(parent, text, where)
        path = self._parents[parent] + name
        return self._checked(path, text, where) if _is_link(f"{self._root}/{path}") else path

    def _folder(self, parent: str, text: str, where: str) -> str:
        """Return the checked path of `parent`, followed by a slash."""
        return f"{self._checked(parent, text, where)}/" if PurePosixPath(parent).parts else ""

    def _checked(self, plain: str, text: str, where: str) -> str:
        try:
            return safe_join(self._root, plain, where, _LeavesError).relative_to(self._root).as_posix()
        except _LeavesError as exc:
            shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
            pure = PurePosixPath(plain)
            if not pure.is_absolute() and ".." not in pure.parts and pure.parts:
                raise DataError(f"{where}: {shown} leaves the folder {self._root} through a link; {_REMEDY}") from exc
            raise DataError(
                f"{where}: {shown} leaves the folder {self._root}; paths are relative to it (data.dir names another)"
            ) from exc


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (OSError, ValueError):  # it does not exist, or is no valid file name
        return False
