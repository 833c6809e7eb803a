"""Stand-ins for data sets that may not be handed out: drawn images in the layout of the real ones.

`_synthetic_NAME.py` is the generator of the data set NAME and defines SYNTHETIC; adding one is adding such a file.
"""

from __future__ import annotations

import importlib
import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from kdcompress import processes
from kdcompress._version import __version__
from kdcompress.errors import DataError, UsageError
from kdcompress.files import move_into_place, read_json, scratch_folder, write_json
from kdcompress.progress import Progress
from kdcompress.registry import suggestion

MANIFEST = "synthetic.json"
SMALLEST, LARGEST = 32, 1024  # pixels
MOST = 100_000
_CHUNK = 16  # images between two signs of life
_WORTH_PROCESSES = 200  # below, starting them takes longer than they save


@dataclass(frozen=True)
class DrawingConfig:
    """What to draw: `count` images of `size` x `size` pixels; `seed` and an image's number alone decide which."""

    count: int
    size: int
    seed: int


class Synthetic(ABC):
    """Draws one data set's stand-in; `default` is as the published set is, `least` the fewest images it can have."""

    default: ClassVar[DrawingConfig]
    least: ClassVar[int]

    @abstractmethod
    def draw(self, folder: Path, request: DrawingConfig, index: int) -> None:
        """Write image `index`, counted from 0, below `folder`; nothing else may decide its bytes."""

    @abstractmethod
    def finish(self, folder: Path, request: DrawingConfig) -> dict[str, Any]:
        """Write what lies beside the images (labels, parts); returns what the manifest says of how they came about."""


def make_synthetic(
    name: str,
    out: Path,
    progress: Progress,
    *,
    count: int | None = None,
    size: int | None = None,
    seed: int = 0,
) -> DrawingConfig:
    """Draw the stand-in for data set `name` into the new or empty folder `out`, whole or not at all.

    The same arguments give the same bytes, and what they gave before is left as it is; count and size are by default
    those of the published set.
    Many images are drawn in processes, so a script that calls this needs its `if __name__ == "__main__":`.
    Errors: UsageError for a data set without a generator, numbers out of range, and a folder that holds something.
    """
    generator = _generator(name)
    default = generator.default
    request = DrawingConfig(default.count if count is None else count, default.size if size is None else size, seed)
    _check(request, generator.least)
    out = out.expanduser().resolve()
    facts = {"made_by": f"kdcompress {__version__} data make-synthetic {name}", "synthetic": True, "dataset": name}
    facts |= {"seed": request.seed, "count": request.count, "size": request.size}
    if _made_before(out, facts):
        progress.note(f"{out} holds them already")
        return request
    _refuse_used(out)
    with scratch_folder(out.parent) as folder:
        _draw_all(name, folder, request, progress)
        write_json(folder / MANIFEST, {**facts, **generator.finish(folder, request)})
        _refuse_used(out)  # drawing takes long enough for somebody to have put something there
        move_into_place(folder, out)
    return request


def list_generators() -> list[str]:
    """The data sets that have a generator, sorted."""
    files = Path(__file__).parent.glob("[!_]*.py")
    return sorted(path.stem.replace("_", "-") for path in files)


def _generator(name: str) -> Synthetic:
    names = list_generators()
    if name not in names:
        raise UsageError(
            f"there is no generator of synthetic images for {name!r}{suggestion(name, names)}; "
            f"data sets that have one: {', '.join(names)}"
        )
    module = importlib.import_module(f"kdcompress.data.synthetic.{name.replace('-', '_')}")
    found: Synthetic = module.SYNTHETIC
    return found


def _check(request: DrawingConfig, least: int) -> None:
    limits = {"count": (least, MOST), "size": (SMALLEST, LARGEST), "seed": (0, 2**32 - 1)}
    why = {"count": f" ({least} is the fewest with every class in every part)", "size": " pixels", "seed": ""}
    for key, (low, high) in limits.items():
        if not low <= (got := getattr(request, key)) <= high:
            raise UsageError(f"--{key} must be from {low} to {high}{why[key]}, got {got}")


def _made_before(out: Path, facts: dict[str, Any]) -> bool:
    """Whether the folder, which appeared whole, was made by the same command, and no image has gone since."""
    try:
        found = read_json(out / MANIFEST, DataError, "")
    except (DataError, OSError):
        return False
    return facts.items() <= found.items() and len(list(out.rglob("*.png"))) == facts["count"]


def _refuse_used(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder that is new or empty")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"--out {out} holds something already; name a folder that is new or empty")


def _draw_all(name: str, folder: Path, request: DrawingConfig, progress: Progress) -> None:
    progress.begin("drawing", request.count)
    try:
        done = 0
        for drawn in _drawn(name, folder, request):
            done += drawn
            progress.step(done, {})
    finally:
        progress.end()


def _drawn(name: str, folder: Path, request: DrawingConfig) -> Iterator[int]:
    """Draw all images, in a process for each core where that pays, a chunk at a time; how many a chunk had."""
    if request.count < _WORTH_PROCESSES or _cores() == 1:
        yield from _draw_some(name, folder, request, 0, 1)
        return
    # Drawing holds Python's lock, so threads would not help; forking could copy a lock that TensorFlow's threads hold.
    children = []
    try:
        for number in range(_cores()):
            children.append(processes.start_module(__name__, stdout=subprocess.PIPE))
            job = {"name": name, "folder": str(folder), "request": asdict(request), "number": number, "of": _cores()}
            processes.send_job(children[-1], job)
        yield from map(int, processes.read_lines(children))
        for child in children:
            if code := child.wait():
                raise DataError(f"a process that draws images ended early (exit {code}); try again")
    finally:
        for child in children:
            child.kill()
            child.wait()


def _draw_some(name: str, folder: Path, request: DrawingConfig, number: int, of: int) -> Iterator[int]:
    """Draw every image of `of` from `number` on, a chunk at a time; how many the chunk had."""
    generator = _generator(name)
    own = range(number, request.count, of)
    for begin in range(0, len(own), _CHUNK):
        chunk = own[begin : begin + _CHUNK]
        for index in chunk:
            generator.draw(folder, request, index)
        yield len(chunk)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    _job, _ = processes.receive_job()
    _asked = DrawingConfig(**_job["request"])
    for _count in _draw_some(_job["name"], Path(_job["folder"]), _asked, _job["number"], _job["of"]):
        print(_count, flush=True)
