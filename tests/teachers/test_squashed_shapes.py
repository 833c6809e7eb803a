"""A teacher of square images, as published ones, is wrong on squashed images and right on cropped or padded ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import Recorder
from keras import layers
from own_images import cache_elsewhere, load
from PIL import Image

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import Dataset
from kdcompress.errors import TargetsError
from kdcompress.teachers import OutputSpec, Teacher, check_on_samples, open_teacher

__all__ = ["cache_elsewhere"]  # a fixture of every test here

pytestmark = pytest.mark.slow
RATIOS = {"circle": 1.0, "tall": 0.55, "wide": 1.8}  # width to height
SIZE = 32


def shape(
    rng: np.random.Generator, ratio: float, size: tuple[int, int], zoom: float = 1, offset: float = 0, spread: float = 2
) -> np.ndarray:
    """A bright ellipse near the centre of a grey image of (height, width), or beside it, with noise."""
    height, width = size
    radius = zoom * rng.uniform(3.5, 7) / np.sqrt(ratio) * np.array([1, ratio])
    rows, columns = np.mgrid[:height, :width]
    centre = np.array([height, width]) / 2 + rng.uniform(-spread, spread, 2) + [0, offset]
    inside = ((rows - centre[0]) / radius[0]) ** 2 + ((columns - centre[1]) / radius[1]) ** 2 < 1
    image = 80 + 120 * inside + rng.normal(0, 8, size)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that learned the shapes on square images of 32x32."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    labels = np.arange(2400) % 3
    images = np.stack([shape(rng, [*RATIOS.values()][label], (SIZE, SIZE), spread=6) for label in labels])
    model: Any = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 1)),
            layers.Rescaling(1 / 127.5, -1),
            layers.Conv2D(8, 5, strides=2, activation="relu"),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(3),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images[..., None], labels, batch_size=32, epochs=8, verbose=0)
    path = tmp_path_factory.mktemp("published") / "shapes.keras"
    model.save(path)
    return path


def photos(root: Path, sizes: list[tuple[int, int]], **how: float) -> Path:
    """30 images of each class, their sizes going round."""
    rng = np.random.default_rng(1)
    for name, ratio in RATIOS.items():
        (root / name).mkdir(parents=True)
        for index in range(30):
            Image.fromarray(shape(rng, ratio, sizes[index % len(sizes)], **how)).save(root / name / f"{index:02}.png")
    return root


def opened(path: Path, data: Dataset, **preprocessing: Any) -> Teacher:
    section = SingleTeacherSection(model=str(path), preprocessing=preprocessing)
    return open_teacher(path, section, OutputSpec(data.input_shape, data.classes), "teacher shapes.keras")


def accuracy(teacher: Teacher, data: Dataset) -> float:
    return float((teacher.predict(data.train).argmax(axis=-1) == data.train.labels).mean())


def check(teacher: Teacher, data: Dataset) -> str | None:
    """What the check of a teacher warns of, or refuses it for."""
    try:
        return check_on_samples(teacher, data.train, data.classes, lambda outputs: outputs)
    except TargetsError as exc:
        return str(exc)


SETS = {
    "wide": [(32, 56)],
    "standing": [(56, 32)],
    "mixed": [(32, 56), (32, 32), (48, 32)],
    "half square": [(32, 60), (32, 32)],
}


@pytest.mark.parametrize("name", SETS)
def test_squashed_shapes_are_another_class_s(name: str, published: Path, tmp_path: Path, recorder: Recorder) -> None:
    root = photos(tmp_path / "photos", SETS[name])
    data = load("folder", recorder, dir=root, size=SIZE)
    (note,) = [note for note in recorder.notes if "aspect" in note]
    count = sum(height != width for height, width in SETS[name]) * 90 // len(SETS[name])
    assert note.startswith(f"{count} of 90 images have another aspect ratio than 32x32 and are squashed, such as")
    squashed = opened(published, data)
    assert accuracy(squashed, data) < 0.75
    told = check(squashed, data)
    assert told is not None
    assert "with teacher.preprocessing: resize = 'crop' it is right on 100.0 %" in told
    cropped = load("folder", dir=root, size=SIZE, resize="crop")
    for teacher, images in ((opened(published, data, resize="crop"), data), (opened(published, cropped), cropped)):
        assert accuracy(teacher, images) >= 0.98
        assert check(teacher, images) is None


def test_shapes_beside_the_centre_are_padded(published: Path, tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", [(64, 128)], zoom=3.2, offset=20)
    grey = {"dir": root, "size": SIZE, "background": [80, 80, 80]}
    data = load("folder", **grey)
    told = check(opened(published, data), data)
    assert told is not None
    assert "with teacher.preprocessing: resize = 'pad' it is right on" in told
    padded = load("folder", **grey, resize="pad")
    for teacher, images in ((opened(published, data, resize="pad"), data), (opened(published, padded), padded)):
        assert accuracy(teacher, images) >= 0.95
    assert accuracy(opened(published, data, resize="crop"), data) < accuracy(opened(published, padded), padded)


def test_square_images_are_left_alone(published: Path, tmp_path: Path, recorder: Recorder) -> None:
    data = load("folder", recorder, dir=photos(tmp_path / "photos", [(32, 32), (40, 40)]), size=SIZE)
    assert not any("aspect" in note for note in recorder.notes)
    assert accuracy(opened(published, data), data) >= 0.98
    assert check(opened(published, data), data) is None
