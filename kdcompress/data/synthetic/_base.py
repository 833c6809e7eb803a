"""Base class of generators of synthetic data sets, and their parallel execution.

`NAME.py` is the generator of the data set NAME and defines SYNTHETIC.
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
from kdcompress.registry import did_you_mean

MANIFEST = "synthetic.json"
MIN_SIZE, MAX_SIZE = 32, 1024  # pixels
MAX_COUNT = 100_000
_CHUNK = 16  # images between updates of the progress
_MIN_PARALLEL = 200  # images; below, starting processes takes longer than it saves


@dataclass(frozen=True)
class DrawingConfig:
    """Parameters of a synthetic data set; seed and index determine each image.

    Attributes:
        count: Number of images.
        size: Height and width in pixels.
        seed: Seed.
    """

    count: int
    size: int
    seed: int


class Synthetic(ABC):
    """Base class of generators.

    Attributes:
        default: Count and size of the published data set.
        min_count: Smallest count with every class in every part.
    """

    default: ClassVar[DrawingConfig]
    min_count: ClassVar[int]

    @abstractmethod
    def draw(self, folder: Path, config: DrawingConfig, index: int) -> None:
        """Draw one image and write it; its bytes depend on the seed, the size and the index alone.

        Args:
            folder: Output folder.
            config: The parameters.
            index: Index of the image, from 0.
        """

    @abstractmethod
    def finish(self, folder: Path, config: DrawingConfig) -> dict[str, Any]:
        """Write the files beside the images, such as labels.

        Args:
            folder: Output folder.
            config: The parameters.

        Returns:
            Entries of the manifest that describe the generator.
        """


def make_synthetic(
    name: str,
    out: Path,
    progress: Progress,
    *,
    count: int | None = None,
    size: int | None = None,
    seed: int = 0,
) -> DrawingConfig:
    """Generate a synthetic data set atomically.

    The same arguments give the same bytes; a folder that was generated with them before is left as it is. Many images
    are drawn in several processes, so a script that calls this needs `if __name__ == "__main__":`.

    Args:
        name: Data set.
        out: New or empty folder.
        progress: Receives progress.
        count: Number of images; that of the published data set by default.
        size: Height and width in pixels; that of the published data set by default.
        seed: Seed.

    Returns:
        The parameters.

    Raises:
        UsageError: If there is no generator for the data set, a number is out of range, or the folder is not empty.
    """
    generator = _generator(name)
    default = generator.default
    config = DrawingConfig(default.count if count is None else count, default.size if size is None else size, seed)
    _check_config(config, generator.min_count)
    out = out.expanduser().resolve()
    facts = {"made_by": f"kdcompress {__version__} data make-synthetic {name}", "synthetic": True, "dataset": name}
    facts |= {"seed": config.seed, "count": config.count, "size": config.size}
    if _is_complete(out, facts):
        progress.note(f"{out} holds them already")
        return config
    _check_unused(out)
    with scratch_folder(out.parent) as folder:
        _draw_all(name, folder, config, progress)
        write_json(folder / MANIFEST, {**facts, **generator.finish(folder, config)})
        _check_unused(out)  # files may have been put there meanwhile
        move_into_place(folder, out)
    return config


def list_generators() -> list[str]:
    """Return the names of the data sets that have a generator, sorted."""
    files = Path(__file__).parent.glob("[!_]*.py")
    return sorted(path.stem.replace("_", "-") for path in files)


def _generator(name: str) -> Synthetic:
    names = list_generators()
    if name not in names:
        raise UsageError(
            f"there is no generator of synthetic images for {name!r}{did_you_mean(name, names)}; "
            f"data sets that have one: {', '.join(names)}"
        )
    module = importlib.import_module(f"kdcompress.data.synthetic.{name.replace('-', '_')}")
    generator: Synthetic = module.SYNTHETIC
    return generator


def _check_config(config: DrawingConfig, min_count: int) -> None:
    limits = {"count": (min_count, MAX_COUNT), "size": (MIN_SIZE, MAX_SIZE), "seed": (0, 2**32 - 1)}
    why = {"count": f" ({min_count} is the fewest with every class in every part)", "size": " pixels", "seed": ""}
    for key, (low, high) in limits.items():
        if not low <= (got := getattr(config, key)) <= high:
            raise UsageError(f"--{key} must be from {low} to {high}{why[key]}, got {got}")


def _is_complete(out: Path, facts: dict[str, Any]) -> bool:
    """Whether the folder was generated with the same arguments and all its images exist."""
    try:
        manifest = read_json(out / MANIFEST, DataError, "")
    except (DataError, OSError):
        return False
    return facts.items() <= manifest.items() and len(list(out.rglob("*.png"))) == facts["count"]


def _check_unused(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; name a folder that is new or empty")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"--out {out} holds something already; name a folder that is new or empty")


def _draw_all(name: str, folder: Path, config: DrawingConfig, progress: Progress) -> None:
    progress.begin("drawing", config.count)
    try:
        done = 0
        for count in _draw_parallel(name, folder, config):
            done += count
            progress.step(done, {})
    finally:
        progress.end()


def _draw_parallel(name: str, folder: Path, config: DrawingConfig) -> Iterator[int]:
    """Draw all images, in one process per core if there are many; yield the size of each finished chunk."""
    if config.count < _MIN_PARALLEL or _cores() == 1:
        yield from _draw_share(name, folder, config, 0, 1)
        return
    # Drawing holds the interpreter lock, so threads would not help; a fork could copy a lock that TensorFlow holds
    children = []
    try:
        for number in range(_cores()):
            children.append(processes.start_module(__name__, stdout=subprocess.PIPE))
            job = {"name": name, "folder": str(folder), "config": asdict(config), "number": number, "of": _cores()}
            processes.send_job(children[-1], job)
        yield from map(int, processes.read_lines(children))
        for child in children:
            if code := child.wait():
                raise DataError(f"a process that draws images ended early (exit {code}); try again")
    finally:
        for child in children:
            child.kill()
            child.wait()


def _draw_share(name: str, folder: Path, config: DrawingConfig, number: int, of: int) -> Iterator[int]:
    """Draw every `of`-th image from index `number` on; yield the size of each finished chunk."""
    generator = _generator(name)
    indices = range(number, config.count, of)
    for begin in range(0, len(indices), _CHUNK):
        chunk = indices[begin : begin + _CHUNK]
        for index in chunk:
            generator.draw(folder, config, index)
        yield len(chunk)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    _job, _ = processes.receive_job()
    _config = DrawingConfig(**_job["config"])
    for _count in _draw_share(_job["name"], Path(_job["folder"]), _config, _job["number"], _job["of"]):
        print(_count, flush=True)
