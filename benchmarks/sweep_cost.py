"""What a sweep costs beside plain trainings: 6 temperatures x 3 seeds against 18 plain trainings plus one teacher pass.

    python benchmarks/sweep_cost.py TEACHER [--data-dir D] [--epochs 4] [--rounds 3] [--out sweep_cost.json]

TEACHER is a .keras file for MNIST. In turns: a whole sweep in a new folder and a new cache (loading, labelling, 18
students, the choice, 3 baselines, the test), and a plain Keras `fit` of one student with validation after each epoch,
times 18, plus the teacher's pass over the training images. At most 1.15 is allowed without the 3 baselines, which are
trainings more. Prints JSON; exit code 1 if the limit is broken.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from telling import tell

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

TEMPERATURES, SEEDS, ALLOWED = [1.0, 2.0, 4.0, 16.0, 32.0, 64.0], 3, 1.15


def whole_sweep(teacher: Path, data_dir: Path | None, epochs: int) -> dict[str, float]:
    """Seconds of the sweep, and of the part of it that is not its baselines."""
    import kdcompress

    with tempfile.TemporaryDirectory() as scratch:
        os.environ["KDCOMPRESS_CACHE_DIR"] = str(Path(scratch) / "cache")
        start = time.perf_counter()
        result = kdcompress.sweep(
            "mnist", teacher=teacher, temperatures=TEMPERATURES, seeds=SEEDS, epochs=epochs, data_dir=data_dir,
            out=Path(scratch) / "sweep",
        )  # fmt: skip
        seconds = time.perf_counter() - start
    trained = statistics.mean(row["seconds"] for row in result["trials"])
    return {"sweep_s": seconds, "without_baselines_s": seconds - SEEDS * trained, "student_s": trained}


def plain(teacher: Path, data_dir: Path | None, epochs: int) -> dict[str, float]:
    """Seconds of one plain training on the same images, and of one pass of the teacher over them."""
    import keras
    import numpy as np

    from kdcompress import registry
    from kdcompress.config.recipe import resolve
    from kdcompress.data import load_data, split_dataset
    from kdcompress.progress import Progress

    recipe = resolve("mnist", {"data.dir": str(data_dir)} if data_dir else {})
    split = split_dataset(load_data(recipe, Progress()), recipe.split)
    x, y = split.train.images[:].astype("float32"), split.train.labels
    student = registry.load("models", "mnist_mlp").build((28, 28, 1), 10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    student.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"], jit_compile=False)
    n = len(x) // 256 * 256
    start = time.perf_counter()
    validation = (split.val.images[:].astype("float32"), split.val.labels)
    student.fit(x[:n], y[:n], batch_size=256, epochs=epochs, validation_data=validation, verbose=0)
    trained = time.perf_counter() - start
    model = keras.saving.load_model(teacher, compile=False)
    start = time.perf_counter()
    np.asarray(model.predict(x, batch_size=256, verbose=0))
    return {"plain_s": trained, "pass_s": time.perf_counter() - start}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("teacher", type=Path)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    rounds: list[dict[str, Any]] = []
    for _ in range(given.rounds):
        mine = whole_sweep(given.teacher, given.data_dir, given.epochs)
        theirs = plain(given.teacher, given.data_dir, given.epochs)
        expected = len(TEMPERATURES) * SEEDS * theirs["plain_s"] + theirs["pass_s"]
        ratios = {"ratio": mine["without_baselines_s"] / expected, "ratio_with_baselines": mine["sweep_s"] / expected}
        rounds.append({key: round(value, 3) for key, value in {**mine, **theirs, **ratios}.items()})
    middle = {key: statistics.median(one[key] for one in rounds) for key in ("ratio", "ratio_with_baselines")}
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
