"""What staged training costs: frozen layers run once or in every step, a distillation step against a plain one.

    python benchmarks/transfer.py [--size 224] [--images 1024] [--rounds 2] [--steps 8] [--out transfer.json]

1. A stage of 10 epochs on the head of MobileNetV2, from the first image read to the last checkpoint: frozen layers run
   once (as kdcompress does) against in every step (as Keras does), with 1 view (at least 5 times faster) and with 4.
2. A step of MobileNetV2, all layers trained, on images and cached targets of 4 views against one without targets: at
   most 1.15 times as long.

Images are drawn at random: time does not depend on them. Contenders take turns. Prints JSON; exit code 1 if a limit is
broken.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from distill_step import StepTimer, spread
from telling import tell

from kdcompress.config.sections import ViewsSection
from kdcompress.config.training import TrainingSection
from kdcompress.data import Samples
from kdcompress.methods import make_method
from kdcompress.models import load_model
from kdcompress.progress import Progress
from kdcompress.training import fitting, supervision
from kdcompress.training.feed import Feed
from kdcompress.training.phase import Phase

LIMITS = {"frozen_stage": 5.0, "distill_step": 1.15}
BATCH, EPOCHS = 32, 10


def drawn(n: int, size: int) -> Samples:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, size, size, 3)).astype(np.uint8)
    return Samples(images, rng.integers(0, 2, n), np.arange(n).astype(str))


def views(count: int) -> ViewsSection:
    return ViewsSection(count=count, flips=True, shift_px=0, rotation_deg=20, fill="reflect")


def stage_seconds(samples: Samples, count: int, once: bool) -> float:
    """The wall time of one stage of the head."""
    model = load_model("mobilenetv2", tuple(samples.images.shape[1:]), 2, "student")
    targets = np.zeros((len(samples), count, 2), np.float32)
    feed = Feed(samples, views(count), {"logits": targets}, BATCH, seed=0)
    training = TrainingSection(batch_size=BATCH, stages=({"trainable": "head", "epochs": EPOCHS},))
    val = samples.take(np.arange(BATCH))
    with tempfile.TemporaryDirectory() as folder:
        phase = Phase("student", "k", make_method({"name": "hinton"}), training, Path(folder) / "c.npz")
        how = mock.DEFAULT if once else None
        with mock.patch.object(fitting, "split_model", wraps=fitting.split_model, return_value=how):
            start = time.perf_counter()
            fitting.train_phase(phase, model, feed, val, Progress(), lambda rows: None)
            return time.perf_counter() - start


def frozen_stage(samples: Samples, count: int, rounds: int) -> dict[str, Any]:
    pairs = [[stage_seconds(samples, count, once) for once in (False, True)] for _ in range(rounds)]
    ratios = sorted(round(plain / once, 2) for plain, once in pairs)
    return {"views": count, "every_step_s": [p[0] for p in pairs], "once_s": [p[1] for p in pairs], "faster": ratios}


def distill_step(samples: Samples, rounds: int, steps: int) -> dict[str, Any]:
    shape, section = tuple(samples.images.shape[1:]), views(4)
    targets = np.zeros((len(samples), 4, 2), np.float32)
    fits = {}
    for name, rows in (("none", None), ("hinton", {"logits": targets})):
        method = make_method({"name": name})
        feed = Feed(samples, section, rows, BATCH, seed=0)
        fits[name] = (
            supervision.compile_student(load_model("mobilenetv2", shape, 2, "student"), method, 1e-4, feed),
            feed,
        )
    turns: dict[str, list[float]] = {name: [] for name in fits}
    for turn in range(rounds + 1):
        for name, (model, feed) in fits.items():
            timer = StepTimer()
            model.fit(feed.dataset(0, 1), steps_per_epoch=steps + 3, shuffle=False, callbacks=[timer], verbose=0)
            if turn:  # the first one traces
                turns[name].append(float(np.median(timer.steps_ms())))
    ratios = [mine / plain for mine, plain in zip(turns["hinton"], turns["none"], strict=True)]
    return {"plain_ms": spread(turns["none"]), "distill_ms": spread(turns["hinton"]), "ratio": spread(ratios)}


def measure(size: int, images: int, rounds: int, steps: int) -> dict[str, Any]:
    samples = drawn(images, size)
    stages = [frozen_stage(samples, count, rounds) for count in (1, 4)]
    step = distill_step(drawn(BATCH * (steps + 3), size), 2 * rounds, steps)
    faster, ratio = float(np.median(stages[0]["faster"])), step["ratio"]["median"]
    return {
        "size": size,
        "images": images,
        "epochs": EPOCHS,
        "frozen_stage": stages,
        "distill_step": step,
        "limits": LIMITS,
        "passed": faster >= LIMITS["frozen_stage"] and ratio <= LIMITS["distill_step"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name, default in (("size", 224), ("images", 1024), ("rounds", 2), ("steps", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result = measure(given.size, given.images, given.rounds, given.steps)
    return tell(result, given.out)


if __name__ == "__main__":
    raise SystemExit(main())
