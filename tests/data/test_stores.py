"""Images that stay on disk: the same pixels as in memory, whatever way they are asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from own_images import picture

from kdcompress.batches import default_batch_size
from kdcompress.data import FileImages, Images, LazyImages, MappedImages, Samples, iter_blocks, resize_images
from kdcompress.data.index import ROW
from kdcompress.data.resizing import ResizedImages
from kdcompress.data.stores import JoinedImages, content_bytes, take_images


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (11, 6, 4, 3), np.uint8)


@pytest.fixture(params=["files", "mapped", "joined", "fitted"])
def images(request: pytest.FixtureRequest, tmp_path: Path, pixels: np.ndarray) -> LazyImages:
    """The same pixels in every kind of store."""
    if request.param == "files":
        from PIL import Image

        names = [f"{number}.png" for number in range(len(pixels))]
        for name, image in zip(names, pixels, strict=True):
            Image.fromarray(image).save(tmp_path / name)
        return FileImages(tmp_path, np.array(names), (6, 4, 3), np.zeros(len(names), ROW))
    np.save(tmp_path / "x.npy", pixels)
    mapped = MappedImages(np.load(tmp_path / "x.npy", mmap_mode="r"))
    if request.param == "mapped":
        return mapped
    if request.param == "joined":
        return JoinedImages(pixels[:4], mapped.take(np.arange(4, 11)))
    return ResizedImages(mapped, (6, 4, 3))


def test_they_are_indexed_as_an_array_is(images: LazyImages, pixels: np.ndarray) -> None:
    assert len(images) == 11
    assert images.shape == pixels.shape
    for rows in (slice(2, 7), slice(None), slice(9, 20), np.array([10, 0, 3, 3]), [5, 1], slice(3, 3)):
        assert np.array_equal(images[rows], pixels[rows])


def test_a_part_is_taken_without_reading(images: LazyImages, pixels: np.ndarray) -> None:
    index = np.array([1, 3, 8, 10])
    part = take_images(images, index)
    assert isinstance(part, LazyImages)
    assert np.array_equal(part[:], pixels[index])
    assert np.array_equal(take_images(part, np.array([0, 2]))[:], pixels[[1, 8]])


def test_blocks_are_all_there_once(images: LazyImages, pixels: np.ndarray) -> None:
    for size, begin in ((3, 0), (4, 8), (100, 0), (2, 11)):
        found = list(iter_blocks(images, size, begin))
        assert [len(block) for block in found] == [min(size, 11 - i) for i in range(begin, 11, size)]
        if found:
            assert np.array_equal(np.concatenate(found), pixels[begin:])


def test_a_consumer_that_stops_leaves_nothing_hanging(images: LazyImages) -> None:
    walk = iter_blocks(images, 2)
    next(walk)
    walk.close()
    assert len(list(iter_blocks(images, 2))) == 6


def test_the_content_of_a_map_is_that_of_its_array(tmp_path: Path, pixels: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", pixels)
    mapped = MappedImages(np.load(tmp_path / "x.npy", mmap_mode="r"))
    for one in (pixels, mapped):
        assert b"".join(bytes(piece) for piece in content_bytes(one)) == pixels.tobytes()
    labels, ids = np.arange(11), np.arange(11).astype(str)
    assert Samples(pixels, labels, ids).digest() == Samples(mapped, labels, ids).digest()


def test_files_are_read_anew_at_another_size(tmp_path: Path) -> None:
    """Not a scaled copy of a scaled copy: what a big teacher sees does not depend on the student's size."""
    from kdcompress.data import read_image

    picture(tmp_path / "a.png", 1, size=(64, 64))
    small = FileImages(tmp_path, np.array(["a.png"]), (8, 8, 1), np.zeros(1, ROW))
    found: Images = resize_images(small, (32, 32, 3))
    assert np.array_equal(found[:][0], read_image(tmp_path / "a.png", (32, 32, 3)))
    assert resize_images(small, (8, 8, 1)) is small


def test_batches_shrink_with_the_size_of_images() -> None:
    assert [default_batch_size(shape) for shape in ((28, 28, 1), (96, 96, 3), (224, 224, 3), (3000, 3000, 3))] == [
        256,
        128,
        32,
        1,
    ]
