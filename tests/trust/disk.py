"""Commands on a disk that is full: one line, nothing half-written, and they go on once there is space."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trust.judge import message_problems
from trust.place import Place, lay
from trust.worker import Worker

_MEGABYTES = 48
_FILLER = "filler"
_MODELS = ("--teacher", "honest/teacher.keras", "--student", "honest/student.keras")
_SMALL = ("--limit", "300", "--epochs", "1", "--set", "teacher.check=false")

# A command whose output lies on the disk, and how much space it finds there, in kB; the run lies there, too
DISKS: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "distill": (("distill", "mnist-demo", *_MODELS, *_SMALL, "--out", "disk/made"), (0, 12, 40, 120, 300)),
    "export": (("export", "disk/run", "--format", "onnx", "--format", "tflite", "--parity-samples", "50"), (0, 8, 16)),
    "report": (("report", "disk/run"), (0, 100)),
    "predict": (("predict", "honest/student.keras", "digit.png", "--csv", "disk/predictions.csv"), (0,)),
    "verify": (("verify", "disk/run"), (0,)),
    "make-synthetic": (
        ("data", "make-synthetic", "mhist", "--out", "disk/made", "--count", "60", "--size", "64"),
        (0, 200),
    ),
    "bench": (("bench", "disk/run", "--threads", "1", "--duration", "0.03"), (0,)),
    "sweep": (("sweep", "mnist-demo", *_MODELS, *_SMALL, "--seeds", "1", "--out", "disk/swept"), (0, 60)),
}
_TOLERANT = {"verify"}  # which says what it found, and warns that it could not be written


@dataclass(frozen=True)
class Full:
    """What came of a command on a disk with `kilobytes` left."""

    command: str
    kilobytes: int
    problems: list[str]

    @property
    def again(self) -> str:
        """How to run it alone."""
        return f"python tests/trust/torture.py --only-disk {self.command}"


class NoMounts(RuntimeError):
    """File systems cannot be mounted here."""


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own at `folder`; NoMounts where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        raise NoMounts(f"no file system can be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, kilobytes: int) -> None:
    """Leave so much space on a disk."""
    left = shutil.disk_usage(disk).free - kilobytes * 1024
    with (disk / _FILLER).open("wb", buffering=0) as out:
        while left > 0:
            left -= out.write(bytes(min(left, 1 << 20)))


def run_full(worker: Worker, folder: Path, command: str, kilobytes: int) -> Full:
    """A command on a full disk, and again on one that has space."""
    shutil.rmtree(folder, ignore_errors=True)
    place = lay(folder)
    with small_disk(place.work / "disk") as disk:
        shutil.copytree(place.run, disk / "run")
        fill(disk, kilobytes)
        problems = _on_full(worker, place, disk, command)
        (disk / _FILLER).unlink()
        done = worker.run(DISKS[command][0], place.work, place.environment, seconds=120)
        if done.exit != 0:
            problems.append(f"with space again, ends with {done.exit}: {done.last[:300]}")
        problems += _half_written(disk)
    shutil.rmtree(folder)
    return Full(command, kilobytes, problems)


def _on_full(worker: Worker, place: Place, disk: Path, command: str) -> list[str]:
    done = worker.run(DISKS[command][0], place.work, place.environment, seconds=120)
    problems = _half_written(disk) + message_problems(done)
    if done.broken or done.exit not in (0, 1):
        problems.append(f"on a full disk, ends with {done.exit} {done.broken}: {done.last[:300]}")
    if done.exit == 1 and not any(word in done.last for word in ("space", "full")):
        problems.append(f"does not say that the disk is full: {done.last[:300]}")
    if done.exit == 0 and command not in _TOLERANT and not (done.out or done.err):
        problems.append("says nothing")
    return problems


def _half_written(disk: Path) -> list[str]:
    return [f"leaves {path.relative_to(disk)} behind" for path in disk.rglob(".kdcompress-part-*")][:3]
