"""What a distillation step costs: ours on cached targets, a plain step, and Distillers with the teacher inside.

    python benchmarks/distill_step.py [--rounds 12] [--steps 12] [--out distill_step.json]

The MNIST pair of the paper, batch 256, on random pixels (time does not depend on them). All loops run in one process,
in turns of a few steps, so that a drift of the machine meets all of them; the first steps of a turn are not counted.
Prints JSON: for each loop the median and the quartiles of a step in ms, and the ratios to a plain step, turn by turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from telling import tell

from kdcompress import registry
from kdcompress.config.sections import ViewsSection
from kdcompress.data import Samples
from kdcompress.methods import make_method
from kdcompress.training.feed import Feed
from kdcompress.training.supervision import compile_student

BATCH, SHAPE, CLASSES = 256, (28, 28, 1), 10
UNCOUNTED = 3
Fit = Callable[[int, keras.callbacks.Callback], Any]


class StepTimer(keras.callbacks.Callback):
    """The wall time between the ends of consecutive steps, in ms."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        float(logs["loss"])  # wait for the step
        self.ends.append(time.perf_counter())

    def steps_ms(self) -> list[float]:
        return [1e3 * (b - a) for a, b in zip(self.ends, self.ends[1:], strict=False)][UNCOUNTED - 1 :]


class ClassicDistiller(keras.Model):
    """The form that most tutorials show: the teacher is run inside every training step."""

    def __init__(self, teacher: Any, student: Any, method: Any) -> None:
        super().__init__()
        self.teacher, self.student, self.method = teacher, student, method
        teacher.trainable = False

    def call(self, image: Any) -> Any:
        return self.student(image)

    def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None, training: bool = True) -> Any:
        soft = keras.ops.mean(self.method.targets_loss({"logits": self.teacher(x, training=False)}, y_pred))
        weight = self.method.distillation_weight
        return weight * soft + (1 - weight) * super().compute_loss(x, y, y_pred, sample_weight, training)


def zoo(name: str) -> Any:
    return registry.load("models", name).build(SHAPE, CLASSES)


def compiled(model: Any) -> Any:
    """Compiled as kdcompress compiles: the same optimizer, label loss and metric, without XLA."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(keras.optimizers.Adam(1e-3), loss, metrics=[accuracy], jit_compile=False)
    return model


def keras_distiller() -> Any:
    """Keras's own; its default loss is 0 for many logits, so it is given one that is not."""
    return keras.distillation.Distiller(
        zoo("mnist_cnn"),
        zoo("mnist_mlp"),
        distillation_losses=keras.distillation.LogitsDistillation(temperature=4.0, loss="kl_divergence"),
        distillation_loss_weights=1.0,
        student_loss_weight=0.5,
    )


def contenders(n_steps: int) -> dict[str, Fit]:
    rng = np.random.default_rng(0)
    n = BATCH * n_steps
    images = rng.integers(0, 256, (n, *SHAPE)).astype(np.uint8)
    labels = rng.integers(0, CLASSES, n)
    samples = Samples(images, labels, np.arange(n).astype(str))
    targets = rng.normal(0, 3, (n, 1, CLASSES)).astype(np.float32)
    hinton, none = make_method({"name": "hinton"}), make_method({"name": "none"})

    def fed(method: Any, logits: Any) -> Fit:
        feed = Feed(samples, ViewsSection(), None if logits is None else {"logits": logits}, BATCH, seed=0)
        model = compile_student(zoo("mnist_mlp"), method, 1e-3, feed)
        return lambda steps, timer: model.fit(
            feed.dataset(0, 1), steps_per_epoch=steps, shuffle=False, callbacks=[timer], verbose=0
        )

    def arrays(model: Any) -> Fit:
        return lambda steps, timer: model.fit(
            images[: steps * BATCH].astype(np.float32),
            labels[: steps * BATCH],
            batch_size=BATCH,
            callbacks=[timer],
            verbose=0,
        )

    return {
        "plain_fit": arrays(compiled(zoo("mnist_mlp"))),
        "plain_feed": fed(none, None),
        "distill_cached_targets": fed(hinton, targets),
        "distiller_in_train_step": arrays(compiled(ClassicDistiller(zoo("mnist_cnn"), zoo("mnist_mlp"), hinton))),
        "keras_distillation_distiller": arrays(compiled(keras_distiller())),
    }


def measure(rounds: int, steps: int) -> dict[str, Any]:
    fits = contenders(steps)
    for fit in fits.values():
        fit(UNCOUNTED + 1, StepTimer())  # trace
    turns: dict[str, list[float]] = {name: [] for name in fits}
    every: dict[str, list[float]] = {name: [] for name in fits}
    for _ in range(rounds):
        for name, fit in fits.items():
            timer = StepTimer()
            fit(steps, timer)
            turns[name].append(statistics.median(timer.steps_ms()))
            every[name] += timer.steps_ms()
    loops = {name: spread(values) for name, values in every.items()}
    ours = turns["distill_cached_targets"]
    ratios = {
        f"cached_over_{name}": spread([a / b for a, b in zip(ours, turns[name], strict=True)])
        for name in ("plain_fit", "plain_feed")
    }
    for name in ("distiller_in_train_step", "keras_distillation_distiller"):
        ratios[f"{name}_over_cached"] = spread([b / a for a, b in zip(ours, turns[name], strict=True)])
    return {"batch": BATCH, "rounds": rounds, "steps": steps, "step_ms": loops, "ratios": ratios}


def spread(values: list[float]) -> dict[str, float]:
    low, median, high = statistics.quantiles(values, n=4)
    return {"median": round(median, 3), "q1": round(low, 3), "q3": round(high, 3), "n": len(values)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    tell(measure(given.rounds, given.steps), given.out)


if __name__ == "__main__":
    main()
