"""The settings by which image files become pixels go with a run and its exports; predict and calibration follow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import kdcompress
from kdcompress.config.images import DEFAULT_IMAGE_SETTINGS, ImageSettings
from kdcompress.data import read_image
from kdcompress.errors import KDCompressError
from kdcompress.exporting import open_exported
from kdcompress.exporting._calibration import from_folder
from kdcompress.models import load_saved_model
from kdcompress.progress import Progress

SETTINGS = {"background": "black", "scale": "255/127", "resize": "crop"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide, transparent images of 7 bits, in two classes."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for name in ("cat", "dog"):
        for index in range(30):
            pixels = rng.integers(0, 128, (30, 50, 2)).astype(np.uint8)
            pixels[..., 1] = 255 * (pixels[..., 1] > 40)
            (root / name).mkdir(exist_ok=True)
            Image.fromarray(pixels, "LA").save(root / name / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe: dict[str, Any] = {
        "name": "own",
        "data": {"name": "folder", "dir": str(photos), "size": 28, **SETTINGS},
        "teacher": {"model": "tiny_models:pair", "check": False},
        "student": {"model": "tiny_models:pair"},
        "split": {"validation_fraction": 0.2},
        "training": {"epochs": 1, "batch_size": 16},
        "baseline": False,
    }
    out = tmp_path_factory.mktemp("runs") / "run"
    kdcompress.distill(recipe, out=out)
    kdcompress.export(out, ["onnx", "tflite", "saved-model"])
    return out


def exports(run: Path) -> list[Path]:
    paths = sorted((run / "exports").glob("student-fp32*"))
    assert len(paths) == 3
    return paths


def test_predict_reads_files_as_training_did(run: Path, photos: Path) -> None:
    paths = sorted((photos / "cat").glob("*.png"))[:5]
    pixels = np.stack([read_image(path, (28, 28, 1), ImageSettings(**SETTINGS)) for path in paths])
    assert not np.array_equal(pixels[0], read_image(paths[0], (28, 28, 1)))
    model = load_saved_model(run / "student.keras")
    logits = np.asarray(model(pixels.astype(np.float32)), np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    for subject in (run, run / "student.keras", *exports(run)):
        rows = kdcompress.predict(subject, paths)
        assert [row["probability"] for row in rows] == pytest.approx(expected.max(axis=-1).tolist(), abs=1e-5)


def test_the_run_and_its_exports_record_the_settings(run: Path) -> None:
    recorded = json.loads((run / "manifest.json").read_text())["images"]
    assert recorded == {"background": "black", "scale": 255 / 127, "resize": "crop"}
    for path in exports(run):
        assert open_exported(path).image_settings == ImageSettings(**SETTINGS)


def test_calibration_images_are_read_likewise(photos: Path) -> None:
    settings = ImageSettings(**SETTINGS)
    calibration = from_folder(photos, (28, 28, 1), 4, Progress(), settings)
    for pixels, path in zip(calibration.images, calibration.ids, strict=True):
        assert np.array_equal(pixels, read_image(Path(path), (28, 28, 1), settings))


@pytest.mark.parametrize("images", [7, {"resize": "x"}, {"background": [1]}, {"scale": -1}, {"nonsense": 1}])
def test_settings_that_are_damaged_are_refused(run: Path, photos: Path, images: Any, tmp_path: Path) -> None:
    from kdcompress.config.images import read_image_settings

    with pytest.raises(KDCompressError, match=r"^m\.onnx: its settings of images are damaged"):
        read_image_settings({"images": images}, "m.onnx")
    assert read_image_settings({}, "m.onnx") == DEFAULT_IMAGE_SETTINGS
