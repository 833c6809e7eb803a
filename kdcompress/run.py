"""What a run leaves: a folder of whole files and the manifest that vouches for them."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kdcompress._version import __version__
from kdcompress.errors import RunError
from kdcompress.files import sha256_of, write_json, write_text
from kdcompress.recipe import Recipe, resolve

SCHEMA = 1
MANIFEST = "manifest.json"
RECIPE = "recipe.toml"
LOCK = ".lock"
LOG = "run.log"
HISTORY = "history.csv"
CHECKPOINTS = "checkpoints"


class RunFolder:
    """A run folder; a file counts only when the manifest names it, and the manifest is written last."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def admit(self) -> None:
        """Make the folder; RunError, with nothing touched, if it holds something that is no run."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            others = self._others()
        except (FileExistsError, NotADirectoryError) as exc:
            raise RunError(f"{self.path} cannot be a run folder: a file is in the way") from exc
        if others and not (self / RECIPE).exists():
            raise RunError(f"{self.path} holds {others[0]} and no run; choose another --out")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one process; RunError if another holds it."""
        lock = FileLock(self / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(f"run folder {self.path} is in use by another process; choose another --out") from None
        try:
            yield
        finally:
            lock.release()

    def claim(self, recipe: Recipe) -> None:
        """Write the recipe into a new run, or check that the run was begun with the same one; RunError if not."""
        path = self / RECIPE
        if not path.exists():
            write_text(path, recipe.to_toml())
            return
        before, now = _flat(resolve(path).identity), _flat(recipe.identity)
        for key in sorted(before.keys() | now.keys()):
            if before.get(key) != now.get(key):
                raise RunError(
                    f"run folder {self.path} belongs to another recipe: {key} is {before.get(key)!r} there, "
                    f"{now.get(key)!r} here; choose another --out, or --fresh to make it anew"
                )

    def manifest(self) -> dict[str, Any]:
        """The manifest, or an empty one; RunError if it cannot be read."""
        path = self / MANIFEST
        if not path.exists():
            return {"schema": SCHEMA, "files": {}}
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            known = found["schema"] == SCHEMA and isinstance(found["files"], dict)
        except (ValueError, KeyError, TypeError) as exc:
            raise RunError(f"{path} is damaged ({exc}); --fresh starts the run anew") from exc
        if not known:
            raise RunError(f"{path} was written by another version (schema {found['schema']}); --fresh starts anew")
        return found

    def note(self, **facts: Any) -> None:
        """Add top-level facts to the manifest."""
        write_json(self / MANIFEST, {**self.manifest(), **facts})

    def commit(self, name: str, **facts: Any) -> None:
        """Enter a finished file into the manifest with its SHA-256, bytes and further `facts`."""
        manifest = self.manifest()
        size = (self / name).stat().st_size
        manifest["files"][name] = {"sha256": sha256_of(self / name), "bytes": size, **facts}
        write_json(self / MANIFEST, manifest)

    def holds(self, name: str) -> bool:
        """Whether `name` was committed; RunError if it has changed or gone since."""
        entry = self.manifest()["files"].get(name)
        if entry is None:
            return False
        if not (self / name).is_file():
            raise RunError(f"{self / name} is gone since it was written; --fresh makes the run anew")
        if sha256_of(self / name) != entry["sha256"]:
            raise RunError(f"{self / name} has changed since it was written; --fresh makes the run anew")
        return True

    def clear(self) -> None:
        """Delete an earlier run from the folder."""
        for name in self._others():
            shutil.rmtree(self / name) if (self / name).is_dir() else (self / name).unlink()

    def discard_if_hardly_begun(self) -> None:
        """Take away what a run leaves that failed before it had made anything worth keeping."""
        if not self.path.is_dir() or (self / HISTORY).exists() or self.manifest()["files"]:
            return
        for name in (RECIPE, MANIFEST, LOCK, LOG):
            (self / name).unlink(missing_ok=True)
        shutil.rmtree(self / CHECKPOINTS, ignore_errors=True)
        with contextlib.suppress(OSError):  # a folder that was there before, with things of its own
            self.path.rmdir()

    def _others(self) -> list[str]:
        return sorted(item.name for item in self.path.iterdir() if item.name not in (LOCK, LOG))


def versions() -> dict[str, str]:
    """The versions that a result depends on, by package."""
    from importlib.metadata import version

    names = ("tensorflow", "keras", "numpy", "scikit-learn")
    return {"kdcompress": __version__, "python": sys.version.split()[0], **{name: version(name) for name in names}}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
