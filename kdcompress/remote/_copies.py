"""Copies of what URLs lead to, in the cache: made once on a machine, and again only where a file has changed."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.cache import cache_dir, lock_entry
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import DataError
from kdcompress.files import write_atomically
from kdcompress.formatting import size as format_size
from kdcompress.paths import safe_join
from kdcompress.progress import Progress
from kdcompress.remote._places import Place, RemoteFile, UnreachableError
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.urls import check_url, digest_in, is_url, name_in, show_url

_RECORD, _FILES = "copy.json", "files"
_THREADS = 8
_RECORD_EVERY_S = 30.0  # so that a killed copy goes on
_UNKNOWN_SIZE_LIMIT = 64 << 30  # bytes of a file whose size the server does not tell
_KNOWN: dict[tuple[Path, str], Path] = {}


def local_path(text: str, progress: Progress | None = None) -> Path:
    """Return the path of a file or folder; what a URL leads to is copied into the cache first.

    A process looks once whether the place has changed. Where nothing answers, the copy that is there is used.

    Args:
        text: A path, which is returned as it is, or a URL.
        progress: Listener.

    Returns:
        The path, whether or not it exists; that of a copy exists.

    Raises:
        DataError: Nothing is there or answers, a name leaves the folder, the disk has no space, or a file has another
            size or digest than it should.
        MissingExtraError: The package that speaks the URL's protocol is not installed.
    """
    if not is_url(text):
        return Path(text)
    key = (cache_dir("remote"), text)
    if (known := _KNOWN.get(key)) is not None and known.exists():
        return known
    url, listener = check_url(text, "URL", DataError), progress or Progress()
    with lock_entry("remote", json_digest(url.partition("#")[0]), listener) as folder:
        path = _Copy(url, folder, listener).bring_up_to_date()
    if (wanted := digest_in(url)) and (not path.is_file() or (got := sha256_of(path)) != wanted):
        found = f"its SHA-256 is {got}" if path.is_file() else "it is a folder, which has none"
        raise DataError(f"{show_url(url)} is not the file that its URL demands: {found}, expected {wanted}")
    _KNOWN[key] = path
    return path


@dataclass(frozen=True)
class _Copied:
    """What is known of a copied file: that at the distance, and the copy."""

    size: int
    tag: str
    sha256: str
    time_ns: int


class _Copy:
    """The copy of a place.

    Args:
        url: The URL.
        folder: Entry of the cache, which is locked.
        progress: Listener.
    """

    def __init__(self, url: str, folder: Path, progress: Progress) -> None:
        self._url, self._folder, self._progress = url, folder, progress
        self._shown, self._root = show_url(url), folder / _FILES
        self._is_folder, self._done, self._finished = _read_record(folder / _RECORD)

    def bring_up_to_date(self) -> Path:
        """Copy what is missing or has changed, and return the path of the copy."""
        try:
            place = Place(self._url)
            self._is_folder, files = place.files()
        except UnreachableError as exc:
            if not self._finished or self._stale():
                raise
            self._progress.note(f"{exc}; its copy in the cache is used")
            return self._path()
        paths = {file.name: safe_join(self._root, file.name, self._shown, DataError) for file in files}
        if missing := [file for file in files if not self._is_copied(file, paths[file.name])]:
            self._check_space(missing)
            self._copy(place, missing, paths)
        self._drop_others(paths)
        if missing or not self._finished:
            self._record(finished=True)
        return self._path()

    def _path(self) -> Path:
        return self._root if self._is_folder else self._root / name_in(self._url)

    def _stale(self) -> bool:
        """Whether a file of the copy is gone or has changed."""
        return any(not _is_as_copied(copied, self._root / name) for name, copied in self._done.items())

    def _is_copied(self, file: RemoteFile, path: Path) -> bool:
        copied = self._done.get(file.name)
        if copied is None or copied.tag != file.tag or file.size not in (None, copied.size):
            return False
        return _is_as_copied(copied, path)

    def _check_space(self, files: Iterable[RemoteFile]) -> None:
        needed = sum(file.size or 0 for file in files)
        self._folder.mkdir(parents=True, exist_ok=True)
        if needed > (free := shutil.disk_usage(self._folder).free):
            raise DataError(
                f"{self._shown} needs {format_size(needed)} in the cache {cache_dir()}, where {format_size(free)} "
                "are free; set KDCOMPRESS_CACHE_DIR to a folder on a larger disk"
            )

    def _copy(self, place: Place, files: list[RemoteFile], paths: dict[str, Path]) -> None:
        total = format_size(sum(file.size or 0 for file in files))
        count = f"{len(files):,} files" if len(files) > 1 else "1 file"
        self._progress.note(f"{self._shown}: {count}, {total}, copied into the cache")
        self._progress.begin("copying", len(files))
        recorded, stop = time.monotonic(), threading.Event()
        with ThreadPoolExecutor(_THREADS) as pool:
            futures = {pool.submit(_copy_file, place, file, paths[file.name], stop): file for file in files}
            try:
                for number, future in enumerate(as_completed(futures), start=1):
                    self._done[futures[future].name] = future.result()
                    self._progress.step(number, {})
                    if time.monotonic() - recorded > _RECORD_EVERY_S:
                        self._record(finished=False)
                        recorded = time.monotonic()
            except BaseException:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                self._record(finished=False)
                raise
        self._progress.end()

    def _drop_others(self, paths: dict[str, Path]) -> None:
        """Delete files that are not at the place any more."""
        for name in self._done.keys() - paths.keys():
            with contextlib.suppress(FileNotFoundError):
                safe_join(self._root, name, self._shown, DataError).unlink()
            del self._done[name]
            self._finished = False

    def _record(self, finished: bool) -> None:
        files = {name: list(vars(copied).values()) for name, copied in self._done.items()}
        document = {"url": self._shown, "folder": self._is_folder, "finished": finished, "files": files}
        write_sealed(self._folder / _RECORD, document)


def _copy_file(place: Place, file: RemoteFile, path: Path, stop: threading.Event) -> _Copied:
    limit = _UNKNOWN_SIZE_LIMIT if file.size is None else file.size

    def write(part: Path) -> None:
        written = 0
        with part.open("wb") as out:
            for block in place.read(file):
                written += len(block)
                if written > limit or stop.is_set():  # a server may send data without end
                    break
                out.write(block)
        if written != limit and (file.size is not None or written > limit):
            raise DataError(f"{show_url(place.url)}: {file.name} gave {written:,} bytes, expected {limit:,}; try again")

    write_atomically(path, write)
    status = path.stat()
    return _Copied(status.st_size, file.tag, sha256_of(path), status.st_mtime_ns)


def _is_as_copied(copied: _Copied, path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    if status.st_size != copied.size:
        return False
    return status.st_mtime_ns == copied.time_ns or sha256_of(path) == copied.sha256


def _read_record(path: Path) -> tuple[bool, dict[str, _Copied], bool]:
    """Read (whether it is a folder, the copied files, whether all are there); a damaged record counts as none."""
    try:
        record: dict[str, Any] = read_sealed(path, ("url", "folder", "finished", "files"))
        files = {str(name): _Copied(int(a), str(b), str(c), int(d)) for name, (a, b, c, d) in record["files"].items()}
        return bool(record["folder"]), files, bool(record["finished"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False, {}, False
