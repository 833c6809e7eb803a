"""Sweeps and cache entries that are damaged, hostile, or lead elsewhere."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trust.place import Place, once
from trust.registry import kind

_AT = "swept"
_COMMANDS = ("sweep-report", "sweep-again")


def sweep_of(place: Place) -> Path:
    """A finished sweep, made by the command itself in this process."""
    folder = place.work / _AT

    def make() -> None:
        import kdcompress

        kdcompress.sweep(
            "mnist-demo", teacher="honest/teacher.keras", student="honest/student.keras", out=folder, epochs=1,
            limit=150, seeds=1, settings={"teacher.check": False},
        )  # fmt: skip

    once(place, "swept", folder, make)
    return folder


def _document(name: str, file: str, abuses: str) -> Callable[[Callable[[Any], Any]], None]:
    def register(spoil: Callable[[Any], Any]) -> None:
        @kind(name, f"{file} {abuses}", at=_AT, commands=_COMMANDS)
        def make(place: Place) -> None:
            path = next(iter(sorted(sweep_of(place).rglob(file))))
            spoilt = spoil(json.loads(path.read_text(encoding="utf-8")))
            path.write_text(spoilt if isinstance(spoilt, str) else json.dumps(spoilt), encoding="utf-8")

    return register


@_document("sweep-types", "sweep.json", "of wrong types")
def _(document: Any) -> Any:
    return {key: [3, None, [], {}, "x"][at % 5] for at, key in enumerate(document)}


@_document("sweep-deep", "sweep.json", "nested without end")
def _(document: Any) -> Any:
    return "[" * 200_000


@_document("sweep-ansi", "sweep.json", "with scripts and escape sequences")
def _(document: Any) -> Any:
    return {**document, "recipe": "<script>alert(1)</script>\x1b[2J", "sentence": "\x1b]0;owned\x07"}


@_document("space-types", "space.json", "of wrong types")
def _(document: Any) -> Any:
    return {"made_by": 3, "space": {"settings": [1, None], "seeds": "x"}}


@_document("trial-types", "trial.json", "of wrong types")
def _(document: Any) -> Any:
    return {key: ["x", None, [], {}, 1][at % 5] for at, key in enumerate(document)}


@kind("study-garbage", "a study.db of random bytes", at=_AT, commands=("sweep-again", "sweep-report"))
def _(place: Place) -> None:
    import numpy as np

    (sweep_of(place) / "study.db").write_bytes(np.random.default_rng(0).bytes(9000))


@kind(
    "study-values",
    "values of a study that are no JSON, and of wrong types",
    at=_AT,
    commands=("sweep-again", "sweep-report"),
)
def _(place: Place) -> None:
    with sqlite3.connect(sweep_of(place) / "study.db") as study:
        for table, column in (("trial_user_attributes", "value_json"), ("study_user_attributes", "value_json")):
            study.execute(f"update {table} set {column} = '[[[3'")


@kind("study-link", "a study.db that is a link to a file outside", at=_AT, commands=("sweep-again", "sweep-report"))
def _(place: Place) -> None:
    folder = sweep_of(place)
    (folder / "study.db").unlink()
    (folder / "study.db").symlink_to(place.outside / "canary.txt")


@kind(
    "sweep-trials-link", "trials that are a link to a folder outside", at=_AT, commands=("sweep-again", "sweep-report")
)
def _(place: Place) -> None:
    folder = sweep_of(place)
    for inside in [path for path in folder.iterdir() if path.is_dir()]:
        target = place.outside / inside.name
        inside.rename(target)
        (target / "diary.txt").write_text("the user's own\n", encoding="utf-8")
        inside.symlink_to(target)


@kind("honest-sweep", "nothing: a control", at=_AT, commands=_COMMANDS, sound=True)
def _(place: Place) -> None:
    sweep_of(place)


def _cache(place: Place) -> Path:
    return place.root / "cache"


@kind(
    "cache-links", "links to folders outside among cache entries", at="x", commands=("cache-clear", "cache", "cached")
)
def _(place: Place) -> None:
    for entry_kind in ("data", "index", "models", "teachers", "targets", "exports"):
        (_cache(place) / entry_kind).mkdir()
        (_cache(place) / entry_kind / ("a" * 64)).symlink_to(place.outside)
        (_cache(place) / entry_kind / "mnist").symlink_to(place.outside)


@kind("cache-kind-link", "a kind of cache entries that is a link to a folder outside", at="x",
      commands=("cache-clear", "cache", "cached"))  # fmt: skip
def _(place: Place) -> None:
    (place.outside / ("b" * 64)).mkdir()
    (place.outside / ("b" * 64) / "diary.txt").write_text("the user's own\n", encoding="utf-8")
    (place.outside / f"{'b' * 64}.lock").touch()  # which a cache that was moved by a link may have
    (_cache(place) / "targets").symlink_to(place.outside)
    (_cache(place) / "models").symlink_to(place.outside)


@kind("cache-users-files", "files of the user's own in the cache", at="x", commands=("cache-clear", "cache"))
def _(place: Place) -> None:
    for name in ("data/mine", "targets/my-notes", "x"):
        (_cache(place) / name).mkdir(parents=True)
        (_cache(place) / name / "diary.txt").write_text("the user's own\n", encoding="utf-8")


@kind("cache-ansi", "escape sequences in names of cache entries", at="x", commands=("cache", "cache-clear"))
def _(place: Place) -> None:
    (_cache(place) / "targets" / "\x1b[2Ja").mkdir(parents=True)
