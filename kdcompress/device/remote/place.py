"""Where a bundle and its runs lie in the cache of a device's user, and whether a run goes on."""

import json
import os
import sys
from pathlib import Path
from typing import Any


class Place:
    """Folders of a bundle and of one of its runs.

    Args:
        request: `sha256` and `size` of the bundle, and the `key` of the run: of bundle and options.

    Attributes:
        root: Folder of kdcompress in the cache.
        folder: Folder of the bundle.
        run: Folder of the run.
    """

    def __init__(self, request: "dict[str, Any]") -> None:
        cache = os.environ.get("XDG_CACHE_HOME", "")
        parent = Path(cache) if cache.startswith("/") else Path.home() / ".cache"
        self.root = parent / "kdcompress"
        self.sha256, self.size, self.key = request["sha256"], request["size"], request["key"]
        self.folder = self.root / self.sha256[:16]
        self.bundle = self.folder / "bundle.pyz"
        self.run = self.folder / f"run-{self.key[:16]}"
        self.log, self.end, self.result = (self.run / name for name in ("log", "end.json", "result.json"))
        self.environment = self.root / "environment"
        self.python = self.environment / "bin" / "python"
        self.marker = self.environment / "kdcompress.json"
        self.busy = self.root / "busy"

    def make(self) -> None:
        """Make the folder of the bundle, and remember whether there was no cache before."""
        new = not self.root.parent.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        if new:
            (self.root / "made-cache").touch()

    def installed(self) -> "list[str]":
        """Return the packages of the environment; none if there is no whole one for this Python."""
        try:
            marker = json.loads(self.marker.read_text())
        except (OSError, ValueError):
            return []
        fits = marker["python"] == sys.version and self.python.exists()
        return list(marker["packages"]) if fits else []

    def lock(self) -> "int | None":
        """Take the lock that a run holds as long as its process lives; return None if another one has it."""
        import fcntl

        handle = os.open(str(self.busy), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return handle

    def state(self) -> str:
        """Return the state of the run: new, running, ended, or busy with another one."""
        if self.busy.exists():
            handle = self.lock()
            if handle is None:
                return "running" if self.busy.read_text() == self.key else "busy"
            os.close(handle)
        return "ended" if self.end.exists() else "new"


def write(path: Path, document: "dict[str, Any]") -> None:
    """Write a document, whole or not at all.

    Args:
        path: The file.
        document: A JSON object.
    """
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(document))
    part.replace(path)


def describe(exc: OSError, place: Place) -> str:
    """Describe an error of the operating system with the file that it is of, or else the folder."""
    return f"{exc.filename or place.folder}: {exc.strerror or exc}"
