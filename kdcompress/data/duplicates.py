"""Duplicate and leakage checks: images in train and test or with two labels, groups on both sides, absent classes."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.data.base import Dataset
from kdcompress.data.samples import Samples
from kdcompress.data.stores import FileImages, iter_blocks

Digests = NDArray[np.bytes_]
_MAX_LISTED = 3  # pairs that a message names


def quality_notice(dataset: Dataset) -> str | None:
    """Describe duplicates, leakage between train and test, and classes without test images.

    Args:
        dataset: The data set.

    Returns:
        The problems, or None.
    """
    train, test = dataset.train, dataset.test
    problems = []
    tested = set(test.labels.tolist())
    missing = [name for index, name in enumerate(dataset.classes) if index not in tested]
    if missing:
        names = f"{', '.join(missing[:_MAX_LISTED])}{_more(missing)}"
        problems.append(f"test has no image of class {names}: nothing will be known of it")
    if pairs := find_shared_images(train, test):
        problems.append(
            f"{_count(pairs, 'image')} in train and in test: {format_pairs(pairs)}: figures on test will be too good"
        )
    if pairs := _find_contradictions(train):
        problems.append(f"{_count(pairs, 'image')} in train under two labels: {format_pairs(pairs)}")
    if train.groups is not None and test.groups is not None:
        both = sorted(set(train.groups.tolist()) & set(test.groups.tolist()))
        if both:
            verb = "groups have" if len(both) > 1 else "group has"
            problems.append(
                f"{len(both)} {verb} images in train and in test: {', '.join(both[:_MAX_LISTED])}{_more(both)}"
            )
    return "; ".join(problems) or None


def image_digests(samples: Samples) -> Digests:
    """Compute a digest of the pixels of each image; of files, at their own size.

    Args:
        samples: The samples.

    Returns:
        Hex digits, (n,).
    """
    images = samples.images
    if isinstance(images, FileImages):
        return images.rows["pixels"]
    digests = [
        hashlib.blake2b(image.data, digest_size=16).digest()
        for block in iter_blocks(images, default_batch_size(images.shape[1:]))
        for image in np.ascontiguousarray(block)
    ]
    return np.array([digest.hex() for digest in digests], "S32")


def find_shared_images(train: Samples, test: Samples) -> list[tuple[str, str]]:
    """Find images that are in both train and test.

    Args:
        train: Training samples.
        test: Test samples.

    Returns:
        Pairs of a train id and a test id.
    """
    first = {digest: row for row, digest in reversed(list(enumerate(image_digests(train).tolist())))}
    pairs = [(first[digest], row) for row, digest in enumerate(image_digests(test).tolist()) if digest in first]
    return [(str(train.ids[a]), str(test.ids[b])) for a, b in sorted(pairs)]


def _find_contradictions(samples: Samples) -> list[tuple[str, str]]:
    digests = image_digests(samples)
    order = np.argsort(digests, kind="stable")
    same = digests[order][1:] == digests[order][:-1]
    pairs = [(order[i], order[i + 1]) for i in np.flatnonzero(same)]
    return [(str(samples.ids[a]), str(samples.ids[b])) for a, b in pairs if samples.labels[a] != samples.labels[b]]


def _count(pairs: list[tuple[str, str]], word: str) -> str:
    return f"1 {word} is" if len(pairs) == 1 else f"{len(pairs):,} {word}s are"


def format_pairs(pairs: list[tuple[str, str]]) -> str:
    """Format the first pairs of equal images for a message.

    Args:
        pairs: Pairs of ids.

    Returns:
        Text such as "a = b, c = d and 5 more".
    """
    return ", ".join(f"{a} = {b}" for a, b in pairs[:_MAX_LISTED]) + _more(pairs)


def _more(items: list[tuple[str, str]] | list[str]) -> str:
    return f" and {len(items) - _MAX_LISTED} more" if len(items) > _MAX_LISTED else ""
