"""Data passed from Python: arrays, DataFrames, tf.data and Hugging Face data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import kdcompress
from kdcompress.api import recipe_of
from kdcompress.cache import clear_cache, list_entries
from kdcompress.data import load_data
from kdcompress.errors import DataError, KDCompressError, UsageError
from kdcompress.intake import hugging_face, take_in
from kdcompress.progress import Progress

LABELS = np.repeat([0, 1, 2], 40)
IMAGES = np.random.default_rng(0).integers(0, 256, (120, 12, 10, 3), np.uint8)
NAMES = ["cat", "dog", "owl"]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(tmp_path / "cache"))


def loaded(data: Any, classes: Any = None, progress: Progress | None = None, **settings: Any) -> Any:
    """The data set that a recipe made of the data reads."""
    own = {f"data.{key}": value for key, value in settings.items()}
    recipe = recipe_of(data=data, classes=classes, teacher="tiny_cnn", student="tiny_cnn", settings=own)
    return load_data(recipe, progress or Progress())


def rows(dataset: Any) -> set[tuple[str, bytes, str]]:
    return {
        (name, part.images[[index]].tobytes(), dataset.classes[part.labels[index]])
        for name, part in dataset.parts.items()
        for index in range(len(part))
    }


def expected(train: slice, test: slice, names: list[str] = NAMES) -> set[tuple[str, bytes, str]]:
    return {
        (part, IMAGES[index].tobytes(), names[LABELS[index]])
        for part, which in (("train", train), ("test", test))
        for index in np.arange(120)[which]
    }


EVEN, ODD = slice(0, None, 2), slice(1, None, 2)
PAIRS = ((IMAGES[EVEN], LABELS[EVEN]), (IMAGES[ODD], LABELS[ODD]))


@pytest.mark.parametrize(
    "data",
    [
        PAIRS,
        [list(PAIRS[0]), list(PAIRS[1])],
        {"x_train": IMAGES[EVEN], "y_train": LABELS[EVEN], "x_test": IMAGES[ODD], "y_test": LABELS[ODD].tolist()},
        {"train": PAIRS[0], "Test": PAIRS[1]},
        tuple((x, y[:, None]) for x, y in PAIRS),  # as keras.datasets.cifar10.load_data gives labels
    ],
)
def test_arrays(data: Any) -> None:
    assert rows(loaded(data, NAMES)) == expected(EVEN, ODD)


def test_undivided_data_have_a_part_kept_for_test() -> None:
    dataset = loaded((IMAGES, LABELS))
    assert dataset.classes == ("0", "1", "2")
    assert (len(dataset.train), len(dataset.test)) == (96, 24)
    assert len(loaded({"x": IMAGES, "y": LABELS}, test_fraction=0.5).test) == 60


def test_three_parts_and_names_in_the_data() -> None:
    parts = [(IMAGES[start::3], np.array(NAMES)[LABELS[start::3]]) for start in range(3)]
    dataset = loaded(parts)
    assert {name: len(part) for name, part in dataset.parts.items()} == {"train": 40, "val": 40, "test": 40}
    assert dataset.classes == ("cat", "dog", "owl")


def test_the_same_arrays_are_written_once_and_the_cache_can_be_cleared() -> None:
    first = take_in((IMAGES, LABELS), None, {}, Progress())
    assert take_in({"x": IMAGES.copy(), "y": LABELS.tolist()}, None, {}, Progress()) == first
    assert take_in((IMAGES, LABELS[::-1].copy()), None, {}, Progress()) != first
    assert [kind for kind, _, _ in list_entries()] == ["arrays", "arrays"]
    clear_cache()
    assert list_entries() == []


def test_tf_data(tmp_path: Path) -> None:
    import tensorflow as tf

    train, test = (tf.data.Dataset.from_tensor_slices(pair) for pair in PAIRS)
    assert rows(loaded((train.batch(7).shuffle(3), test.batch(50)), NAMES)) == expected(EVEN, ODD)
    one_hot = [
        part.map(lambda x, y: {"image": tf.cast(x, tf.float32), "label": tf.one_hot(y, 3)}) for part in (train, test)
    ]
    assert rows(loaded({"train": one_hot[0], "test": one_hot[1]}, NAMES)) == expected(EVEN, ODD)
    for index, label in enumerate(LABELS):
        path = tmp_path / "photos" / NAMES[label] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[index]).save(path)
    of_folder = keras.utils.image_dataset_from_directory(tmp_path / "photos", image_size=(12, 10), verbose=False)
    dataset = loaded(of_folder)
    assert dataset.classes == ("cat", "dog", "owl")
    assert {row[1:] for row in rows(dataset)} == {row[1:] for row in expected(EVEN, ODD)}


def test_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    monkeypatch.chdir(tmp_path)
    for index, image in enumerate(IMAGES):
        Image.fromarray(image).save(f"{index}.png")
    frame = pandas.DataFrame({"image": [f"{index}.png" for index in range(120)], "label": LABELS})
    assert rows(loaded((frame[EVEN], frame[ODD]), NAMES)) == expected(EVEN, ODD)
    divided = frame.assign(split=np.where(np.arange(120) % 2, "test", "train"), label=np.array(NAMES)[LABELS])
    assert rows(loaded(divided, partition="split")) == expected(EVEN, ODD)
    named = divided.rename(columns={"image": "where", "label": "what", "split": "partition"})
    assert rows(loaded(named, path="where", label="what")) == expected(EVEN, ODD)
    with pytest.raises(UsageError, match=r"no column of image paths .* it has where, what, partition; name it with"):
        loaded(named)
    with pytest.raises(DataError, match="label 2 of the DataFrame is none of 0 to 1"):
        loaded(frame, NAMES[:2])
    backwards = loaded((frame[EVEN], frame[ODD]), NAMES[::-1])  # the classes keep their order, which a teacher's have
    assert backwards.classes == ("owl", "dog", "cat")
    assert rows(backwards) == expected(EVEN, ODD, NAMES[::-1])
    twelve = frame.assign(label=np.arange(120) % 12)
    assert loaded(twelve).classes == tuple(map(str, range(12)))
    missing = frame.assign(label=[np.nan, *map(float, LABELS[1:])])
    with pytest.raises(DataError, match="row 0 of the DataFrame has no label"):
        loaded(missing, NAMES)
    assert loaded(missing[1:], NAMES).classes == ("cat", "dog", "owl")  # floats, as pandas makes of gaps


def test_hugging_face(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})

    def part(which: slice) -> Any:
        pictures = [Image.fromarray(image) for image in IMAGES[which]]
        return datasets.Dataset.from_dict({"image": pictures, "label": LABELS[which].tolist()}, features=features)

    both = datasets.DatasetDict({"train": part(EVEN), "test": part(ODD)})
    assert rows(loaded(both)) == expected(EVEN, ODD)
    with monkeypatch.context() as patch:
        patch.setattr(hugging_face, "open_image", None)  # a second time, nothing is decoded
        assert rows(loaded(both)) == expected(EVEN, ODD)
    sized = [Image.fromarray(IMAGES[0]), Image.fromarray(IMAGES[1][:9])] * 10
    mixed = datasets.Dataset.from_dict({"image": sized, "label": ([0, 1, 2] * 7)[:20]}, features=features)
    with pytest.raises(UsageError, match=r"images have 2 sizes from 9x10 and 12x10; .* settings={'data.size': 96}"):
        loaded(mixed)
    assert loaded(mixed, size=8).input_shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("data", "classes", "words"),
    [
        ("photos", None, "got builtins.str. Folders of images: data_dir"),
        ([1, 2, 3], None, "got a list of 3 (int, int, int)"),
        ({"a": IMAGES}, None, "got a dict with a"),
        ({"train": PAIRS[0]}, None, "the parts of data are train and test"),
        ({"x": IMAGES, "y": LABELS, "z": LABELS}, None, "data has no array z"),
        ((IMAGES, LABELS), "cat", "classes is a list of names, got 'cat'"),
        ((IMAGES, LABELS), ["cat", "cat", "dog"], "two or more different names"),
        ((IMAGES, LABELS), ["cat", "dog"], "label 2 of image 80 in y is out of range, must be 0 to 1"),
        ((IMAGES / 255, LABELS), None, "data: x must be pixels of uint8"),
        ((IMAGES, LABELS[:90]), None, "120 images in x, but 90 labels in y"),
    ],
)
def test_what_cannot_be_taken(data: Any, classes: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(KDCompressError) as caught:
        kdcompress.distill(data=data, classes=classes, teacher="tiny_cnn", student="tiny_cnn", out=tmp_path / "run")
    assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_models_are_needed_and_folders_are_not_meant() -> None:
    with pytest.raises(UsageError, match=r"data needs teacher=\.\.\. and student=\.\.\."):
        kdcompress.distill(data=PAIRS)
    with pytest.raises(UsageError, match="data and data_dir are both there"):
        kdcompress.distill(data=PAIRS, data_dir="photos", teacher="tiny_cnn", student="tiny_cnn")
    with pytest.raises(UsageError, match="classes names the classes of data, which is missing"):
        kdcompress.distill("mnist-demo", classes=NAMES)


def test_a_recipe_may_bring_everything_else() -> None:
    recipe = recipe_of("mnist-demo", data=PAIRS, student="ds_cnn", settings={"data.size": 8})
    assert (recipe.name, recipe.data.name, recipe.data.size, recipe.teacher.model) == (
        "mnist-demo",
        "arrays",
        8,
        "mnist_cnn",
    )


def test_from_arrays_to_predictions_of_arrays(tmp_path: Path) -> None:
    """A run on colours that differ by class; predict takes the run, its model, and images in the same numbers."""
    colours = np.array([[200, 20, 20], [20, 200, 20], [20, 20, 200]], np.uint8)[LABELS]
    images = (np.broadcast_to(colours[:, None, None], (120, 8, 8, 3)) / 255).astype(np.float32)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    run = kdcompress.distill(
        data=(images, LABELS), classes=NAMES, teacher="tiny_cnn", student=model, epochs=15, out=tmp_path / "run",
        settings={
            "data.scale": 255, "training.batch_size": 32, "teacher.training.batch_size": 32,
            "training.learning_rate": 0.01,
        },
    )  # fmt: skip
    found = kdcompress.predict(run, images[::40])
    assert [(row.image, row.class_) for row in found] == [("0", "cat"), ("1", "dog"), ("2", "owl")]
    assert [row.class_ for row in kdcompress.predict(run.path, images[40])] == ["dog"]
    pixels = np.rint(images * 255).astype(np.uint8)
    assert [row.class_ for row in kdcompress.predict(run.student(), pixels[::40])] == ["0", "1", "2"]
    assert kdcompress.predict(run, np.repeat(images[:1], 2, axis=1))[0].class_ == "cat"  # of another size
    with pytest.raises(DataError, match="predict: images must be pixels of uint8"):
        kdcompress.predict(run.student(), images)
    with pytest.raises(UsageError, match="images are paths, or one array of them all, got a ndarray among them"):
        kdcompress.predict(run, [images[0]])
    Image.fromarray(pixels[80]).save(tmp_path / "owl.png")
    assert kdcompress.predict(run, tmp_path / "owl.png")[0].class_ == "owl"
    kdcompress.verify(run)
