"""Commands that may be killed or find the disk full, and what they come to where nothing happens."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from trust.place import Place
from trust.watch import snapshot

_SMALL = ("--limit", "300", "--epochs", "2", "--set", "teacher.check=false")
_MODELS = ("--teacher", "honest/teacher.keras", "--student", "honest/student.keras")
_VARIES = {"seconds", "created", "versions", "command", "latency"}


@dataclass(frozen=True)
class Job:
    """A command, what it comes to, and phases of its work with the number of their steps."""

    name: str
    args: tuple[str, ...]
    result: Callable[[Place], Any]
    phases: tuple[tuple[str, int], ...] = ()
    setup: str = ""


def _json(path: Path) -> Any:
    return _fixed(json.loads(path.read_text(encoding="utf-8")))


def _fixed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _fixed(one) for key, one in value.items() if key not in _VARIES}
    return [_fixed(one) for one in value] if isinstance(value, list) else value


def _arrays(path: Path) -> dict[str, str]:
    with np.load(path) as arrays:
        return {name: hashlib.sha256(np.ascontiguousarray(arrays[name]).tobytes()).hexdigest() for name in arrays.files}


def _distilled(place: Place) -> Any:
    run = place.work / "made"
    files = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["files"]
    found = {name: entry["digest"] for name, entry in files.items() if "digest" in entry}
    metrics = _json(run / "metrics.json")
    metrics.pop("targets", None)  # whether they were found ready
    return found | {"test": _arrays(run / "outputs" / "test.npz"), "metrics": metrics}


def _exported(place: Place) -> Any:
    listed = _json(place.run / "exports" / "exports.json")
    files = snapshot(place.run / "exports")
    return {name: digest for name, digest in files.items() if name.endswith((".onnx", ".tflite"))} | {"list": listed}


def _timed(place: Place) -> Any:
    found = _json(place.run / "bench.json")
    return [found["interrupted"], sorted(one["name"] for one in found["models"])]


def _swept(place: Place) -> Any:
    found = _json(place.work / "swept" / "sweep.json")
    keys = ("method", "temperature", "alpha", "seed", "val", "test")
    trials = sorted(str([row[key] for key in keys]) for row in found["trials"])
    return {"trials": trials, "gain": found["gain"], "best": found["best"]["temperature"]}


def _drawn(place: Place) -> Any:
    return snapshot(place.work / "made")


def _emptied(place: Place) -> Any:
    return sorted(path.name for path in (place.root / "cache").rglob("*") if path.is_file() and path.suffix != ".lock")


def _reported(place: Place) -> Any:
    return {name: (place.run / name).read_bytes() for name in ("report.html", "MODEL_CARD.md")}


_ALL = (
    Job("distill", ("distill", "mnist-demo", *_MODELS, *_SMALL, "--out", "made"), _distilled,
        (("labelling", 2), ("student", 4), ("baseline", 4))),
    Job("export", ("export", "run", "--format", "onnx", "--format", "tflite", "--parity-samples", "100"), _exported),
    Job("verify", ("verify", "run"), lambda place: _json(place.run / "verify.json")),
    Job("report", ("report", "run"), _reported),
    Job("bench", ("bench", "run", "--threads", "1", "--duration", "0.05"), _timed),
    Job("distill-zoo", ("distill", "mnist-demo", "--teacher", "mnist_mlp", "--student", "honest/student.keras", *_SMALL,
                        "--out", "made"), _distilled, (("teacher", 4), ("student", 4))),
    Job("cache-clear", ("cache", "--clear"), _emptied, setup="fill_cache"),
    Job("make-synthetic", ("data", "make-synthetic", "mhist", "--out", "made", "--count", "60", "--size", "64"), _drawn,
        (("drawing", 50),)),
    Job("make-synthetic-jobs", ("data", "make-synthetic", "mhist", "--out", "made", "--count", "240", "--size", "32"),
        _drawn, (("drawing", 200),)),
    Job("distill-fresh", ("distill", "mnist-demo", *_MODELS, *_SMALL, "--out", "made", "--fresh"), _distilled,
        (("student", 4),), setup="distilled_before"),
    Job("sweep", ("sweep", "mnist-demo", *_MODELS, *_SMALL, "--seeds", "2", "-T", "1,8", "--out", "swept"), _swept),
    Job("sweep-jobs", ("sweep", "mnist-demo", *_MODELS, *_SMALL, "--seeds", "1", "-T", "1,8", "--jobs", "2", "--out",
                       "swept"), _swept),
)  # fmt: skip
JOBS: dict[str, Job] = {job.name: job for job in _ALL}


def fill_cache(root: str) -> None:
    """Cache entries of several kinds."""
    from trust.scenarios import cache

    cache(root)


def distilled_before(root: str) -> None:
    """A finished run where another is to be made."""
    import kdcompress

    place = Place(Path(root))
    kdcompress.distill(
        "mnist-demo", teacher="honest/teacher.keras", student="honest/student.keras", out=place.work / "made",
        limit=200, epochs=1, settings={"teacher.check": False},
    )  # fmt: skip
