"""Runs whose manifest or list of exports names files that are not theirs, or is of wrong types."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from trust.commands import RUN
from trust.place import Place
from trust.registry import kind

_CLEAR_FIRST = ("run-clear", *(one for one in RUN if one != "run-clear"))
_ENTRY = {"sha256": "0" * 64, "bytes": 1}
_NAMES = {
    "climbs": ("../x", "names that climb out"),
    "parent": ("..", "the folder above"),
    "empty": ("", "an empty name"),
    "dot": (".", "the folder itself"),
    "backslash": ("..\\..\\canary.txt", "names that climb in another system's way"),
    "below": ("exports/../../canary.txt", "names that climb from a folder inside"),
    "null": ("a\x00b", "a name with a zero byte"),
    "users": ("notes/diary.txt", "a file of the user's own in the run's folder"),
}


def _names(place: Place, name: str) -> None:
    manifest = json.loads((place.run / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][name] = dict(_ENTRY)
    (place.run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _register(name: str, entry: str, abuses: str) -> None:
    @kind(f"manifest-{name}", f"a manifest with {abuses}", at="run", commands=_CLEAR_FIRST)
    def make(place: Place) -> None:
        _names(place, entry)


for _name, (_entry, _abuses) in _NAMES.items():
    _register(_name, _entry, _abuses)


@kind("manifest-absolute", "a manifest with an absolute name", at="run", commands=_CLEAR_FIRST)
def _(place: Place) -> None:
    _names(place, str(place.outside / "canary.txt"))


@kind("manifest-through-link", "a manifest with a name through a link that leads out", at="run", commands=_CLEAR_FIRST)
def _(place: Place) -> None:
    (place.run / "extra").symlink_to(place.outside)
    _names(place, "extra/canary.txt")


def _spoilt(name: str, abuses: str, file: str = "manifest.json") -> Callable[[Callable[[Any], Any]], None]:
    """Register a function that gives another document in place of the one in a file of the run."""

    def register(spoil: Callable[[Any], Any]) -> None:
        @kind(name, abuses, at="run", commands=RUN)
        def make(place: Place) -> None:
            path = place.run / file
            document = spoil(json.loads(path.read_text(encoding="utf-8")))
            path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
            if file != "manifest.json":
                place.vouch()

    return register


@_spoilt("manifest-list", "a manifest that is a list")
def _(document: Any) -> Any:
    return [document]


@_spoilt("manifest-deep", "a manifest nested without end")
def _(document: Any) -> Any:
    return "[" * 200_000


@_spoilt("manifest-entries", "entries of a manifest that are numbers and lists")
def _(document: Any) -> Any:
    names = list(document["files"])
    return {**document, "files": {name: [3, [], None, "x", {}][at % 5] for at, name in enumerate(names)}}


@_spoilt("manifest-facts", "facts of a manifest of other types")
def _(document: Any) -> Any:
    odd: dict[str, Any] = {"classes": 3, "input_shape": "28", "dataset": [], "teachers": {"a": 1}, "model_files": 7}
    return {**document, **odd, "split": {}, "seconds": "long", "versions": 1, "command": 5, "seed": [], "recipe": {}}


@_spoilt("manifest-shape", "an image size of 10^9 x 10^9 in a manifest")
def _(document: Any) -> Any:
    return {**document, "input_shape": [10**9, 10**9, 3]}


@_spoilt("manifest-classes", "escape sequences among the names of classes")
def _(document: Any) -> Any:
    return {**document, "classes": [f"{name}\x1b[2J\x1b]0;owned\x07\u202egnp" for name in document["classes"]]}


@_spoilt("manifest-teacher-file", "a teacher whose file lies outside of the run")
def _(document: Any) -> Any:
    document["teachers"][0]["file"] = "../honest/teacher.keras"
    return document


@_spoilt("manifest-numbers", "NaN, and numbers without end")
def _(document: Any) -> Any:
    return json.dumps(document).replace('"seed": 0', '"seed": NaN, "seconds": 1e999')


@_spoilt("exports-climbs", "a list of exports that names a file outside", "exports/exports.json")
def _(document: Any) -> Any:
    import hashlib

    content = b"the user's own file in work\n"  # as place.lay writes it
    entry = {**document["artefacts"][0], "path": "../canary.txt", "sha256": hashlib.sha256(content).hexdigest()}
    entry["bytes"] = len(content)
    return {**document, "student_digest": "another", "artefacts": [entry, *document["artefacts"]]}


@_spoilt("exports-empty-name", "a list of exports that names the run itself", "exports/exports.json")
def _(document: Any) -> Any:
    entries = [{**document["artefacts"][0], "path": name} for name in ("", ".", "..", "exports", "/")]
    return {**document, "student_digest": "another", "artefacts": entries}


@_spoilt("exports-types", "a list of exports of other types", "exports/exports.json")
def _(document: Any) -> Any:
    return {**document, "artefacts": [3, None, {"path": ["a"]}, {**document["artefacts"][0], "metrics": "x"}]}


@_spoilt("exports-ansi", "escape sequences in a list of exports", "exports/exports.json")
def _(document: Any) -> Any:
    entry = {**document["artefacts"][0], "path": "exports/\x1b[2J.onnx", "precision": "fp32\x1b[2J"}
    return {**document, "artefacts": [entry]}
