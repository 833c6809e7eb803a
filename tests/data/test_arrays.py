"""Images as arrays, and images without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import other_models
import pytest
from conftest import Recorder
from own_images import cache_elsewhere, load

from kdcompress.data import Dataset, MappedImages
from kdcompress.errors import DataError

__all__ = ["cache_elsewhere"]  # a fixture of every test here


def arrays(n: int = 40, shape: tuple[int, ...] = (8, 6), seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.integers(0, 256, (n, *shape), np.uint8), "y": np.arange(n) % 4}


def test_arrays_stay_on_disk_and_are_what_they_are(tmp_path: Path) -> None:
    made = arrays()
    np.savez(tmp_path / "a.npz", **made)
    np.savez_compressed(tmp_path / "packed.npz", **made)
    (tmp_path / "npy").mkdir()
    for name, value in made.items():
        np.save(tmp_path / "npy" / f"{name}.npy", value)
    found = {name: load("arrays", dir=tmp_path / name) for name in ("a.npz", "packed.npz", "npy")}
    assert isinstance(found["a.npz"].train.images, MappedImages)
    assert isinstance(found["npy"].train.images, MappedImages)
    assert len({data.fingerprint for data in found.values()}) == 1
    for data in found.values():
        assert data.input_shape == (8, 6, 1)
        rows = [int(name.split("/")[1]) for name in data.train.ids]
        assert np.array_equal(data.train.images[:][..., 0], made["x"][rows])
        assert np.array_equal(data.train.labels, made["y"][rows])


def test_keras_s_own_layout_and_names(tmp_path: Path) -> None:
    train, test = arrays(shape=(5, 5, 3)), arrays(12, shape=(5, 5, 3), seed=1)
    names = np.array(["d", "c", "b", "a"])
    np.savez(
        tmp_path / "k.npz", x_train=train["x"], y_train=train["y"][:, None], x_test=test["x"], y_test=test["y"],
        classes=names,
    )  # fmt: skip
    data = load("arrays", dir=tmp_path / "k.npz")
    assert data.classes == ("d", "c", "b", "a")
    assert data.test.labels.tolist() == test["y"].tolist()
    np.savez(tmp_path / "t.npz", x=train["x"], y=names[train["y"]], groups=np.arange(40) // 8)
    data = load("arrays", dir=tmp_path / "t.npz")
    assert data.classes == ("a", "b", "c", "d")
    assert not set(data.train.groups.tolist()) & set(data.test.groups.tolist())  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": np.ones((40, 8, 6), np.float32)}, r"got float32 \(40, 8, 6\); make pixels of them: \(x \* 255\)"),
        ({"x": np.zeros((40, 8, 6, 2), np.uint8)}, r"with C 1, 3 or 4, got uint8 \(40, 8, 6, 2\)"),
        ({"y": np.arange(39) % 4}, "40 images in x, but 39 labels in y"),
        ({"y": np.eye(40)}, r"y must be \(n,\) whole numbers from 0 or names.*of one-hot rows take argmax"),
        ({"y": np.zeros(40, int)}, "holds one class alone"),
        ({"y": np.arange(40) % 4 - 1}, "label -1 of image 0 in y is out of range"),
        ({"y": np.array([0, 2] * 20)}, "y has no image of class 1"),
        (
            {"y": np.arange(40) % 4 + 1},
            r"y has no image of class 0; labels that are numbers .* without a gap; .*y\.astype\(str\)",
        ),
        ({"x": np.full((40, 8, 6), 200.5)}, r"make pixels of them: x\.round\(\)"),
        ({"x": np.zeros((40, 3, 8, 6), np.uint8)}, r"put the channels last: x\.transpose\(0, 2, 3, 1\)"),
        ({"classes": np.array(["a", "b", "b", "c"])}, "two classes have the same name 'b'"),
        ({"classes": np.array(["a", "b"])}, "label 2 of image 2 in y is out of range, must be 0 to 1"),
        ({"ids": np.array(["same"] * 40)}, "ids names an image twice"),
        ({"groups": np.arange(3)}, r"groups must be \(40,\), one for each image, got \(3,\)"),
        ({"y": np.array([{}] * 40)}, "array 'y' holds Python objects, which could run code"),
    ],
)
def test_arrays_that_are_wrong(tmp_path: Path, change: dict[str, np.ndarray], words: str) -> None:
    np.savez(tmp_path / "a.npz", **{**arrays(), **change})
    with pytest.raises(DataError, match=words) as caught:
        load("arrays", dir=tmp_path / "a.npz")
    assert "\n" not in str(caught.value)


def test_array_files_that_are_damaged(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays())
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:500])
    with pytest.raises(DataError, match="truncated, damaged or no npz file"):
        load("arrays", dir=tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    with pytest.raises(DataError, match=r"has no array 'y'; it has images"):
        load("arrays", dir=tmp_path / "other.npz")
    np.savez(tmp_path / "half.npz", x_train=np.zeros((3, 4, 4), np.uint8), y_train=np.arange(3))
    with pytest.raises(DataError, match="must have x_train and x_test, or x alone"):
        load("arrays", dir=tmp_path / "half.npz")
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "npy" / "y.npy", np.arange(40) % 4)
    np.save(tmp_path / "npy" / "x.npy", arrays()["x"])
    file = tmp_path / "npy" / "x.npy"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match="array 'x' is truncated or damaged"):
        load("arrays", dir=tmp_path / "npy")


def test_unlabelled_images(tmp_path: Path, digits: Dataset, recorder: Recorder) -> None:
    from kdcompress.config.sections import UnlabelledSection
    from kdcompress.data import load_unlabelled

    other_models.save_images(digits.train.take(np.arange(30)), tmp_path / "more")
    found = load_unlabelled(UnlabelledSection(dir=str(tmp_path / "more")), digits, recorder)
    assert len(found) == 30
    assert set(found.labels) == {-1}
    assert found.ids[0].startswith("unlabelled/0/")
    assert found.images.shape == (30, 28, 28, 1)
    assert len(load_unlabelled(UnlabelledSection(dir=str(tmp_path / "more"), limit=7), digits, recorder)) == 7
    np.savez(tmp_path / "x.npz", x=np.concatenate([digits.test.images[:2], digits.train.images[:5]]))
    found = load_unlabelled(UnlabelledSection(dir=str(tmp_path / "x.npz")), digits, recorder)
    assert np.array_equal(found.images[:], np.concatenate([digits.test.images[:2], digits.train.images[:5]]))
    (warning,) = recorder.warnings
    assert warning.startswith("2 unlabelled images are in test, too: unlabelled/0, unlabelled/1: the student learns")
    with pytest.raises(DataError, match=r"unlabelled\.dir: .* does not exist"):
        load_unlabelled(UnlabelledSection(dir=str(tmp_path / "nowhere")), digits, recorder)


def test_arrays_can_be_scaled(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays(shape=(8, 8)))
    assert load("arrays", dir=tmp_path / "a.npz", size=16).input_shape == (16, 16, 1)
    assert load("arrays", dir=tmp_path / "a.npz", size=[4, 6]).train.images[:].shape == (32, 4, 6, 1)


def test_an_id_is_of_one_image_in_all_parts(tmp_path: Path) -> None:
    train, test = arrays(), arrays(20, seed=1)
    same = {"ids_train": np.arange(40).astype(str), "ids_test": np.arange(20).astype(str)}
    parts = {"x_train": train["x"], "y_train": train["y"], "x_test": test["x"], "y_test": test["y"]}
    np.savez(tmp_path / "a.npz", **parts, **same)
    with pytest.raises(DataError, match="id 0 is in two parts; ids must be unique"):
        load("arrays", dir=tmp_path / "a.npz")
