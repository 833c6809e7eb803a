"""What a sweep costs beside its trainings: 6 temperatures x 3 seeds and 3 baselines against 21 plain trainings.

    python benchmarks/sweep_cost.py TEACHER [--data-dir D] [--epochs 4] [--rounds 3] [--out sweep_cost.json]

TEACHER is a .keras file for MNIST. In turns, each in a process of its own: a whole sweep in a new folder and a new
cache, from the start of Python to its end (imports, loading, labelling, 18 students, the choice, 3 baselines, the
tests), and plain Keras: two students, each built, compiled and fitted with validation after each epoch, and the
teacher's pass over the training images. The ratio is the sweep's time over that of 21 plain trainings and one pass; at
most 1.10 is allowed. `ratio_of_students` counts the 18 students alone, so that the baselines are overhead, and
`cpu_ratio` is of processor time, which other work on the machine disturbs less. Prints JSON; exit code 1 if the limit
is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from telling import tell

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

TEMPERATURES, SEEDS, ALLOWED = [1.0, 2.0, 4.0, 16.0, 32.0, 64.0], 3, 1.10
STUDENTS, PLAIN = len(TEMPERATURES) * SEEDS, 2


def whole_sweep(given: argparse.Namespace) -> dict[str, float]:
    """The mean seconds of a student in the sweep; the process is timed from outside."""
    import kdcompress

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KDCOMPRESS_CACHE_DIR"] = str(Path(scratch) / "cache")
        result = kdcompress.sweep(
            "mnist", teacher=given.teacher, temperatures=TEMPERATURES, seeds=SEEDS, epochs=given.epochs,
            data_dir=given.data_dir, out=Path(scratch) / "sweep",
        )  # fmt: skip
    return {"student_s": statistics.mean(row["seconds"] for row in result["trials"])}


def plain(given: argparse.Namespace) -> dict[str, float]:
    """Seconds of a plain training on the same images, and of one pass of the teacher over them."""
    import keras
    import numpy as np

    from kdcompress import registry
    from kdcompress.config.recipe import resolve
    from kdcompress.data import load_data, split_dataset
    from kdcompress.progress import Progress

    recipe = resolve("mnist", {"data.dir": str(given.data_dir)} if given.data_dir else {})
    split = split_dataset(load_data(recipe, Progress()), recipe.split)
    x, y = split.train.images[:].astype("float32"), split.train.labels
    validation = (split.val.images[:].astype("float32"), split.val.labels)
    n = len(x) // 256 * 256
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(PLAIN):
        student = registry.load("models", "mnist_mlp").build((28, 28, 1), 10)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        student.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=False)
        student.fit(x[:n], y[:n], batch_size=256, epochs=given.epochs, validation_data=validation, verbose=0)
    trained, trained_cpu = time.perf_counter() - start, time.process_time() - cpu
    model = keras.saving.load_model(given.teacher, compile=False)
    start, cpu = time.perf_counter(), time.process_time()
    np.asarray(model.predict(x, batch_size=256, verbose=0))
    return {
        "plain_s": trained / PLAIN, "plain_cpu_s": trained_cpu / PLAIN,
        "pass_s": time.perf_counter() - start, "pass_cpu_s": time.process_time() - cpu,
    }  # fmt: skip


def in_process(part: str) -> dict[str, float]:
    """Run a part in a new process: the seconds that the process took, and what it says."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, *sys.argv, "--part", part], stdout=subprocess.PIPE, check=True, text=True)
    seconds, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {f"{part}_s": seconds, f"{part}_cpu_s": cpu, **json.loads(done.stdout.splitlines()[-1])}


def compare(sweep: dict[str, float], alone: dict[str, float]) -> dict[str, float]:
    """The ratios of one round."""
    wall, cpu = (
        [count * alone[f"plain_{unit}"] + alone[f"pass_{unit}"] for count in (STUDENTS, STUDENTS + SEEDS)]
        for unit in ("s", "cpu_s")
    )
    found = {
        "ratio": sweep["sweep_s"] / wall[1],
        "ratio_of_students": sweep["sweep_s"] / wall[0],
        "cpu_ratio": sweep["sweep_cpu_s"] / cpu[1],
        "outside_trainings_s": sweep["sweep_s"] - (STUDENTS + SEEDS) * sweep["student_s"],
    }
    return {key: round(value, 3) for key, value in {**sweep, **alone, **found}.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--part", choices=["sweep", "plain"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps((whole_sweep if given.part == "sweep" else plain)(given)))
        return 0
    rounds: list[dict[str, Any]] = []
    for _ in range(given.rounds):
        rounds.append(compare(in_process("sweep"), in_process("plain")))
    middle = {key: statistics.median(one[key] for one in rounds) for key in ("ratio", "ratio_of_students", "cpu_ratio")}
    result = {
        "epochs": given.epochs,
        **middle,
        "allowed": ALLOWED,
        "passed": middle["ratio"] <= ALLOWED,
        "rounds": rounds,
    }
    return tell(result, given.out)


if __name__ == "__main__":
    raise SystemExit(main())
