"""The same image in train and test, in another file, and images that look the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Recorder
from own_images import cache_elsewhere, load, picture, pictures
from PIL import Image, ImageFilter

from kdcompress.data.near_twins import find_near_twins, near_twins_note

__all__ = ["cache_elsewhere"]  # a fixture of every test here

SAVED_AGAIN = {
    "bmp": {}, "tif": {"compression": "tiff_lzw"}, "webp": {"lossless": True, "quality": 40}, "ppm": {},
    "png": {"compress_level": 1, "dpi": (72, 72)}, "gif": {},
}  # fmt: skip


def scene(path: Path, seed: int, size: int = 96) -> Image.Image:
    """A smooth random image, saved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    image = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(3))
    spread = np.asarray(image, np.float32)
    image = Image.fromarray(np.clip((spread - spread.mean()) * 6 + 128, 0, 255).astype(np.uint8))
    image.save(path)
    return image


def parts(root: Path, table: bool) -> str:
    """Names of the test of a data set whose test images are given as files: by folders, or by a table."""
    if table:
        files = sorted(path.relative_to(root) for path in root.rglob("*.*") if path.suffix != ".csv")
        rows = [f"{path.as_posix()},{path.parts[1]},{path.parts[0]}" for path in files]
        (root / "list.csv").write_text("\n".join(["path,label,partition", *rows]) + "\n")
    return "csv" if table else "folder"


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("ending", SAVED_AGAIN)
def test_equal_pixels_in_other_files_are_named(tmp_path: Path, ending: str, table: bool) -> None:
    grey = "L" if ending == "gif" else "RGB"  # a GIF has a palette of 256 colours
    pictures(tmp_path / "train", mode=grey)
    for number, name in enumerate(("cat", "dog")):
        for index in range(4):
            picture(tmp_path / "test" / name / f"new{index}.png", 5000 + 10 * number + index, mode=grey)
    assert load(parts(tmp_path, table), dir=tmp_path).notice is None
    for name in ("case0-0", "case1-2"):
        image = Image.open(tmp_path / "train" / "cat" / f"{name}.png")
        image.save(tmp_path / "test" / "cat" / f"again-{name}.{ending}", **SAVED_AGAIN[ending])
    wrong = tmp_path / "train" / "dog" / f"wrong.{ending}"
    Image.open(tmp_path / "train" / "cat" / "case2-4.png").save(wrong, **SAVED_AGAIN[ending])
    notice = load(parts(tmp_path, table), dir=tmp_path).notice or ""
    assert f"2 images are in train and in test: train/cat/case0-0.png = test/cat/again-case0-0.{ending}, " in notice
    assert f"1 image is in train under two labels: train/cat/case2-4.png = train/dog/wrong.{ending}" in notice


def test_equal_pixels_in_ebhi_seg_are_named(tmp_path: Path) -> None:
    cases = {"train": "GT001", "test": "GT006"}
    from kdcompress.data.sources.ebhi_seg import part_of

    for part in cases:
        cases[part] = next(f"GT{number:03}" for number in range(99) if part_of(f"GT{number:03}") == part)
    for number, name in enumerate(("Normal", "Polyp")):
        for index, case in enumerate(cases.values()):
            picture(tmp_path / name / "image" / f"{case}-{index}.png", 10 * number + index)
    again = Image.open(tmp_path / "Polyp" / "image" / f"{cases['train']}-0.png")
    again.save(tmp_path / "Polyp" / "image" / f"{cases['test']}-9.png", compress_level=0)
    notice = load("ebhi-seg", dir=tmp_path, classes=["Normal", "Polyp"]).notice or ""
    assert "1 image is in train and in test: Polyp/" in notice


@pytest.mark.parametrize("how", ["jpeg", "half", "larger", "grey", "both", "webp", "brighter"])
def test_images_at_another_size_or_compression_are_counted(tmp_path: Path, recorder: Recorder, how: str) -> None:
    originals = {}
    for number, name in enumerate(("cat", "dog")):
        for index in range(12):
            path = tmp_path / "train" / name / f"{index:02}.png"
            originals[f"train/{name}/{index:02}.png"] = scene(path, 100 * number + index)
        for index in range(6):
            scene(tmp_path / "test" / name / f"{index:02}.png", 1000 + 100 * number + index)
    load("folder", recorder, dir=tmp_path, size=32)
    assert not any("look" in note for note in recorder.notes)
    for name in ("03", "05", "07", "08"):
        image = originals[f"train/dog/{name}.png"]
        target = tmp_path / "test" / "dog" / f"copy-{name}"
        if how in ("half", "larger", "both"):
            image = image.resize((48, 48) if how == "half" else (143, 150), Image.Resampling.BICUBIC)
        if how == "grey":
            image = image.convert("L")
        if how == "brighter":
            image = image.point(lambda value: value * 0.8 + 20)
        ending = {"webp": "webp", "jpeg": "jpg", "both": "jpg"}.get(how, "png")
        image.save(f"{target}.{ending}", **({} if ending == "png" else {"quality": 75}))
    recorder = Recorder()
    data = load("folder", recorder, dir=tmp_path, size=32)
    assert data.notice is None
    (note,) = [note for note in recorder.notes if "look" in note]
    assert note.startswith(
        "4 images of test look like an image of train at another size or compression: "
        f"train/dog/03.png = test/dog/copy-03.{ending}, "
    )


def test_images_without_structure_are_no_twins(tmp_path: Path, recorder: Recorder) -> None:
    for part, offset in (("train", 0), ("test", 100)):
        for name in ("cat", "dog"):
            for index in range(6):
                path = tmp_path / part / name / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (32, 32), (offset + index, 30 + (name == "dog"), 90)).save(path)
    assert load("folder", recorder, dir=tmp_path).notice is None
    assert not any("look" in note for note in recorder.notes)


def test_near_twins_are_those_of_a_comparison_of_all_with_all() -> None:
    rng = np.random.default_rng(0)
    train = rng.integers(0, 2**64, (3000, 4), np.uint64)
    test = rng.integers(0, 2**64, (1000, 4), np.uint64)
    for row in range(400):
        bits = np.zeros(256, np.uint8)
        bits[rng.permutation(256)[: row % 15]] = 1
        test[row] = train[2 * row] ^ np.packbits(bits).view(np.uint64)
    nearest = find_near_twins(train, test)
    distances = np.bitwise_count(train[None] ^ test[:, None]).sum(axis=-1)
    expected = np.where(distances.min(axis=1) <= 16, distances.argmin(axis=1), -1)
    assert nearest.tolist() == expected.tolist()
    assert nearest[:400].tolist() == list(range(0, 800, 2))


def test_many_equal_hashes_are_compared_once() -> None:
    few = np.random.default_rng(1).integers(0, 2**64, (3, 4), np.uint64)
    nearest = find_near_twins(np.repeat(few, 40_000, axis=0), np.repeat(few, 10_000, axis=0))
    assert nearest.tolist() == [0] * 10_000 + [40_000] * 10_000 + [80_000] * 10_000
    assert len(find_near_twins(few, few[:0])) == 0


def test_images_that_are_no_files_have_no_note() -> None:
    from kdcompress.data import Samples

    samples = Samples(np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int64), np.array(["a", "b"]))
    assert near_twins_note(samples, samples) is None
