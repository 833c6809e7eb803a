"""What a run leaves: a folder of whole files and the manifest that vouches for them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kdcompress.config.recipe import Recipe, read_resolved
from kdcompress.differences import first_difference
from kdcompress.digests import cached_sha256, content_digest, sha256_of
from kdcompress.errors import RunError
from kdcompress.files import read_json, write_json, write_text
from kdcompress.leftovers import is_partial, remove_path
from kdcompress.paths import safe_join
from kdcompress.runs.artefacts import RUN
from kdcompress.runs.manifest import MANIFEST, empty_manifest, read_manifest
from kdcompress.runs.names import CARD, HISTORY, LOCK, LOG, METRICS, RECIPE, remedy


class RunFolder:
    """A run folder; a file counts only when the manifest names it, and the manifest is written last."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        """The path of what the run calls `name`; RunError where it would lead out of the folder, through a link too."""
        return safe_join(self.path, name, f"run {self.path}", RunError)

    def prepare(self, fresh: bool = False) -> None:
        """Make the folder; RunError, with nothing touched, if it holds something that is no run.

        With `fresh` a run whose manifest is damaged is one, too.
        """
        if problem := self.find_problem(fresh):
            raise RunError(problem)
        self.path.mkdir(parents=True, exist_ok=True)

    def find_problem(self, fresh: bool = False) -> str | None:
        """Why this cannot be a run folder, or None. A folder is a run if our manifest is in it, or if it is empty."""
        if not self.path.is_dir():
            blocking = next(p for p in (self.path, *self.path.absolute().parents) if os.path.lexists(p))
            what = "a file" if blocking.is_file() else "no folder"
            return None if blocking.is_dir() else f"{self.path} cannot be a run folder: {blocking} is {what}"
        others = sorted(p.name for p in self.path.iterdir() if p.name not in (LOCK, LOG) and not is_partial(p))
        if others and not (self.is_or_was_run() if fresh else self.is_run()):
            return f"{self.path} holds {others[0]} and no run; choose another --out"
        return None

    def is_run(self) -> bool:
        """Whether our manifest is in the folder (another tool's file of that name does not count)."""
        try:
            made_by = read_json(self / MANIFEST, RunError, "").get("made_by")
        except FileNotFoundError:
            return False
        except RunError as exc:
            path = self.path / MANIFEST
            said = str(exc).removeprefix(f"{path} is damaged ").rstrip("; ")
            raise RunError(
                f"{path} is damaged or no run's manifest {said}; "
                "name another folder; of a run, `kdcompress distill --fresh` makes it anew"
            ) from exc
        return isinstance(made_by, str) and "kdcompress" in made_by

    def is_or_was_run(self) -> bool:
        """Whether a run was here before its manifest was damaged: its recipe lies beside it."""
        try:
            return self.is_run()
        except RunError:
            return (self.path / RECIPE).is_file()

    def is_finished(self) -> bool:
        """Whether the run here came to its result."""
        return self.path.is_dir() and self.is_run() and METRICS in self.manifest()["files"]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder for one process; RunError if another holds it."""
        lock = FileLock(self / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"run folder {self.path} is in use by another process; wait for it, or name another run"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def start_or_resume(self, recipe: Recipe) -> bool:
        """Begin a run of `recipe`, or check that the run here is one; returns whether it was begun now.

        Errors: RunError names the first key in which the recipes differ.
        """
        for leftover in filter(is_partial, self.path.iterdir()):
            remove_path(leftover)
        path = self / RECIPE
        if not path.exists():
            self.update_manifest()
            write_text(path, recipe.to_toml())
            return True
        if found := first_difference(read_resolved(path).identity, recipe.identity):
            key, before, now = found
            raise RunError(
                f"run folder {self.path} belongs to another recipe: {key} is {before!r} there, "
                f"{now!r} here; choose another --out, or --fresh to make it anew"
            )
        return False

    def manifest(self) -> dict[str, Any]:
        """The manifest, or an empty one; RunError if it cannot be read."""
        return read_manifest(self.path) or empty_manifest()

    def check_model_files(self, recipe: Recipe, digest: Callable[[Path], str] = content_digest) -> None:
        """Remember the files of models and weights of a recipe; RunError if one was replaced since the run used it.

        `digest` covers all bytes that decide what a model answers, also those beside its file.
        """
        named = recipe.files
        now = {key: digest(path) for key, path in named.items() if path.exists()}
        manifest = self.manifest()
        before = manifest.get("model_files", {})
        for key, found in now.items():
            used = key.startswith("student") or "teachers" in manifest
            if used and before.get(key, found) != found:
                role, weights = key.partition("-")[0], "'s weights file" * key.endswith("-weights")
                raise RunError(
                    f"{role}{weights} {named[key]} was replaced since run {self.path} began; "
                    "--fresh makes the run anew with it, another --out keeps both"
                )
        self.update_manifest(model_files={**before, **now})  # one that is gone may come back as another

    def check_data(self, facts: dict[str, Any]) -> None:
        """RunError if the run was begun with other data than `facts` (source, fingerprint) tell of."""
        before = self.manifest().get("dataset")
        if before is not None and before["fingerprint"] != facts["fingerprint"]:
            moved = "" if before["source"] == facts["source"] else f" (was {before['source']}, is {facts['source']})"
            raise RunError(
                f"the data changed since run {self.path} began{moved}: images or labels are other ones; "
                "bring the former back, name their place with --data-dir, or start anew with --fresh"
            )

    def check_split(self, fingerprint: str) -> None:
        """RunError if the run was begun with another division into train, validation and test."""
        if self.manifest().get("split", fingerprint) != fingerprint:
            raise RunError(
                f"train and validation are divided otherwise than when run {self.path} began (other groups, or another "
                "version of kdcompress); start anew with --fresh"
            )

    def update_manifest(self, **facts: Any) -> None:
        """Add top-level facts to the manifest."""
        write_json(self / MANIFEST, {**self.manifest(), **facts})

    def commit(self, name: str, **facts: Any) -> None:
        """Enter a finished file into the manifest with its SHA-256, bytes and further `facts`."""
        manifest = self.manifest()
        size = (self / name).stat().st_size
        manifest["files"][name] = {"sha256": sha256_of(self / name), "bytes": size, **facts}
        write_json(self / MANIFEST, manifest)

    def drop_missing(self, folder: str) -> None:
        """Take the files out of the manifest that are not below `folder` any more."""
        manifest = self.manifest()
        names = [name for name in manifest["files"] if name.startswith(f"{folder}/") and not (self / name).exists()]
        if names:
            write_json(
                self / MANIFEST,
                {**manifest, "files": {k: v for k, v in manifest["files"].items() if k not in names}},
            )

    def has_file(self, name: str) -> bool:
        """Whether `name` was committed; RunError if it has changed or gone since."""
        entry = self.manifest()["files"].get(name)
        if entry is None:
            return False
        if problem := self._changed(name, entry):
            raise RunError(f"{problem} since the run wrote it; {remedy(name, self.path)}")
        return True

    def check_file(self, name: str) -> None:
        """RunError if a committed file, the weights beside it, or one of a folder's, has changed or gone since."""
        for held in self.manifest()["files"]:
            if held in (name, f"{name}.data") or held.startswith(f"{name}/"):
                self.has_file(held)

    def check_all(self, but: str = "") -> None:
        """RunError if anything that the run vouches for has changed or gone; names the first, and how many more.

        `but` is what the command writes anew itself.
        """
        damaged = self.find_damaged()
        damaged.pop(but, None)
        if damaged:
            first, problem = next(iter(damaged.items()))
            more = f" (and {len(damaged) - 1} more files; verify --files lists them)" if len(damaged) > 1 else ""
            raise RunError(f"{problem} since the run wrote it{more}; {remedy(first, self.path)}")

    def find_damaged(self) -> dict[str, str]:
        """The files that the run vouches for and that are not as it wrote them, each with what is wrong."""
        entries = self.manifest()["files"].items()
        found = {name: self._changed(name, entry) for name, entry in entries if name != CARD}
        return {name: problem for name, problem in found.items() if problem}

    def _changed(self, name: str, entry: Mapping[str, Any]) -> str | None:
        path = self / name
        if not path.is_file():
            return f"{path} is gone"
        same = path.stat().st_size == entry["bytes"] and cached_sha256(path) == entry["sha256"]
        return None if same else f"{path} has changed"

    def clear(self) -> None:
        """Delete the run, and nothing else that may lie in its folder.

        What is deleted are the names that kdcompress writes, but for the model card, in which the user writes, too; and
        what else lies in the copy of a SavedModel teacher, as long as it is as the manifest vouches for. Errors:
        RunError, with nothing deleted, where a link has the place of a file or folder of a run.
        """
        for name in RUN.links(self.path):
            path = self.path / name
            raise RunError(f"{path} is a link, which kdcompress neither makes nor follows; choose another --out")
        RUN.delete(self.path, self._is_unchanged, last=MANIFEST)

    def _is_unchanged(self, name: str) -> bool:
        """Whether a file whose name was the user's to choose is as the run copied it."""
        if not (name.startswith("teacher") and ".saved_model/" in name):
            return False
        with contextlib.suppress(RunError):
            entry = self.manifest()["files"].get(name)
            return entry is not None and self._changed(name, entry) is None
        return False

    def discard_if_empty(self) -> None:
        """Take away what a run leaves that failed before it had made anything worth keeping."""
        if (self / HISTORY).exists() or self.manifest()["files"]:
            return
        self.clear()
        for name in (LOG, LOCK):
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the user's folder, with things in it
            self.path.rmdir()
