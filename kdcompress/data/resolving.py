"""Names of files that a table or an archive gives: inside the folder that they are relative to, links and all."""

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
    """What `below` refuses."""


class PathResolver:
    """The files that names lead to below `root`, an absolute folder.

    A link is followed once for each folder on the way and for each file that is one, so that a table of a hundred
    thousand rows costs no more than a look at each file.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._parents: dict[str, str] = {"": ""}

    def resolve(self, text: str, where: str) -> str:
        """The path below the folder that a row names; DataError says `where` if it is none, or leaves the folder."""
        if not text:
            raise DataError(f"{where}: the path is empty")
        if _CONTROL.search(text):
            raise DataError(f"{where}: the path {text[:_MAX_SHOWN]!r} holds control characters")
        plain = text.replace("\\", "/").removeprefix(f"{self._root.as_posix()}/")  # absolute, but inside, is fine
        parent, _, name = plain.rpartition("/")
        if name in ("", ".", "..") or plain.startswith("/"):
            return self._checked(plain, text, where)
        if parent not in self._parents:
            self._parents[parent] = self._folder(parent, text, where)
        found = self._parents[parent] + name
        return self._checked(found, text, where) if _is_link(f"{self._root}/{found}") else found

    def _folder(self, parent: str, text: str, where: str) -> str:
        """What stands before a name in `parent`."""
        return f"{self._checked(parent, text, where)}/" if PurePosixPath(parent).parts else ""

    def _checked(self, plain: str, text: str, where: str) -> str:
        try:
            return safe_join(self._root, plain, where, _LeavesError).relative_to(self._root).as_posix()
        except _LeavesError as exc:
            told = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
            pure = PurePosixPath(plain)
            if not pure.is_absolute() and ".." not in pure.parts and pure.parts:
                raise DataError(f"{where}: {told} leaves the folder {self._root} through a link; {_REMEDY}") from exc
            raise DataError(
                f"{where}: {told} leaves the folder {self._root}; paths are relative to it (data.dir names another)"
            ) from exc


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (OSError, ValueError):  # it is not there, or no name that a file has
        return False
