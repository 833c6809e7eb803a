"""Arrays of other kinds than pixels of 8 bits and class numbers: taken, or refused with a remedy that does no harm."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from own_images import cache_elsewhere, load

from kdcompress.data import Dataset
from kdcompress.errors import DataError

__all__ = ["cache_elsewhere"]  # a fixture of every test here

Arrays = dict[str, Any]
N = 40


def pixels(*shape: int, n: int = N) -> np.ndarray:
    """Random images that contain 0 and 255."""
    images = np.random.default_rng(0).integers(0, 256, (n, *(shape or (8, 6, 3))), np.uint8)
    images[0].flat[:2] = 0, 255
    return images


def labels(n: int = N) -> np.ndarray:
    return np.arange(n) % 4


def save(path: Path, arrays: Arrays) -> Path:
    np.savez(path, **arrays)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        load("arrays", dir=path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def apply_remedy(arrays: Arrays, message: str) -> Arrays:
    """Run every line of NumPy that a message prints on the arrays that it is about."""
    (name,) = re.findall(r"npz: (x\w*) must", message)
    suffix = name[1:]
    remedies = message.split("; ")[1:]
    changed = dict(arrays)
    parts = [key[1:] for key in arrays if key.startswith("x")]
    for text in (part.removeprefix("leave these out: ") for part in remedies):
        if text.startswith(("keep = ", f"{name}, y{suffix} = ")):
            exec(text, {"np": np}, changed)
        elif found := re.search(r": ((?:np\.|x\.|\(+x).*?)(?:, which scales.*|, if they are of .*|$)", text):
            for part in parts:  # the same line for each of them
                changed[f"x{part}"] = eval(found[1], {"np": np, "x": changed[f"x{part}"]})
    changed.pop("keep", None)
    return changed


def repaired(tmp_path: Path, arrays: Arrays) -> tuple[Dataset, Arrays]:
    """Follow the remedies until the arrays are accepted."""
    for step in range(4):
        path = save(tmp_path / f"{step}.npz", arrays)
        try:
            return load("arrays", dir=path), arrays
        except DataError as exc:
            arrays = apply_remedy(arrays, str(exc))
    raise AssertionError("the remedies lead nowhere")


def signed(values: np.ndarray) -> np.ndarray:
    return values / 127.5 - 1


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "convert",
    [lambda x: x / 255, signed, lambda x: x.astype(float), lambda x: x / 255 - 0.5, lambda x: (x / 255 - 0.45) / 0.23,
     lambda x: x / 10, lambda x: x * 16.0 / 16 + 0.25 * (x < 255)],
)  # fmt: skip
def test_the_remedy_for_floats_gives_the_pixels_back(
    tmp_path: Path, kind: type, convert: Callable[[np.ndarray], np.ndarray]
) -> None:
    images = pixels()
    data, fixed = repaired(tmp_path, {"x": convert(images).astype(kind), "y": labels()})
    assert len(data.train) + len(data.test) == N
    assert np.array_equal(fixed["x"], images)


def test_parts_are_scaled_in_one_way(tmp_path: Path) -> None:
    images = pixels()
    images[20:] //= 2  # a darker test part, whose own range would be another
    for divisor in (255, 10):
        values = images / np.float32(divisor)
        _, fixed = repaired(
            tmp_path, {"x_train": values[:20], "y_train": labels(20), "x_test": values[20:], "y_test": labels(20)}
        )
        assert np.array_equal(np.concatenate([fixed["x_train"], fixed["x_test"]]), images)


@pytest.mark.parametrize(
    ("convert", "back"),
    [
        (lambda x: x > 127, lambda x: np.where(x > 127, 255, 0)),
        (lambda x: (x > 127).astype(np.int64), lambda x: np.where(x > 127, 255, 0)),
        (lambda x: (x > 127).astype(np.int8), lambda x: np.where(x > 127, 255, 0)),
        (lambda x: (x > 127).astype(np.float32), lambda x: np.where(x > 127, 255, 0)),
        (lambda x: x.astype(np.uint16), lambda x: x),
        (lambda x: x.astype(np.int64), lambda x: x),
        (lambda x: x.astype(">u2"), lambda x: x),
        (lambda x: x.astype(np.uint16) * 257, lambda x: x),
        (lambda x: (x.astype(np.float64) * 4095 / 255).round().astype(np.uint16), lambda x: x),
        (lambda x: (x.astype(np.float64) * 1023 / 255).round().astype(np.int32), lambda x: x),
        (lambda x: x.astype(np.int16) - 128, lambda x: x),
        (lambda x: x.astype(np.int32) * 16 - 1024, lambda x: x),
        (lambda x: x.astype(np.uint64) << 30, lambda x: x),
    ],
)  # fmt: skip
def test_the_remedy_for_whole_numbers_gives_the_pixels_back(
    tmp_path: Path, convert: Callable[[np.ndarray], np.ndarray], back: Callable[[np.ndarray], np.ndarray]
) -> None:
    images = pixels()
    _, fixed = repaired(tmp_path, {"x": convert(images), "y": labels()})
    assert np.array_equal(fixed["x"], back(images))


def test_bytes_with_a_sign_have_two_remedies(tmp_path: Path) -> None:
    images = pixels()
    message = refusal(save(tmp_path / "a.npz", {"x": images.astype(np.int8), "y": labels()}))
    wrapped, shifted = re.findall(r"(\(?x\.\w+\('\w+'\)(?: \+ 128\)\S+)?) if", message)
    assert np.array_equal(eval(wrapped, {"x": images.astype(np.int8)}), images)
    assert np.array_equal(eval(shifted, {"x": (images.astype(np.int16) - 128).astype(np.int8)}), images)


def test_images_with_nan_are_left_out_and_no_others(tmp_path: Path) -> None:
    images = pixels()
    values = images / np.float32(255)
    values[3, 2, 2, 0], values[7, 0, 0, 1] = np.nan, np.inf
    message = refusal(save(tmp_path / "a.npz", {"x": values, "y": labels()}))
    assert (
        "; 2 images hold values that are no numbers (NaN or infinity), the first is image 3 of x; leave these"
        in message
    )
    assert "uint8'" not in message  # of NaN, this makes any number
    _, fixed = repaired(tmp_path, {"x": values, "y": labels()})
    rest = np.delete(np.arange(N), [3, 7])
    assert np.array_equal(fixed["x"], images[rest])
    assert np.array_equal(fixed["y"], labels()[rest])
    parts = {"x_train": values, "y_train": labels(), "x_test": values[10:30], "y_test": labels(20)}
    data, fixed = repaired(tmp_path, parts)
    assert (len(data.train), len(data.test)) == (38, 20)
    assert np.array_equal(fixed["x_test"], images[10:30])


def test_constant_arrays_have_no_remedy_that_divides_by_zero(tmp_path: Path) -> None:
    for value in (300.5, -2.0):
        assert "pixels of them" not in refusal(
            save(tmp_path / "a.npz", {"x": np.full((N, 8, 6), value), "y": labels()})
        )


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((8, 6, 2), None), ((3, 8, 6), (0, 2, 3, 1)), ((2, 8, 6), (0, 2, 3, 1)), ((8, 9, 3), (3, 0, 1, 2))],
)
@pytest.mark.parametrize("floats", [False, True])
def test_channels_are_kept(tmp_path: Path, shape: tuple[int, ...], axes: tuple[int, ...] | None, floats: bool) -> None:
    images = pixels(*shape)
    if axes == (3, 0, 1, 2):
        images = np.ascontiguousarray(images.transpose(1, 2, 3, 0))
    data, fixed = repaired(tmp_path, {"x": images / np.float32(255) if floats else images, "y": labels()})
    whole = images.transpose(axes) if axes else images
    assert np.array_equal(fixed["x"][..., : whole.shape[3]], whole)
    if whole.shape[3] == 2:
        assert data.input_shape == (8, 6, 3)
        assert not fixed["x"][..., 2].any()


def test_other_numbers_of_channels_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    assert refusal(save(path, {"x": pixels(8, 6, 13), "y": labels()})).endswith("; choose 1, 3 or 4 of its 13 channels")
    assert refusal(save(path, {"x": pixels(7, 8, 9), "y": labels()})).endswith(
        "; put the channels last: x.transpose(0, 2, 3, 1); choose 1, 3 or 4 of its 7 channels"
    )
    assert refusal(save(path, {"x": pixels(3072), "y": labels()})).endswith("got uint8 (40, 3072)")  # of unknown order
    data, fixed = repaired(tmp_path, {"x": pixels(784), "y": labels()})
    assert data.input_shape == (28, 28, 1)
    assert np.array_equal(fixed["x"].reshape(N, -1), pixels(784))


@pytest.mark.parametrize("shape", [(0, 8, 6), (0,), (0, 0, 0, 3), (40, 0, 6)])
def test_empty_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    message = refusal(save(tmp_path / "a.npz", {"x": np.zeros(shape, np.float32), "y": labels()}))
    assert ("x holds no images, got float32" if shape[0] == 0 else "x must be pixels of uint8") in message
    assert ";" not in message


@pytest.mark.parametrize(
    ("suffix", "remedy"),
    [("_train", ""), ("_val", "; leave it and its images out"),
     ("_test", "; save x and y alone, to have a part kept for test")],
)  # fmt: skip
def test_empty_labels(tmp_path: Path, suffix: str, remedy: str) -> None:
    arrays = {
        f"{name}_{part}": values
        for part in ("train", "val", "test")
        for name, values in (("x", pixels()), ("y", labels()))
    }
    arrays |= {f"x{suffix}": pixels()[:0], f"y{suffix}": labels()[:0]}
    assert refusal(save(tmp_path / "a.npz", arrays)).endswith(f"y{suffix} has no labels{remedy}")


@pytest.mark.parametrize(
    "values",
    [
        labels().astype(np.float64), labels().astype(np.float16)[:, None], labels().astype(np.uint8),
        labels().astype(">i8"), labels().astype(np.uint64), labels() > 1,
    ],
)  # fmt: skip
def test_class_numbers_of_every_type(tmp_path: Path, values: np.ndarray) -> None:
    data = load("arrays", dir=save(tmp_path / "a.npz", {"x": pixels(), "y": values}))
    rows = [int(name.partition("/")[2]) for name in data.train.ids]
    assert data.train.labels.tolist() == values.reshape(-1)[rows].astype(int).tolist()
    assert data.classes == tuple("0123"[: int(values.max()) + 1])


def test_names_as_bytes(tmp_path: Path) -> None:
    names = np.array(["kočka", "pes"])
    encoded = np.char.encode(names, "utf-8")
    extra = {"ids": np.char.encode(np.arange(N).astype(str), "utf-8"), "groups": encoded[np.arange(N) // 5 % 2]}
    text = load("arrays", dir=save(tmp_path / "u.npz", {"x": pixels(), "y": names[labels() % 2]}))
    data = load("arrays", dir=save(tmp_path / "s.npz", {"x": pixels(), "y": encoded[labels() % 2]}))
    assert data.classes == ("kočka", "pes")
    assert data.fingerprint == text.fingerprint
    with pytest.raises(DataError, match="whole groups"):
        load(
            "arrays",
            dir=save(
                tmp_path / "g.npz",
                {
                    "x": pixels(),
                    "y": encoded[labels() % 2],
                    **extra,
                    "groups": np.array([b"\xc3\xa4", b"b"])[labels() % 2],
                },
            ),
        )
    data = load("arrays", dir=save(tmp_path / "i.npz", {"x": pixels(), "y": labels() % 2, "classes": encoded, **extra}))
    assert data.classes == ("kočka", "pes")
    assert set(data.train.ids) <= set(np.arange(N).astype(str))
    message = refusal(save(tmp_path / "b.npz", {"x": pixels(), "y": np.array([b"\xff", b"a"])[labels() % 2]}))
    assert message.endswith("y holds bytes that are no text; save text (dtype U)")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.arange(N), "each of the 40 images to train on has a label of its own, which are no classes; are they ids"),
        (np.arange(N).astype(str), "each of the 40 images to train on has a label of its own"),
        (np.arange(N) + 1_700_000_000, "label 1700000000 of image 0 in y is out of range: .* below 40, the"),
        (np.arange(N) + 1.7e9, r"label 1700000000\.0 of image 0 in y is out of range"),
        (np.full(N, np.iinfo(np.uint64).max), "label 18446744073709551615 of image 0 in y is out of range"),
        (np.full(N, 1e300), r"label 1e\+300 of image 0 in y is out of range"),
        (np.arange(N) / 2, r"got float64 \(40,\); label 0\.5 of image 1 is no whole number"),
        (np.where(np.arange(N) == 5, np.nan, 1.0), "label nan of image 5 is no whole number"),
        (np.where(np.arange(N) == 5, np.inf, 1.0), "label inf of image 5 in y is out of range"),
        (np.array(["2020-01-01"] * N, "M8[D]"), r"got datetime64\[D\] \(40,\)$"),
        (np.ones(N, complex), r"got complex128 \(40,\)$"),
        (np.eye(N), r"got float64 \(40, 40\); of one-hot rows take argmax\(axis=1\)"),
        (np.eye(N, dtype=bool), r"got bool \(40, 40\); of one-hot rows take argmax\(axis=1\)"),
        (np.ones((N, 3), int), r"got int64 \(40, 3\); an image has one label, and these rows are not one-hot"),
        (np.full((N, 4), 0.25), r"an image has one label, and these rows are not one-hot"),
        (np.array(3), r"got int64 \(\)$"),
    ],
)  # fmt: skip
def test_labels_that_are_no_classes(tmp_path: Path, values: np.ndarray, words: str) -> None:
    path = save(tmp_path / "a.npz", {"x": pixels(), "y": values})
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=words):
            load("arrays", dir=path)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_ids_among_many_images_take_no_memory(tmp_path: Path) -> None:
    n = 200_000
    path = save(tmp_path / "a.npz", {"x": np.zeros((n, 4, 4), np.uint8), "y": np.random.default_rng(0).permutation(n)})
    tracemalloc.start()
    try:
        assert "has a label of its own" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("numbers", [(1, 2, 3, 4), (3, 7), (10, 20, 30), (-1, 1)])
def test_numbers_with_gaps_are_taken_as_names(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    values = np.array(numbers)[np.arange(N) % len(numbers)]
    assert "y.astype(str)" in refusal(save(tmp_path / "a.npz", {"x": pixels(), "y": values}))
    data = load("arrays", dir=save(tmp_path / "b.npz", {"x": pixels(), "y": values.astype(str)}))
    assert sorted(map(int, data.classes)) == sorted(numbers)


def test_images_without_a_label_do_not_become_a_class(tmp_path: Path) -> None:
    values = np.where(np.arange(N) < 10, -1, labels())
    arrays = {"x": pixels(), "y": values}
    message = refusal(save(tmp_path / "a.npz", arrays))
    assert "astype(str)" not in message
    exec(message.partition("leave them out: ")[2], {}, arrays)
    data = load("arrays", dir=save(tmp_path / "b.npz", arrays))
    assert len(data.classes) == 4
    assert len(data.train) + len(data.test) == 30


def test_arrays_of_other_names_are_told(tmp_path: Path) -> None:
    message = refusal(save(tmp_path / "a.npz", {"train_images": pixels(), "train_labels": labels()}))
    assert message.endswith(
        "has no array 'y'; it has train_images, train_labels; name images and labels x and y, "
        "or x_train, y_train, x_test and y_test"
    )


def test_unlabelled_images_have_no_labels_to_leave_out(tmp_path: Path, digits: Dataset, recorder: Recorder) -> None:
    from kdcompress.config.sections import UnlabelledSection
    from kdcompress.data import load_unlabelled

    values = pixels(28, 28) / np.float32(255)
    values[4, 0, 0] = np.nan
    with pytest.raises(DataError, match=r"reshape\(len\(x\), -1\)\.all\(axis=1\); x = x\[keep\]$"):
        load_unlabelled(UnlabelledSection(dir=str(save(tmp_path / "a.npz", {"x": values}))), digits, recorder)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("group", "if it holds the groups, save it as groups"),
        ("patient_id", "if it holds the groups, save it as groups"),
        ("slide", "if it holds the groups, save it as groups"),
        ("id", "if it holds the ids, save it as ids"),
        ("subclass", "if it holds the subclasses, save it as subclasses"),
        ("split", "if it divides the data, save x_train, y_train, x_test and y_test by it instead of x and y"),
        ("Partition", "if it divides the data, save x_train, y_train, x_test and y_test by it instead of x and y"),
    ],
)
def test_arrays_that_are_not_used_are_said(tmp_path: Path, recorder: Recorder, name: str, remedy: str) -> None:
    path = save(
        tmp_path / "a.npz", {"x": pixels(), "y": labels(), name: labels(), "mean": np.zeros(3), "notes": labels()}
    )
    load("arrays", recorder, dir=path)
    assert recorder.warnings == [f"{path}: array {name!r} is not used; {remedy}"]
    assert f"{path}: not used: arrays mean, notes" in recorder.notes


def test_arrays_of_parts_that_are_not_used_are_said(tmp_path: Path, recorder: Recorder) -> None:
    parts = {
        f"{name}_{part}": values
        for part in ("train", "test", "valid")
        for name, values in (("x", pixels()), ("y", labels()))
    }
    path = save(tmp_path / "a.npz", {**parts, "patients_train": labels(), "weights_test": labels()})
    load("arrays", recorder, dir=path)
    assert recorder.warnings == [
        f"{path}: array 'patients_train' is not used; if it holds the groups, save it as groups_train",
        f"{path}: array 'x_valid' is not used; if it is of the validation part, save it as x_val",
        f"{path}: array 'y_valid' is not used; if it is of the validation part, save it as y_val",
    ]
    assert f"{path}: not used: array weights_test" in recorder.notes


@pytest.mark.parametrize("name", ["images.mat", "images.h5", "images.pkl", "images.pt"])
def test_files_of_other_programs_are_told_how_to_be_saved(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(
        DataError, match=r"no npz file .*; save arrays in one: np\.savez\('images\.npz', x=images, y=labels\)"
    ):
        load("arrays", dir=tmp_path / name)
