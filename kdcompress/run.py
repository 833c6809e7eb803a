"""What a run leaves: a folder of whole files and the manifest that vouches for them."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kdcompress._version import __version__
from kdcompress.errors import RunError
from kdcompress.files import content_digest, is_partial, remove, sha256_of, write_json, write_text
from kdcompress.recipe import Recipe, read_resolved

SCHEMA = 1
MANIFEST = "manifest.json"
RECIPE = "recipe.toml"
LOCK = ".lock"
LOG = "run.log"
HISTORY = "history.csv"
METRICS = "metrics.json"
CHECKPOINTS = "checkpoints"
OUTPUTS = "outputs"
EXPORTS = "exports"
MODELS = ("teacher.keras", "student.keras", "baseline.keras")
# What a run may have made before the manifest names it
MADE = (
    CHECKPOINTS,
    OUTPUTS,
    EXPORTS,
    HISTORY,
    METRICS,
    "verify.json",
    "bench.json",
    "report.html",
    "MODEL_CARD.md",
    *MODELS,
    RECIPE,
)

# Which command writes a file again; all others are of `distill`, which makes a whole run
_MAKERS = {"exports": "export", "verify.json": "verify", "bench.json": "bench", "report.html": "report"}


class RunFolder:
    """A run folder; a file counts only when the manifest names it, and the manifest is written last."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def admit(self) -> None:
        """Make the folder; RunError, with nothing touched, if it holds something that is no run."""
        if problem := self.problem():
            raise RunError(problem)
        self.path.mkdir(parents=True, exist_ok=True)

    def problem(self) -> str | None:
        """Why this cannot be a run folder, or None. A folder is a run if our manifest is in it, or if it is empty."""
        if not self.path.is_dir():
            blocking = next(p for p in (self.path, *self.path.absolute().parents) if p.exists())
            return None if blocking.is_dir() else f"{self.path} cannot be a run folder: {blocking} is a file"
        others = sorted(p.name for p in self.path.iterdir() if p.name not in (LOCK, LOG) and not is_partial(p))
        if others and not self.begun():
            return f"{self.path} holds {others[0]} and no run; choose another --out"
        return None

    def begun(self) -> bool:
        """Whether our manifest is in the folder (another tool's file of that name does not count)."""
        try:
            return "kdcompress" in json.loads((self / MANIFEST).read_text(encoding="utf-8")).get("made_by", "")
        except FileNotFoundError:
            return False
        except (ValueError, AttributeError, UnicodeDecodeError) as exc:
            raise RunError(f"{self / MANIFEST} is damaged or no run's manifest ({exc}); name another folder") from exc

    def finished(self) -> bool:
        """Whether the run here came to its result."""
        return self.path.is_dir() and self.begun() and METRICS in self.manifest()["files"]

    @contextmanager
    def locked(self) -> Iterator[None]:
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

    def claim(self, recipe: Recipe) -> bool:
        """Begin a run of `recipe`, or check that the run here is one; returns whether it was begun now.

        Errors: RunError names the first key in which the recipes differ.
        """
        for leftover in filter(is_partial, self.path.iterdir()):
            leftover.unlink()
        path = self / RECIPE
        if not path.exists():
            self.note()
            write_text(path, recipe.to_toml())
            return True
        if found := difference(read_resolved(path).identity, recipe.identity):
            key, before, now = found
            raise RunError(
                f"run folder {self.path} belongs to another recipe: {key} is {before!r} there, "
                f"{now!r} here; choose another --out, or --fresh to make it anew"
            )
        return False

    def manifest(self) -> dict[str, Any]:
        """The manifest, or an empty one; RunError if it cannot be read."""
        path = self / MANIFEST
        if not path.exists():
            return {"schema": SCHEMA, "made_by": f"kdcompress {__version__}", "files": {}}
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            known = found["schema"] == SCHEMA and isinstance(found["files"], dict)
        except (ValueError, KeyError, TypeError) as exc:
            raise RunError(f"{path} is damaged ({exc}); --fresh starts the run anew") from exc
        if not known:
            raise RunError(f"{path} was written by another version (schema {found['schema']}); --fresh starts anew")
        return found

    def check_models(self, recipe: Recipe) -> None:
        """Remember the files of models and weights of a recipe; RunError if one was replaced since the run used it."""
        named = recipe.files
        now = {key: content_digest(path) for key, path in named.items() if path.exists()}
        manifest = self.manifest()
        before = manifest.get("model_files", {})
        for key, digest in now.items():
            used = key.startswith("student") or "teachers" in manifest
            if used and before.get(key, digest) != digest:
                role, weights = key.partition("-")[0], "'s weights file" * key.endswith("-weights")
                raise RunError(
                    f"{role}{weights} {named[key]} was replaced since run {self.path} began; "
                    "--fresh makes the run anew with it, another --out keeps both"
                )
        self.note(model_files={**before, **now})  # one that is gone may come back as another

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

    def note(self, **facts: Any) -> None:
        """Add top-level facts to the manifest."""
        write_json(self / MANIFEST, {**self.manifest(), **facts})

    def commit(self, name: str, **facts: Any) -> None:
        """Enter a finished file into the manifest with its SHA-256, bytes and further `facts`."""
        manifest = self.manifest()
        size = (self / name).stat().st_size
        manifest["files"][name] = {"sha256": sha256_of(self / name), "bytes": size, **facts}
        write_json(self / MANIFEST, manifest)

    def forget_missing(self, folder: str) -> None:
        """Take the files out of the manifest that are not below `folder` any more."""
        manifest = self.manifest()
        names = [name for name in manifest["files"] if name.startswith(f"{folder}/") and not (self / name).exists()]
        if names:
            write_json(
                self / MANIFEST,
                {**manifest, "files": {k: v for k, v in manifest["files"].items() if k not in names}},
            )

    def holds(self, name: str) -> bool:
        """Whether `name` was committed; RunError if it has changed or gone since."""
        entry = self.manifest()["files"].get(name)
        if entry is None:
            return False
        if not (self / name).is_file():
            raise RunError(f"{self / name} is gone since the run wrote it; {_remedy(name)}")
        if sha256_of(self / name) != entry["sha256"]:
            raise RunError(f"{self / name} has changed since the run wrote it; {_remedy(name)}")
        return True

    def check_held(self, name: str) -> None:
        """RunError if a file that was committed, or one of a folder's, has changed or gone since."""
        for held in self.manifest()["files"]:
            if held == name or held.startswith(f"{name}/"):
                self.holds(held)

    def clear(self) -> None:
        """Delete the run, and nothing else that may lie in its folder; the manifest goes last, to mark it as ours."""
        tops = [name.split("/")[0] for name in self.manifest()["files"]]
        for name in dict.fromkeys([*MADE, *tops, MANIFEST]):
            remove(self / name)

    def discard_if_hardly_begun(self) -> None:
        """Take away what a run leaves that failed before it had made anything worth keeping."""
        if (self / HISTORY).exists() or self.manifest()["files"]:
            return
        self.clear()
        for name in (LOG, LOCK):
            (self / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # the user's folder, with things in it
            self.path.rmdir()


def _remedy(name: str) -> str:
    maker = _MAKERS.get(name.split("/")[0])
    return f"`kdcompress {maker}` makes it again" if maker else "`kdcompress distill --fresh` makes the run anew"


def versions(*more: str) -> dict[str, str]:
    """The versions that a result depends on, by package, `more` beside those that every result does."""
    from importlib.metadata import version

    names = ("tensorflow", "keras", "numpy", "scikit-learn", *more)
    return {"kdcompress": __version__, "python": sys.version.split()[0], **{name: version(name) for name in names}}


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first dotted key in which two recipes differ, with both values; None where they agree."""
    one, other = _flat(before), _flat(now)
    return next(
        (
            (key, one.get(key), other.get(key))
            for key in sorted(one.keys() | other.keys())
            if one.get(key) != other.get(key)
        ),
        None,
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat
