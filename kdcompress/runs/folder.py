"""Run folders: their creation, locking, resumption and deletion."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kdcompress.config.recipe import Recipe, read_resolved_recipe
from kdcompress.differences import first_difference
from kdcompress.digests import content_digest
from kdcompress.errors import RunError, UsageError
from kdcompress.files import read_json, write_text
from kdcompress.leftovers import is_partial, remove_path
from kdcompress.runs.artefacts import run_files
from kdcompress.runs.manifest import MADE_BY, minor_version
from kdcompress.runs.names import CARD, HISTORY, LOCK, LOG, MANIFEST, METRICS, RECIPE, is_student
from kdcompress.runs.recorded import RecordedFiles
from kdcompress.urls import check_local


class RunFolder(RecordedFiles):
    """A folder that contains a run, or in which a run will be started.

    Args:
        path: The folder, which may not exist yet.
    """

    @property
    def _option(self) -> str:
        """The option that chooses another folder."""
        return "--name" if is_student(self.path) else "--out"

    def prepare(self, fresh: bool = False) -> None:
        """Make the folder.

        Args:
            fresh: Whether a run with a damaged manifest counts as a run, too.

        Raises:
            RunError: If it contains anything but a run; nothing is changed then.
        """
        if problem := self.find_problem(fresh):
            raise RunError(problem)
        self.path.mkdir(parents=True, exist_ok=True)

    def find_problem(self, fresh: bool = False) -> str | None:
        """Return why this cannot be a run folder, or None. It must be empty, missing, or contain a manifest of a run.

        Args:
            fresh: Whether a run with a damaged manifest counts as a run, too.
        """
        check_local(self.path, "a run folder", UsageError)
        if not self.path.is_dir():
            blocking = next(p for p in (self.path, *self.path.absolute().parents) if os.path.lexists(p))
            kind = "a file" if blocking.is_file() else "no folder"
            return None if blocking.is_dir() else f"{self.path} cannot be a run folder: {blocking} is {kind}"
        others = sorted(p.name for p in self.path.iterdir() if p.name not in (CARD, LOCK, LOG) and not is_partial(p))
        if others and not (self.is_or_was_run() if fresh else self.is_run()):
            return f"{self.path} holds {others[0]} and no run; choose another {self._option}"
        return None

    def is_run(self) -> bool:
        """Return whether the folder contains a manifest that kdcompress wrote.

        Raises:
            RunError: If a file of that name is damaged.
        """
        try:
            made_by = read_json(self / MANIFEST, RunError, "").get("made_by")
        except FileNotFoundError:
            return False
        except RunError as exc:
            path = self.path / MANIFEST
            reason = str(exc).removeprefix(f"{path} is damaged ").rstrip("; ")
            raise RunError(
                f"{path} is damaged or no run's manifest {reason}; "
                "name another folder; of a run, `kdcompress distill --fresh` makes it anew"
            ) from exc
        return isinstance(made_by, str) and "kdcompress" in made_by

    def is_or_was_run(self) -> bool:
        """Return whether the folder contains a run, or the recipe of a run whose manifest is damaged."""
        try:
            return self.is_run()
        except RunError:
            return (self.path / RECIPE).is_file()

    def is_finished(self) -> bool:
        """Return whether the folder contains a finished run."""
        return self.path.is_dir() and self.is_run() and METRICS in self.manifest()["files"]

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Context manager that locks the folder for this process.

        Raises:
            RunError: If another process holds the lock.
        """
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
        """Start a run of a recipe, or check that the run in the folder has the same recipe.

        Args:
            recipe: The resolved recipe.

        Returns:
            Whether the run was started now.

        Raises:
            RunError: If the recipes differ, with the first such key, or another version began the run.
        """
        for leftover in filter(is_partial, self.path.iterdir()):
            remove_path(leftover)
        path = self / RECIPE
        if not path.exists():
            self.update_manifest()
            write_text(path, recipe.to_toml())
            return True
        if difference := first_difference(read_resolved_recipe(path).identity, recipe.identity):
            key, before, now = difference
            raise RunError(
                f"run folder {self.path} belongs to another recipe: {key} is {before!r} there, "
                f"{now!r} here; choose another {self._option}, or --fresh to make it anew"
            )
        made_by = self.manifest()["made_by"]
        if not self.is_finished() and minor_version(made_by) != minor_version(MADE_BY):
            raise RunError(
                f"run {self.path} was begun by {made_by[:40]!r}, and only the same minor version ({MADE_BY}) continues "
                f"a training; choose another {self._option}, or --fresh to make it anew"
            )
        return False

    def check_model_files(self, files: Mapping[str, Path], digest: Callable[[Path], str] = content_digest) -> None:
        """Record the digests of the recipe's model and weights files, which must not change during a run.

        Args:
            files: The files by role, as in `Recipe.files`.
            digest: Covers everything that a model's outputs depend on, including files beside it.

        Raises:
            RunError: If a file was replaced after the run used it.
        """
        digests = {key: digest(path) for key, path in files.items() if path.exists()}
        manifest = self.manifest()
        recorded = manifest.get("model_files", {})
        for key, current in digests.items():
            used = key.startswith("student") or "teachers" in manifest
            if used and recorded.get(key, current) != current:
                role, weights = key.partition("-")[0], "'s weights file" * key.endswith("-weights")
                raise RunError(
                    f"{role}{weights} {files[key]} was replaced since run {self.path} began; "
                    "--fresh makes the run anew with it, another --out keeps both"
                )
        self.update_manifest(model_files={**recorded, **digests})  # a missing file may return as another one

    def check_data(self, facts: dict[str, Any]) -> None:
        """Check that the data are those that the run was started with.

        Args:
            facts: `Dataset.facts`: name, source and fingerprint.

        Raises:
            RunError: If the fingerprint differs.
        """
        recorded = self.manifest().get("dataset")
        if recorded is not None and recorded["fingerprint"] != facts["fingerprint"]:
            same_source = recorded["source"] == facts["source"]
            moved = "" if same_source else f" (was {recorded['source']}, is {facts['source']})"
            raise RunError(
                f"the data changed since run {self.path} began{moved}: images or labels are other ones; "
                "bring the former back, name their place with --data-dir, or start anew with --fresh"
            )

    def check_split(self, fingerprint: str) -> None:
        """Check that the split is the one that the run was started with.

        Args:
            fingerprint: `Split.fingerprint`.

        Raises:
            RunError: If it differs.
        """
        if self.manifest().get("split", fingerprint) != fingerprint:
            raise RunError(
                f"train and validation are divided otherwise than when run {self.path} began (other groups, or another "
                "version of kdcompress); start anew with --fresh"
            )

    def clear(self) -> None:
        """Delete the run, but no other files in the folder.

        Deleted are the files with names that kdcompress writes, except the model card, which the user may edit, and
        the files of a copied SavedModel teacher that are as the manifest records them.

        Raises:
            RunError: If a link has the name of a file or folder of a run; nothing is deleted then.
        """
        for name in run_files().links(self.path):
            path = self.path / name
            raise RunError(
                f"{path} is a link, which kdcompress neither makes nor follows; choose another {self._option}"
            )
        run_files().delete(self.path, self._is_unchanged, last=MANIFEST)

    def _is_unchanged(self, name: str) -> bool:
        """Whether a file of a copied SavedModel, whose name is not ours, is as the manifest records it."""
        if not (name.startswith("teacher") and ".saved_model/" in name):
            return False
        with contextlib.suppress(RunError):
            entry = self.manifest()["files"].get(name)
            return entry is not None and self._find_change(name, entry) is None
        return False

    def discard_if_empty(self) -> None:
        """Delete the run if it failed before it had written any result."""
        if (self / HISTORY).exists() or self.manifest()["files"]:
            return
        self.clear()
        for name in (LOG, LOCK):
            (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty: the user's own folder
            self.path.rmdir()
