"""Images of another aspect ratio are squashed, cropped or padded, as data and teacher say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import Recorder
from mhist_folder import mhist_folder
from own_images import cache_elsewhere, load, picture, pictures
from PIL import Image

from kdcompress.config.images import ImageSettings
from kdcompress.config.sections import SingleTeacherSection, UnlabelledSection
from kdcompress.data import Dataset, FileImages, load_unlabelled, make_source, read_image, resize_images
from kdcompress.errors import RecipeError, TargetsError
from kdcompress.teachers import OutputSpec, check_on_samples, open_teacher

__all__ = ["cache_elsewhere"]  # a fixture of every test here

EDGE, CENTRE = (200, 0, 0), (0, 0, 200)


def flag(path: Path, wide: bool = True) -> Path:
    """An image of 16x32 whose ends have another colour, lying or standing."""
    pixels = np.full((16, 32, 3), CENTRE, np.uint8)
    pixels[:, :6] = pixels[:, 26:] = EDGE
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels if wide else pixels.transpose(1, 0, 2)).save(path)
    return path


@pytest.mark.parametrize("wide", [True, False])
def test_crop_shows_the_centre_and_pad_the_whole(tmp_path: Path, wide: bool) -> None:
    path = flag(tmp_path / "a.png", wide)

    def row(**settings: Any) -> list[list[int]]:
        """The colours along the longer side, through the centre."""
        pixels = read_image(path, (8, 8, 3), ImageSettings(**settings))
        return (pixels[4] if wide else pixels[:, 4]).tolist()

    def column(**settings: Any) -> list[list[int]]:
        pixels = read_image(path, (8, 8, 3), ImageSettings(**settings))
        return (pixels[:, 4] if wide else pixels[4]).tolist()

    assert row(resize="crop") == [list(CENTRE)] * 8
    assert row()[0] == row(resize="pad")[0] == list(EDGE)
    assert row()[4] == row(resize="pad")[4] == list(CENTRE)
    assert column() == column(resize="crop") == [list(CENTRE)] * 8
    assert column(resize="pad") == [[255] * 3] * 2 + [list(CENTRE)] * 4 + [[255] * 3] * 2
    assert column(resize="pad", background="black")[0] == [0, 0, 0]


def test_images_of_the_same_aspect_ratio_are_the_same_in_every_way(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png", 1, size=(24, 18))
    ways = [read_image(path, (8, 6, 3), ImageSettings(resize=way)) for way in ("squash", "crop", "pad")]
    assert np.array_equal(ways[0], ways[1]) and np.array_equal(ways[0], ways[2])


def test_a_note_says_which_images_are_squashed(tmp_path: Path, recorder: Recorder) -> None:
    pictures(tmp_path, size=(8, 8))
    load("folder", recorder, dir=tmp_path, size=8)
    assert not any("aspect" in note for note in recorder.notes)
    for index in range(3):
        flag(tmp_path / "cat" / f"wide{index}.png")
    before = load("folder", recorder, dir=tmp_path, size=8)
    words = "3 of 23 images have another aspect ratio than 8x8 and are squashed, such as cat/wide0.png of 16x32: data."
    assert any(note.startswith(words) for note in recorder.notes)
    prints = {before.fingerprint}
    for resize in ("crop", "pad"):
        recorder = Recorder()
        prints.add(load("folder", recorder, dir=tmp_path, size=8, resize=resize).fingerprint)
        assert not any("aspect" in note for note in recorder.notes)
    assert len(prints) == 3
    assert load("folder", dir=tmp_path, size=8, resize="squash").fingerprint == before.fingerprint
    with pytest.raises(RecipeError, match=r"data\.resize must be one of 'squash', 'crop' or 'pad', got 'stretch'"):
        load("folder", dir=tmp_path, size=8, resize="stretch")


def test_arrays_are_resized_likewise(tmp_path: Path, recorder: Recorder) -> None:
    pixels = np.stack([np.asarray(Image.open(flag(tmp_path / "a.png")))] * 10)
    np.savez(tmp_path / "a.npz", x=pixels, y=np.arange(10) % 2)
    whole = load("arrays", recorder, dir=tmp_path / "a.npz", size=8)
    assert recorder.notes[0] == (
        "the images of x have another aspect ratio (16x32) than 8x8 and are squashed: data.resize = 'crop' or 'pad' "
        "keeps it"
    )
    crop = load("arrays", dir=tmp_path / "a.npz", size=8, resize="crop")
    assert (crop.train.images[:] == CENTRE).all() and not (whole.train.images[:] == CENTRE).all()
    assert crop.image_settings.resize == "crop"


def test_unlabelled_images_are_resized_as_the_data(tmp_path: Path) -> None:
    path = flag(tmp_path / "more" / "a.png")
    np.savez(tmp_path / "more.npz", x=np.asarray(Image.open(path))[None])
    pictures(tmp_path / "set", size=(8, 8))
    for resize in ("squash", "crop"):
        data = load("folder", dir=tmp_path / "set", resize=resize)
        for name in ("more", "more.npz"):
            recorder = Recorder()
            samples = load_unlabelled(UnlabelledSection(dir=str(tmp_path / name)), data, recorder)
            assert (samples.images[:] == CENTRE).all() == (resize == "crop")
            squashed = any("1 of 1 images have another aspect ratio than 8x8" in note for note in recorder.notes)
            assert squashed == (resize == "squash" and name == "more")


def test_mhist_s_images_of_another_size_are_resized_likewise(tmp_path: Path) -> None:
    folder = mhist_folder(tmp_path / "polyps")
    flag(folder / "images" / "MHIST_0000.png")
    for resize in (None, "squash", "crop", "pad"):
        recorder = Recorder()
        data = load("mhist", recorder, dir=folder, size=8, **({"resize": resize} if resize else {}))
        (row,) = np.flatnonzero(data.train.ids == "MHIST_0000.png")
        settings = ImageSettings(resize=resize or "squash")
        assert np.array_equal(
            data.train.images[[row]][0], read_image(folder / "images/MHIST_0000.png", (8, 8, 3), settings)
        )
        assert data.image_settings == settings
        assert any("1 of 24 images have another" in note for note in recorder.notes) == (resize in (None, "squash"))


@pytest.mark.parametrize("name", ["mnist", "mhist", "arrays"])
def test_settings_that_a_data_set_does_not_have_are_refused_by_name(name: str) -> None:
    for key, value in (("background", "black"), ("colour", "grey"), ("scale", 2), ("resize", "crop"), ("size", 9)):
        if key not in make_source({"name": name, "dir": "x"}).model_fields:
            with pytest.raises(RecipeError, match=f"unknown key 'data.{key}'"):
                make_source({"name": name, "dir": "x", key: value})


def test_a_teacher_resizes_as_the_data_unless_it_says_otherwise(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        for index in range(10):
            flag(tmp_path / name / f"{index}.png")
    squashed, cropped = (load("folder", dir=tmp_path, size=8, resize=way).train.images for way in ("squash", "crop"))
    assert isinstance(squashed, FileImages)
    for shape in ((8, 8, 3), (16, 16, 3)):
        assert (resize_images(cropped, shape)[:] == CENTRE).all()
        assert not (resize_images(cropped, shape, "squash")[:] == CENTRE).all()
        assert not (resize_images(squashed, shape)[:] == CENTRE).all()
        assert (resize_images(squashed, shape, "crop")[:] == CENTRE).all()


def stripes(root: Path, width: int = 64) -> Dataset:
    """Images of 32x64 with vertical stripes of 4 pixels or 8, which a teacher tells apart unless they are squashed."""
    for number, (name, period) in enumerate((("fine", 4), ("coarse", 8))):
        for index in range(30):
            phase = np.random.default_rng(100 * number + index).uniform(0, 2 * np.pi)
            wave = 127.5 + 100 * np.cos(2 * np.pi * np.arange(width) / period + phase)
            path = root / name / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.repeat(wave[None], 32, axis=0).astype(np.uint8)).save(path)
    return load("folder", dir=root)


def teacher(path: Path, data: Dataset, **preprocessing: Any) -> Any:
    """A network of 32x32 that compares the energies of two frequencies."""
    waves = [np.exp(2j * np.pi * np.arange(8) / period) for period in (8, 4)]  # coarse, fine
    kernel = np.stack([part for wave in waves for part in (wave.real, wave.imag)], axis=-1)[None, :, None, :]
    inputs = keras.Input((32, 32, 1))
    convolution = keras.layers.Conv2D(4, (1, 8), use_bias=False)
    dense = keras.layers.Dense(2, use_bias=False)
    features = convolution(keras.layers.Rescaling(1 / 127.5, -1)(inputs))
    energy = keras.layers.GlobalAveragePooling2D()(keras.layers.Multiply()([features, features]))
    model = keras.Model(inputs, dense(energy))
    convolution.set_weights([kernel])
    dense.set_weights([np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)])
    model.save(path)
    section = SingleTeacherSection(model=str(path), preprocessing=preprocessing)
    return open_teacher(path, section, OutputSpec(data.input_shape, data.classes), "the teacher")


def test_the_teacher_s_guard_finds_that_images_are_squashed(tmp_path: Path) -> None:
    data = stripes(tmp_path / "set")
    assert data.input_shape == (32, 64, 1)
    with pytest.raises(TargetsError) as caught:
        check_on_samples(teacher(tmp_path / "t.keras", data), data.train, data.classes, lambda outputs: outputs)
    assert "with teacher.preprocessing: resize = 'crop' it is right on 100.0 %" in str(caught.value)
    cropping = teacher(tmp_path / "t.keras", data, resize="crop")
    assert check_on_samples(cropping, data.train, data.classes, lambda outputs: outputs) is None
    assert (cropping.predict(data.train).argmax(axis=-1) == data.train.labels).all()
    assert cropping.identity != teacher(tmp_path / "t.keras", data).identity


def test_a_teacher_that_is_right_on_squashed_images_is_left_alone(tmp_path: Path) -> None:
    data = stripes(tmp_path / "set", width=32)
    own = teacher(tmp_path / "t.keras", data)
    assert check_on_samples(own, data.train, data.classes, lambda outputs: outputs) is None
    assert "resize" not in own.identity["preprocessing"]
