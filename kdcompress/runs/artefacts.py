"""What kdcompress writes, by name: only that is ever deleted, damaged and half-written files too, and nothing else.

A manifest, a list of exports or a cache entry may come from a stranger, so none of them says what may be deleted; the
names do. Links are never ours: they are neither followed nor deleted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kdcompress.leftovers import PARTIAL

_PRECISION = r"(fp32|fp16|int8|dynamic)"
_PARTIAL = rf"([^/]+/)*{re.escape(PARTIAL)}[^/]*(/.*)?"
_DIGEST = r"[0-9a-f]{32,64}"
# What TensorFlow writes into a SavedModel, and what export puts beside it; assets are of other models
_IN_SAVED_MODEL = r"(saved_model\.pb|fingerprint\.pb|variables/variables\.[\w.-]+|assets\.extra/kdcompress\.json)"
_DIRS_OF_SAVED_MODEL = r"(/(variables|assets|assets\.extra))?"


@dataclass(frozen=True)
class Artefacts:
    """The names of the files, and of the folders for them, that kdcompress writes below a folder: regular expressions
    over paths relative to it."""

    files: re.Pattern[str]
    folders: re.Pattern[str]

    @classmethod
    def of(cls, files: str, folders: str = r"(?!)") -> Artefacts:
        """Those whose whole relative path matches; what a killed write left counts everywhere."""
        return cls(re.compile(rf"({files})|({_PARTIAL})"), re.compile(rf"({folders})|({_PARTIAL})"))

    def delete(self, folder: Path, also: Callable[[str], bool] = lambda name: False, last: str = "") -> list[str]:
        """Delete the files below `folder` that are ours, and our folders that are empty then; returns what stays.

        `also` says which further names are known to be ours, `last` which file goes last: what marks the folder.
        """
        kept: list[str] = []
        found = sorted(self._walk(folder, ""), key=lambda one: one[0] == last)
        for name, entry in found:
            ours = self.files.fullmatch(name) or also(name)
            if ours and entry.is_file(follow_symlinks=False):
                Path(entry.path).unlink()
            else:
                kept.append(name)
        for path in sorted(self._folders(folder, ""), key=lambda one: -len(one.parts)):
            if not any(path.iterdir()):
                path.rmdir()
        return kept

    def links(self, folder: Path) -> list[str]:
        """The links below `folder` that have the place of a file or folder of ours."""
        found = [name for name, entry in self._walk(folder, "") if entry.is_symlink()]
        return [name for name in found if self.files.fullmatch(name) or self.folders.fullmatch(name)]

    def _walk(self, folder: Path, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        """What is below a folder, by its name relative to it, without a look into folders that are not ours."""
        with os.scandir(folder / prefix) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False) and self.folders.fullmatch(name):
                yield from self._walk(folder, f"{name}/")
            else:
                yield name, entry

    def _folders(self, folder: Path, prefix: str) -> Iterator[Path]:
        with os.scandir(folder / prefix) as entries:
            inside = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in inside:
            if self.folders.fullmatch(f"{prefix}{name}"):
                yield folder / f"{prefix}{name}"
                yield from self._folders(folder, f"{prefix}{name}/")


def _exports(stem: str, prefix: str) -> tuple[str, str]:
    """The files and the folders of exports of a model by its `stem` (a pattern), `prefix` before their names."""
    name = rf"{stem}-{_PRECISION}(\.failed)?"
    folder = rf"{prefix}{name}\.saved_model"
    files = rf"{prefix}exports\.json|{prefix}{name}\.(onnx|tflite)|{folder}/{_IN_SAVED_MODEL}"
    return files, folder + _DIRS_OF_SAVED_MODEL


_RUN_EXPORTS, _RUN_EXPORT_FOLDERS = _exports("student", "exports/")
_TEACHER = r"teacher(-\d+)?"
_RUN_FILES = (
    r"(manifest|metrics|verify|bench)\.json|recipe\.toml|history\.csv|report\.html",
    rf"(student|baseline)\.keras|{_TEACHER}\.(keras|tflite|onnx|onnx\.data)|{_TEACHER}\.saved_model/{_IN_SAVED_MODEL}",
    r"outputs/(test|val|disagreements|subclasses)\.npz",
    r"checkpoints/(initial|teacher|student|baseline)\.npz|checkpoints/features/[0-9a-f]{32}\.(npy|json)",
    r"checkpoints/features\.lock",
)
_RUN_FOLDERS = (
    r"outputs|exports|checkpoints|checkpoints/features",
    rf"{_TEACHER}\.saved_model(/.*)?",  # a copy of the user's, whose folders are the user's to choose
    _RUN_EXPORT_FOLDERS,
)
RUN = Artefacts.of("|".join((*_RUN_FILES, _RUN_EXPORTS)), "|".join(_RUN_FOLDERS))
_FEATURES = r"features/[0-9a-f]{32}\.(npy|json)|features\.lock"
CHECKPOINTS = Artefacts.of(rf"(initial|teacher|student|baseline)\.npz|{_FEATURES}", "features")
FEATURES = Artefacts.of(r"[0-9a-f]{32}\.(npy|json)")
TARGETS = Artefacts.of(r"logits\.npy|meta\.json")
TEACHERS = Artefacts.of(rf"teacher\.keras|meta\.json|checkpoint\.npz|{_FEATURES}", "features")
TRIAL = Artefacts.of(r"student\.keras|trial\.json|checkpoint\.npz")
SAVED_MODEL = Artefacts.of(_IN_SAVED_MODEL, _DIRS_OF_SAVED_MODEL[2:-2])
_SHOWN = r"[^/.][^/]*"  # a name that is not hidden
_IMAGES = rf"({_SHOWN}/)*{_SHOWN}\.(?i:png|jpe?g|bmp|tiff?|webp|gif)"
# By the kind of a cache entry: how the entry's folder is named, and what is in it
CACHE = {
    "index": (re.compile(_DIGEST), Artefacts.of(r"(index|checked)\.(npz|json)")),
    "models": (re.compile(_DIGEST), Artefacts.of(r"model\.(keras|json)")),
    "teachers": (re.compile(_DIGEST), TEACHERS),
    "targets": (re.compile(_DIGEST), TARGETS),
    "exports": (re.compile(_DIGEST), Artefacts.of(*_exports("teacher", ""))),
    "mnist": (re.compile("mnist"), Artefacts.of(r"mnist\.npz")),
    "mhist": (re.compile(r"mhist-images-[0-9a-f]{16}"), Artefacts.of(_IMAGES, rf"({_SHOWN}/)*{_SHOWN}")),
}


def export_files(stem: str) -> Artefacts:
    """What `export` writes into a folder for the model of that stem."""
    return Artefacts.of(*_exports(re.escape(stem), ""))
