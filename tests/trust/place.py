"""Where a hostile file is put: a tree of canaries, with a finished run, honest models and an image in its middle."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trust.watch import State, snapshot

RUN = Path(__file__).parents[1] / "data" / "run-0.1"
# A white stroke on black, 28x28: some digit or other
_DIGIT = """iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAHUlEQVR42mNgoD9gROH9RxVgwqdzVHJUkghJGgEA7SsBKkgR
MQcAAAAASUVORK5CYII="""


@dataclass(frozen=True)
class Place:
    """The folders of one case below `root`.

    `work` is the current folder, `run` a finished run in it; `markers` must stay empty; everything else but what the
    command is told to write must stay as it is.
    """

    root: Path

    @property
    def work(self) -> Path:
        """The current folder of the command."""
        return self.root / "parent" / "work"

    @property
    def run(self) -> Path:
        """A run, which the command may write into."""
        return self.work / "run"

    @property
    def outside(self) -> Path:
        """Files that nobody names to the command."""
        return self.root / "outside"

    @property
    def markers(self) -> Path:
        """Where payloads leave their mark."""
        return self.root / "markers"

    def mark(self, name: str) -> str:
        """The path that a payload writes to."""
        return str(self.markers / name)

    @property
    def own(self) -> list[Path]:
        """What a command may write: its run and outputs, cache, and temporary folder."""
        made = [self.work / name for name in ("made", "exported", "swept")]
        return [self.run, *made, self.root / "cache", self.root / "tmp", self.root / "io", self.markers]

    @property
    def environment(self) -> dict[str, str]:
        """Cache and temporary files of the command, below the root."""
        cache, temporary = str(self.root / "cache"), str(self.root / "tmp")
        return {"KDCOMPRESS_CACHE_DIR": cache, "TMPDIR": temporary, "HOME": temporary, "KERAS_HOME": temporary}

    def watched(self) -> State:
        """The state of what must not change."""
        own = snapshot(self.run / "notes") if (self.run / "notes").is_dir() else {}
        return snapshot(self.root, self.own) | {
            f"the user's notes in the run: {name}": value for name, value in own.items()
        }

    @property
    def fired(self) -> list[str]:
        """The payloads that were executed."""
        return sorted(path.name for path in self.markers.iterdir())

    def vouch(self, run: Path | None = None) -> None:
        """Let the manifest vouch for the files of a run as they are now, as whoever hands on a run can."""
        run = run or self.run
        manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
        for name, entry in manifest["files"].items():
            path = run / name
            if path.is_file():
                entry |= {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        (run / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")

    def edit_json(self, name: str, **facts: Any) -> None:
        """Set top-level keys of a JSON file of the run."""
        path = self.run / name
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **facts}), encoding="utf-8")


def lay(root: Path) -> Place:
    """A fresh place: canaries on every level, a finished run, honest models."""
    place = Place(root)
    for folder in (root / "cache", root / "tmp", root / "io", place.markers, place.outside, place.work / "honest"):
        folder.mkdir(parents=True)
    for folder in (root, root / "parent", place.work, place.outside, root / "parent" / "sibling"):
        folder.mkdir(exist_ok=True)
        (folder / "canary.txt").write_text(f"the user's own file in {folder.name}\n", encoding="utf-8")
    shutil.copytree(RUN, place.run)
    for role in ("teacher", "student"):
        shutil.copy(RUN / f"{role}.keras", place.work / "honest" / f"{role}.keras")
    name_files(place.run, place.work / "honest")
    few_exports(place.run)
    place.vouch()
    shutil.copytree(place.run, place.work / "honest-run")
    (place.run / "notes").mkdir()
    (place.run / "notes" / "diary.txt").write_text("the user's own file in the run\n", encoding="utf-8")
    (place.work / "digit.png").write_bytes(base64.b64decode(_DIGIT))
    return place


def once(place: Place, name: str, target: Path, make: Callable[[], object]) -> None:
    """Let `make` fill `target`, or copy what it made there for an earlier case in the same place."""
    kept = place.root.with_name(f"{place.root.name}-{name}")
    if not kept.exists():
        make()
        copied = kept.with_suffix(".part")
        shutil.rmtree(copied, ignore_errors=True)
        shutil.copytree(target, copied)
        copied.rename(kept)
    else:
        shutil.copytree(kept, target, dirs_exist_ok=True)


def name_files(run: Path, honest: Path) -> None:
    """Let a run's recipe name files where it named functions of somebody's module."""
    path = run / "recipe.toml"
    text = path.read_text(encoding="utf-8")
    text = text.replace('"small_teacher:trained"', json.dumps(str(honest / "teacher.keras")))
    path.write_text(text.replace('"small_models:student"', json.dumps(str(honest / "student.keras"))), encoding="utf-8")


def few_exports(run: Path, keep: tuple[str, ...] = ("student-fp32.onnx", "student-fp32.tflite")) -> None:
    """Leave some exports alone, for `bench` times them all."""
    listed = json.loads((run / "exports" / "exports.json").read_text(encoding="utf-8"))
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    gone = [entry["path"] for entry in listed["artefacts"] if Path(entry["path"]).name not in keep]
    for name in gone:
        shutil.rmtree(run / name) if (run / name).is_dir() else (run / name).unlink()
    listed["artefacts"] = [entry for entry in listed["artefacts"] if entry["path"] not in gone]
    files = manifest["files"]
    manifest["files"] = {
        name: files[name] for name in files if not any(f"{name}/".startswith(f"{one}/") for one in gone)
    }
    (run / "exports" / "exports.json").write_text(json.dumps(listed, indent=2), encoding="utf-8")
    (run / "manifest.json").write_text(json.dumps(manifest, indent=2), encoding="utf-8")
