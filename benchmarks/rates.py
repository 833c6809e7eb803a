"""How many images a second one core labels with ResNet50V2, and trains MobileNetV2 on, at 224x224.

    python benchmarks/rates.py [--batch 32] [--steps 6] [--out rates.json]

Both have random weights, which costs what trained ones cost. Prints JSON; `scale.py` takes the two as --rate and
--train-rate.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from telling import tell

from kdcompress.threads import limit_threads

CLASSES = 1000


def rate(step: Callable[[], object], batch: int, steps: int) -> float:
    """Images a second: the median over steps, of which two are not counted."""
    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return round(batch / statistics.median(times[2:]), 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    limit_threads(1)
    import keras

    from kdcompress.models import Forward

    settings = {"weights": None, "classes": CLASSES, "classifier_activation": None}
    teacher, student = (getattr(keras.applications, name)(**settings) for name in ("ResNet50V2", "MobileNetV2"))
    student.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
    images = np.random.default_rng(0).random((given.batch, 224, 224, 3), np.float32)
    labels = np.eye(CLASSES, dtype=np.float32)[np.arange(given.batch) % CLASSES]
    label = Forward(teacher)
    result = {
        "batch": given.batch,
        "teacher": "ResNet50V2",
        "labelled_per_s_and_core": rate(lambda: label(images), given.batch, given.steps),
        "student": "MobileNetV2",
        "trained_per_s_and_core": rate(lambda: student.train_on_batch(images, labels), given.batch, given.steps),
    }
    return tell(result, given.out)


if __name__ == "__main__":
    raise SystemExit(main())
