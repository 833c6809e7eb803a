"""The files that a run's manifest records with their SHA-256."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kdcompress.digests import cached_sha256, sha256_of
from kdcompress.errors import RunError
from kdcompress.files import write_json
from kdcompress.paths import safe_join
from kdcompress.runs.manifest import empty_manifest, read_manifest
from kdcompress.runs.names import CARD, MANIFEST, remedy


class RecordedFiles:
    """A folder with a manifest that records the size and SHA-256 of finished files.

    A file counts only once the manifest records it, and the manifest is written last.

    Args:
        path: The folder.

    Attributes:
        on_commit: Called with the name of each file once the manifest records it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.on_commit: Callable[[str], None] = lambda name: None

    def __truediv__(self, name: str) -> Path:
        """Return the path of a file of the run; RunError if it would be outside the folder."""
        return safe_join(self.path, name, f"run {self.path}", RunError)

    def manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Returns:
            The manifest; an empty one if there is none.

        Raises:
            RunError: If it is damaged.
        """
        return read_manifest(self.path) or empty_manifest()

    def update_manifest(self, **facts: Any) -> None:
        """Set top-level keys of the manifest.

        Args:
            **facts: Keys and JSON values.
        """
        write_json(self / MANIFEST, {**self.manifest(), **facts})

    def commit(self, name: str, **facts: Any) -> None:
        """Record a finished file in the manifest.

        Args:
            name: Path relative to the folder.
            **facts: JSON values to record beside size and SHA-256.
        """
        manifest = self.manifest()
        size = (self / name).stat().st_size
        manifest["files"][name] = {"sha256": sha256_of(self / name), "bytes": size, **facts}
        write_json(self / MANIFEST, manifest)
        self.on_commit(name)

    def drop_missing(self, folder: str) -> None:
        """Remove the entries of deleted files from the manifest.

        Args:
            folder: Subfolder of the run whose files are looked at.
        """
        manifest = self.manifest()
        names = [name for name in manifest["files"] if name.startswith(f"{folder}/") and not (self / name).exists()]
        if names:
            remaining = {name: entry for name, entry in manifest["files"].items() if name not in names}
            write_json(self / MANIFEST, {**manifest, "files": remaining})

    def has_file(self, name: str) -> bool:
        """Return whether the manifest records a file, which must be unchanged.

        Args:
            name: Path relative to the folder.

        Raises:
            RunError: If the recorded file is missing or changed.
        """
        entry = self.manifest()["files"].get(name)
        if entry is None:
            return False
        if problem := self._find_change(name, entry):
            raise RunError(f"{problem} since the run wrote it; {remedy(name, self.path)}")
        return True

    def check_file(self, name: str) -> None:
        """Check a recorded file or folder, together with an ONNX file's external weights.

        Args:
            name: Path relative to the folder.

        Raises:
            RunError: If a recorded file of it is missing or changed.
        """
        for recorded in self.manifest()["files"]:
            if recorded in (name, f"{name}.data") or recorded.startswith(f"{name}/"):
                self.has_file(recorded)

    def check_all(self, but: str = "") -> None:
        """Check all recorded files.

        Args:
            but: File to skip, because the command writes it anew.

        Raises:
            RunError: If any is missing or changed; names the first and counts the others.
        """
        damaged = self.find_damaged()
        damaged.pop(but, None)
        if damaged:
            first, problem = next(iter(damaged.items()))
            more = f" (and {len(damaged) - 1} more files; verify --files lists them)" if len(damaged) > 1 else ""
            raise RunError(f"{problem} since the run wrote it{more}; {remedy(first, self.path)}")

    def find_damaged(self) -> dict[str, str]:
        """Return the recorded files that are missing or changed, each with a description of the problem."""
        entries = self.manifest()["files"].items()
        problems = {name: self._find_change(name, entry) for name, entry in entries if name != CARD}
        return {name: problem for name, problem in problems.items() if problem}

    def _find_change(self, name: str, entry: Mapping[str, Any]) -> str | None:
        path = self / name
        if not path.is_file():
            return f"{path} is gone"
        unchanged = path.stat().st_size == entry["bytes"] and cached_sha256(path) == entry["sha256"]
        return None if unchanged else f"{path} has changed"
