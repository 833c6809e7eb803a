"""A tuning on a few digits with made-up targets, as the steps of a compression take it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from conftest import Recorder
from keras import layers

from kdcompress.compression._base import Compressed
from kdcompress.config.compress import CompressSection
from kdcompress.config.sections import ViewsSection
from kdcompress.config.training import TrainingSection
from kdcompress.data import Samples
from kdcompress.methods import make_method
from kdcompress.models import model_digest, seed_everything
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import train_phase
from kdcompress.training.phase import Phase


def made_up_targets(n: int, classes: int = 10) -> dict[str, np.ndarray]:
    return {"logits": np.random.default_rng(5).normal(0, 3, (n, 1, classes)).astype(np.float32)}


@dataclass
class OwnTuning:
    """As `Tuning`, without a run."""

    samples: Samples
    checkpoints: Path
    section: CompressSection
    epochs: int = 2
    alpha: float = 0.5
    batch_size: int = 50
    progress: Any = field(default_factory=Recorder)
    seed: int = 0
    rows: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.method = make_method({"name": "hinton", "alpha": self.alpha})
        self.feed = Feed(
            self.samples, ViewsSection(), made_up_targets(len(self.samples)), batch_size=self.batch_size, seed=0
        )
        self.train_samples, self.val = self.samples, self.samples.take(np.arange(60))
        self.input_shape = self.samples.images.shape[1:]

    def training(self, step: Any) -> TrainingSection:
        return TrainingSection(epochs=self.epochs, batch_size=self.batch_size, learning_rate=1e-3)

    def phase(self, name: str, model: Any, step: Any) -> Phase:
        return Phase(name, model_digest(model), self.method, self.training(step), self.checkpoints / f"{name}.npz")

    def train(self, name: str, model: Any, step: Any) -> None:
        phase = self.phase(name, model, step)
        train_phase(phase, model, self.feed, self.val, self.progress, lambda rows: self.on_history(name, rows))

    def once(self, name: str, compute: Any) -> dict[str, Any]:
        """Of the comparison with quantization after training: trained integers are better by decree."""
        return {"shipped": "qat"}

    def on_history(self, name: str, rows: list[Any]) -> None:
        self.rows = rows


def convolutional(twice: bool = True) -> Any:
    """Convolutions, one of them depthwise and one called twice, and BatchNorm."""
    seed_everything(1)
    image = keras.Input((28, 28, 1))
    shared = layers.Conv2D(8, 3, padding="same", activation="relu", name="shared")
    x = layers.Conv2D(8, 5, strides=4, name="first")(layers.Rescaling(1 / 255)(image))
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = shared(x) + x
    x = shared(x) if twice else x
    return keras.Model(image, layers.Dense(10, name="logits")(layers.Flatten()(x)))


def student(model: Any) -> Compressed:
    return Compressed(model)


def kernels(model: Any) -> dict[str, np.ndarray]:
    return {layer.name: np.asarray(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")}


def tune(step: Any, start: Compressed, samples: Samples, path: Path, **settings: Any) -> tuple[Compressed, OwnTuning]:
    path.mkdir(exist_ok=True)
    section = {key: value for key, value in settings.items() if key in CompressSection.model_fields}
    rest = {key: value for key, value in settings.items() if key not in section or key == "epochs"}
    section.pop("epochs", None)
    tuning = OwnTuning(samples, path, CompressSection(**section), **rest)
    seed_everything(0)  # as `compress` does before each step
    return step().apply(start, tuning), tuning  # type: ignore[arg-type]
