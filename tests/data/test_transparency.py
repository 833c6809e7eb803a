"""Transparent pixels are drawn on one colour, whatever colour the file hides under them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from own_images import cache_elsewhere, load, picture, pictures
from PIL import Image

from kdcompress.config.images import ImageSettings
from kdcompress.data import Dataset, read_image
from kdcompress.errors import RecipeError

__all__ = ["cache_elsewhere"]  # a fixture of every test here

HIDDEN, SHOWN = (0, 255, 0), (200, 40, 90)


def layered(alpha: int = 0) -> Image.Image:
    """An image of (8, 6) whose left half has an alpha and a hidden colour."""
    pixels = np.full((8, 6, 4), (*SHOWN, 255), np.uint8)
    pixels[:, :3] = (*HIDDEN, alpha)
    return Image.fromarray(pixels)


def palette() -> Image.Image:
    image = Image.fromarray(np.repeat([[0, 0, 0, 1, 1, 1]], 8, axis=0).astype(np.uint8), "P")
    image.putpalette([*HIDDEN, *SHOWN])
    return image


SAVED: dict[str, tuple[Image.Image, dict[str, Any]]] = {
    "rgba.png": (layered(), {}),
    "rgba.webp": (layered(), {"lossless": True, "exact": True}),
    "rgba.tif": (layered(), {}),
    "rgba.tga": (layered(), {}),
    "palette.png": (palette(), {"transparency": 0}),
    "palette.gif": (palette(), {"transparency": 0}),
    "palette-alpha.png": (palette(), {"transparency": bytes([0, 255])}),
    "key.png": (layered().convert("RGB"), {"transparency": HIDDEN}),
}


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.parametrize(
    ("background", "colour"), [("white", (255, 255, 255)), ("black", (0, 0, 0)), ((9, 90, 30), (9, 90, 30))]
)
def test_the_hidden_colour_is_never_seen(tmp_path: Path, name: str, background: Any, colour: Any) -> None:
    image, options = SAVED[name]
    image.save(tmp_path / name, **options)
    pixels = read_image(tmp_path / name, (8, 6, 3), ImageSettings(background=background))
    assert (pixels[:, :3] == colour).all()
    assert np.abs(pixels[:, 3:].astype(int) - SHOWN).max() <= 1


def test_grey_and_half_transparent_pixels(tmp_path: Path) -> None:
    grey = np.full((8, 6, 2), (60, 255), np.uint8)
    grey[:, :3] = (180, 0)
    Image.fromarray(grey, "LA").save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png", (8, 6, 1))[0, :, 0].tolist() == [255] * 3 + [60] * 3
    layered(alpha=51).save(tmp_path / "half.png")  # a fifth
    assert read_image(tmp_path / "half.png", (8, 6, 3))[0, 0].tolist() == [204, 255, 204]
    deep = np.linspace(1, 65535, 48).reshape(8, 6).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png", transparency=int(deep[2, 2]))
    pixels = read_image(tmp_path / "deep.png", (8, 6, 1))[..., 0]
    assert pixels[2, 2] == 255
    assert pixels[2, 3] == deep[2, 3] // 257


def test_a_model_of_four_channels_gets_the_alpha_channel(tmp_path: Path) -> None:
    layered().save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", (8, 6, 4))[0, 0].tolist() == [*HIDDEN, 0]


def test_an_alpha_channel_that_nothing_fills_is_none(tmp_path: Path) -> None:
    pixels = np.asarray(layered()).copy()
    pixels[..., 3] = 0
    Image.fromarray(pixels).save(tmp_path / "a.tga")  # as many programs leave it
    assert read_image(tmp_path / "a.tga", (8, 6, 3))[0, 0].tolist() == list(HIDDEN)


def with_transparent(root: Path, alpha: int) -> Path:
    pictures(root)
    for index in range(3):
        image = picture(root / "cat" / f"clear{index}.png", 30 + index, mode="RGBA")
        pixels = np.asarray(Image.open(image)).copy()
        pixels[:2, :, 3] = alpha
        Image.fromarray(pixels).save(image)
    return root


def test_how_many_images_it_concerns_is_said(tmp_path: Path, recorder: Recorder) -> None:
    root = with_transparent(tmp_path / "clear", alpha=0)
    load("folder", recorder, dir=root)
    words = "3 of 23 images have transparent pixels, such as cat/clear0.png: drawn on white (data.background)"
    assert words in recorder.notes
    recorder = Recorder()
    load("folder", recorder, dir=with_transparent(tmp_path / "opaque", alpha=255))
    assert not any("transparent" in note for note in recorder.notes)


def test_the_background_is_part_of_the_fingerprint_where_it_is_seen(tmp_path: Path) -> None:
    def prints(alpha: int) -> list[str]:
        root = with_transparent(tmp_path / str(alpha), alpha)
        settings: list[dict[str, Any]] = [{}, {"background": "white"}, {"background": "black"}]
        data: list[Dataset] = [load("folder", dir=root, **setting) for setting in settings]
        return [one.fingerprint for one in data]

    default, white, black = prints(0)
    assert default == white != black
    assert len(set(prints(255))) == 1


@pytest.mark.parametrize("background", ["blue", [1, 2], [0, 0, 256], 7])
def test_backgrounds_that_are_none(tmp_path: Path, background: Any) -> None:
    with pytest.raises(RecipeError, match=r"data\.background"):
        load("folder", dir=pictures(tmp_path), background=background)
