"""Runs whose other files are damaged on purpose, hold code, or are no files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from trust.commands import RUN
from trust.place import Place
from trust.registry import kind

_REPORT_FIRST = ("run-report", *(one for one in RUN if one != "run-report"))
_WRONG: dict[str, Any] = {"list": [1, 2], "null": None, "number": 3, "empty": {}, "text": "x"}


def _document(file: str) -> None:
    """Register a JSON file of a run that is there, vouched for, and of wrong types all over."""

    @kind(f"{file.split('.')[0]}-types", f"{file} of wrong types", at="run", commands=_REPORT_FIRST)
    def make(place: Place) -> None:
        found = json.loads((place.run / file).read_text(encoding="utf-8"))
        odd = {key: list(_WRONG.values())[at % 5] for at, key in enumerate(found)}
        (place.run / file).write_text(json.dumps(odd), encoding="utf-8")
        place.vouch()

    @kind(f"{file.split('.')[0]}-deep", f"{file} nested without end", at="run", commands=_REPORT_FIRST)
    def make_deep(place: Place) -> None:
        (place.run / file).write_text("[" * 200_000, encoding="utf-8")
        place.vouch()


for _file in ("bench.json", "metrics.json", "verify.json"):
    _document(_file)


def _written(
    name: str, abuses: str, file: str, refused: tuple[str, ...] = ()
) -> Callable[[Callable[[bytes], bytes]], None]:
    """Register a function that gives other bytes for a file of the run, vouched for."""

    def register(spoil: Callable[[bytes], bytes]) -> None:
        @kind(name, abuses, at="run", commands=_REPORT_FIRST, refused=refused)
        def make(place: Place) -> None:
            path = place.run / file
            path.write_bytes(spoil(path.read_bytes()))
            place.vouch()

    return register


@_written("history-bytes", "a history that is no UTF-8", "history.csv", ("run-report",))
def _(content: bytes) -> bytes:
    return content.replace(b"student", b"stud\xff\xfent")


@_written("history-words", "a history of words in place of numbers", "history.csv", ("run-report",))
def _(content: bytes) -> bytes:
    return content.replace(b"0.", b"zero.")


@_written("history-huge", "a field of a history of 50 MB", "history.csv")
def _(content: bytes) -> bytes:
    return content + b"student,99," + b"9" * 50_000_000 + b"\n"


@_written("card-marks", "a model card of escape sequences between its marks", "MODEL_CARD.md")
def _(content: bytes) -> bytes:
    return content.replace(b"-->", b"-->\x1b[2J<script>alert(1)</script>", 1)


@_written("metrics-script", "a script in metrics.json, for the page", "metrics.json")
def _(content: bytes) -> bytes:
    return content.replace(b"embedded: 5,000 digits", b"</script><script>alert(1)</script>\\u001b[2J")


@kind("outputs-pickle", "pickled outputs", at="run", commands=_REPORT_FIRST, refused=("run-report",))
def _(place: Place) -> None:
    from trust.pickles import mark

    with np.load(place.run / "outputs" / "test.npz") as arrays:
        found = dict(arrays)
    found["ids"] = np.array([mark(place.mark("outputs"))] * 3, object)
    np.savez(place.run / "outputs" / "test.npz", **found)
    place.vouch()


@kind("outputs-shape", "outputs that declare 10^12 rows", at="run", commands=_REPORT_FIRST, refused=("run-report",))
def _(place: Place) -> None:
    from trust.arrays import declare

    declare(place.run / "outputs" / "test.npz", "labels.npy", (10**12,))
    place.vouch()


@kind("outputs-labels", "outputs with a label of 39 thousand million", at="run", commands=_REPORT_FIRST)
def _(place: Place) -> None:
    with np.load(place.run / "outputs" / "test.npz") as arrays:
        found = dict(arrays)
    found["labels"] = found["labels"].astype(np.int64)
    found["labels"][0] = 39_000_000_000
    np.savez(place.run / "outputs" / "test.npz", **found)
    place.vouch()


@kind("outputs-lengths", "outputs of unequal lengths", at="run", commands=_REPORT_FIRST)
def _(place: Place) -> None:
    with np.load(place.run / "outputs" / "test.npz") as arrays:
        found = dict(arrays)
    found["student_logits"] = found["student_logits"][:7, :3]
    found["teacher_logits"] = np.full_like(found["teacher_logits"], np.nan)
    np.savez(place.run / "outputs" / "test.npz", **found)
    place.vouch()


def _first(command: str) -> tuple[str, ...]:
    return (command, *(one for one in RUN if one != command))


def _fifo(name: str, command: str) -> None:
    @kind(f"run-fifo-{name.split('.')[0]}", f"a FIFO in place of {name}", at="run", commands=_first(command))
    def make(place: Place) -> None:
        (place.run / name).unlink()
        os.mkfifo(place.run / name)


for _special, _telling in (
    ("manifest.json", "run-report"),
    ("student.keras", "run-predict"),
    ("history.csv", "run-report"),
    ("recipe.toml", "run-export"),
):
    _fifo(_special, _telling)


@kind("run-link-log", "run.log is a link to a file outside", at="run", commands=_first("run-verify"))
def _(place: Place) -> None:
    (place.run / "run.log").symlink_to(place.outside / "canary.txt")


@kind("run-link-lock", ".lock is a link to a file outside", at="run", commands=_first("run-verify"))
def _(place: Place) -> None:
    (place.run / ".lock").symlink_to(place.outside / "canary.txt")


def _link(name: str) -> None:
    @kind(f"run-link-{name.split('.')[0]}", f"{name} of a run is a link that leads out", at="run",
          commands=_first("run-clear"))  # fmt: skip
    def make(place: Place) -> None:
        target = place.outside / f"their-{name}"
        if (place.run / name).exists():
            (place.run / name).rename(target)
        else:
            target.mkdir()
        if target.is_dir():
            (target / "diary.txt").write_text("the user's own\n", encoding="utf-8")
        (place.run / name).symlink_to(target)


for _linked in ("student.keras", "exports", "outputs", "checkpoints", "verify.json", "manifest.json"):
    _link(_linked)


@kind("run-tampered-export", "an exported file with other weights, as the manifest does not have it", at="run",
      commands=("run-verify", "run-bench"), refused=("run-verify", "run-bench"))  # fmt: skip
def _(place: Place) -> None:
    path = place.run / "exports" / "student-fp32.onnx"
    content = bytearray(path.read_bytes())
    content[2000:2200] = bytes(200)
    path.write_bytes(content)


@kind("honest-run", "nothing: a control", at="run", commands=RUN, sound=True)
def _(place: Place) -> None:
    place.vouch()
