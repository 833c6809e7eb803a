"""Whether memory stays flat: over a sweep of many tiny trials, and over one training of many epochs.

    python benchmarks/long_runs.py [--trials 500] [--epochs 200] [--quick] [--out long_runs.json]

Embedded digits, a student of one layer and trials of one epoch, so that what a trial leaves behind shows and not what
it trains; in this process, with a temporary cache. The resident memory is read after each trial and after each epoch.
What it grows by is the slope over the second half (Theil-Sen, with its 95 % interval), for the first trials fill caches
that then stay. At most 50 kB a trial and an epoch are allowed: 25 MB in 500 trials, which is less than what malloc's
arenas move by, while one training step's graph that is not freed is megabytes. `--quick` is 40 trials and 40 epochs, in
a few minutes; what is slower than 50 kB is then lost in the noise. Prints JSON; exit code 1 if the limit is broken.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import psutil
from scipy.stats import theilslopes
from telling import tell

import kdcompress
from kdcompress.progress import Progress

ALLOWED_KB, SEEDS = 50.0, 5
SETTINGS = {
    "data.source": "embedded",
    "teacher.model": "mnist_mlp",
    "teacher.training.epochs": 1,
    "teacher.check": False,
    "student.model": "long_runs:student",
    "training.batch_size": 50,
}


def student() -> Any:
    """A network that is traced and trained in no time, with a random layer, which has state beside weights."""
    layers = keras.layers
    body = [layers.Rescaling(1 / 255), layers.Flatten(), layers.Dropout(0.2), layers.Dense(10)]
    return keras.Sequential([keras.Input((28, 28, 1)), *body])


class Memory(Progress):
    """The resident memory of this process in MB, after each trial of a sweep or each epoch of the student."""

    def __init__(self) -> None:
        self.trials: list[float] = []
        self.epochs: list[float] = []
        self._process = psutil.Process()

    def note(self, text: str) -> None:
        """A trial's line names its seed."""
        if ", seed " in text:
            self.trials.append(self._now())

    def epoch(self, phase: str, epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        """An epoch has ended."""
        if phase == "student":
            self.epochs.append(self._now())

    def _now(self) -> float:
        return float(self._process.memory_info().rss) / 1e6


def growth(found: Sequence[float], seconds: float) -> dict[str, Any]:
    """What the memory of `found`, in MB, grows by each time."""
    later = np.asarray(found[len(found) // 2 :]) * 1e3
    each, _, low, high = theilslopes(later, np.arange(len(later)), 0.95)
    return {
        "n": len(found),
        "start_mb": round(found[0], 1),
        "middle_mb": round(later[0] / 1e3, 1),
        "end_mb": round(found[-1], 1),
        "highest_mb": round(max(found), 1),
        "growth_kb": {"each": round(float(each), 2), "low": round(float(low), 2), "high": round(float(high), 2)},
        "seconds": round(seconds, 1),
    }


def of_sweep(trials: int, folder: Path) -> dict[str, Any]:
    """The memory over a sweep of at least `trials` trials of one epoch."""
    memory, start = Memory(), time.perf_counter()
    temperatures = np.linspace(1, 8, -(-trials // SEEDS)).tolist()
    kdcompress.sweep(
        "mnist-demo", temperatures=temperatures, seeds=SEEDS, epochs=1, limit=100, out=folder / "sweep",
        settings=SETTINGS, progress=memory,
    )  # fmt: skip
    return growth(memory.trials, time.perf_counter() - start)


def of_training(epochs: int, folder: Path) -> dict[str, Any]:
    """The memory over one training of `epochs` epochs."""
    memory, start = Memory(), time.perf_counter()
    kdcompress.distill(
        "mnist-demo", epochs=epochs, limit=1000, baseline=False, out=folder / "run", settings=SETTINGS,
        progress=memory,
    )  # fmt: skip
    return growth(memory.epochs, time.perf_counter() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    trials, epochs = (40, 40) if given.quick else (given.trials, given.epochs)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KDCOMPRESS_CACHE_DIR"] = str(Path(scratch) / "cache")
        found = {"sweep": of_sweep(trials, Path(scratch)), "training": of_training(epochs, Path(scratch))}
    passed = all(one["growth_kb"]["each"] <= ALLOWED_KB for one in found.values())
    return tell({**found, "allowed_kb": ALLOWED_KB, "passed": passed}, given.out)


if __name__ == "__main__":
    raise SystemExit(main())
