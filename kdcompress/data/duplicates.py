"""What to beware of in data: the same image in train and in test or under two labels, classes without a test image."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.data.base import Dataset
from kdcompress.data.samples import Samples
from kdcompress.data.stores import FileImages, iter_blocks

Digests = NDArray[np.bytes_]
_MAX_LISTED = 3  # pairs that a notice names


def quality_notice(dataset: Dataset, digests: tuple[Digests, Digests] | None = None) -> str | None:
    """What is wrong with a data set: images that appear twice, groups on both sides, classes that test lacks.

    `digests` of train and of test are what tells images from others, where something better than `image_digests` is
    known.
    """
    train, test = dataset.train, dataset.test
    mine, theirs = digests or (image_digests(train), image_digests(test))
    said = []
    there = set(test.labels.tolist())
    missing = [name for index, name in enumerate(dataset.classes) if index not in there]
    if missing:
        names = f"{', '.join(missing[:_MAX_LISTED])}{_more(missing)}"
        said.append(f"test has no image of class {names}: nothing will be known of it")
    if pairs := find_shared_images(train, mine, test, theirs):
        said.append(
            f"{_count(pairs, 'image')} in train and in test: {format_pairs(pairs)}: figures on test will be too good"
        )
    if pairs := _contradictions(train, mine):
        said.append(f"{_count(pairs, 'image')} in train under two labels: {format_pairs(pairs)}")
    if train.groups is not None and test.groups is not None:
        both = sorted(set(train.groups.tolist()) & set(test.groups.tolist()))
        if both:
            verb = "groups have" if len(both) > 1 else "group has"
            said.append(f"{len(both)} {verb} images in train and in test: {', '.join(both[:_MAX_LISTED])}{_more(both)}")
    return "; ".join(said) or None


def image_digests(samples: Samples) -> Digests:
    """What tells each image from others (n,): the SHA-256 of its file, or a digest of its pixels."""
    images = samples.images
    if isinstance(images, FileImages):
        return images.digests
    found = [
        hashlib.blake2b(image.data, digest_size=16).digest()
        for block in iter_blocks(images, default_batch_size(images.shape[1:]))
        for image in np.ascontiguousarray(block)
    ]
    return np.array([digest.hex() for digest in found], "S32")


def find_shared_images(train: Samples, mine: Digests, test: Samples, theirs: Digests) -> list[tuple[str, str]]:
    """The ids of images that are in train and in test, by the digests of both."""
    first = {digest: place for place, digest in reversed(list(enumerate(mine.tolist())))}
    there = [(first[digest], place) for place, digest in enumerate(theirs.tolist()) if digest in first]
    return [(str(train.ids[a]), str(test.ids[b])) for a, b in sorted(there)]


def _contradictions(train: Samples, digests: Digests) -> list[tuple[str, str]]:
    order = np.argsort(digests, kind="stable")
    same = digests[order][1:] == digests[order][:-1]
    pairs = [(order[i], order[i + 1]) for i in np.flatnonzero(same)]
    return [(str(train.ids[a]), str(train.ids[b])) for a, b in pairs if train.labels[a] != train.labels[b]]


def _count(pairs: list[tuple[str, str]], word: str) -> str:
    return f"1 {word} is" if len(pairs) == 1 else f"{len(pairs):,} {word}s are"


def format_pairs(pairs: list[tuple[str, str]]) -> str:
    """The first pairs of images that are the same, for a message."""
    return ", ".join(f"{a} = {b}" for a, b in pairs[:_MAX_LISTED]) + _more(pairs)


def _more(found: list[tuple[str, str]] | list[str]) -> str:
    return f" and {len(found) - _MAX_LISTED} more" if len(found) > _MAX_LISTED else ""
