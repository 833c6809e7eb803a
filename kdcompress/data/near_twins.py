"""Images of test that are in train at another size or compression, by perceptual hashes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.duplicates import format_pairs
from kdcompress.data.samples import Samples
from kdcompress.data.stores import FileImages

# Of 256 bits: hashes of a photograph saved again (as JPEG of quality 75, or scaled) differ in up to 12 for 95 %,
# those of different photographs in 70 or more, of different MNIST digits in 20 or more
_MAX_DISTANCE = 16
_BAND = np.dtype("<u2")  # of 16 bits: hashes are compared if they agree in one of 16 bands
_MIN_BITS = 64  # of 256; an image without structure has fewer, and resembles every other one
_MAX_PAIRS = 1 << 22  # comparisons per band; of larger ones, the most frequent values are left out
_BLOCK = 1 << 20  # pairs that are compared at once

Hashes = NDArray[np.uint64]
Index = NDArray[np.int64]


def near_twins_note(train: Samples, test: Samples) -> str | None:
    """Describe the images of test that look like one in train, but differ in their pixels.

    Args:
        train: Training samples.
        test: Test samples.

    Returns:
        A note, or None if there are none, or the images are not files.
    """
    if not (isinstance(train.images, FileImages) and isinstance(test.images, FileImages)):
        return None
    new = np.flatnonzero(~np.isin(test.images.rows["pixels"], train.images.rows["pixels"]))
    nearest = find_near_twins(_unpack(train.images.rows["look"]), _unpack(test.images.rows["look"][new]))
    rows = np.flatnonzero(nearest >= 0)
    if not len(rows):
        return None
    pairs = [(str(train.ids[nearest[row]]), str(test.ids[new[row]])) for row in rows]
    verb = "images of test look" if len(pairs) > 1 else "image of test looks"
    return (
        f"{len(pairs):,} {verb} like an image of train at another size or compression: {format_pairs(pairs)}: look at "
        "them, figures on test may be too good"
    )


def find_near_twins(train: Hashes, test: Hashes) -> Index:
    """Find hashes that differ in few bits, without comparing all with all.

    Args:
        train: Hashes of 256 bits, (n, 4).
        test: Hashes of 256 bits, (m, 4).

    Returns:
        For each row of `test` that of the nearest hash in `train`, or -1, (m,).
    """
    train, first_rows = np.unique(train, axis=0, return_index=True)
    test, inverse = np.unique(test, axis=0, return_inverse=True)
    nearest = _search(train, test)
    return np.where(nearest >= 0, first_rows[nearest], -1)[inverse.ravel()]


def _search(train: Hashes, test: Hashes) -> Index:
    """Return for each row of `test` that of the nearest one in `train`, or -1; neither has two equal rows."""
    nearest = np.full(len(test), -1, np.int64)
    least = np.full(len(test), _MAX_DISTANCE + 1, np.int64)
    rows, queries = np.flatnonzero(_has_structure(train)), np.flatnonzero(_has_structure(test))
    for band in range(256 // (8 * _BAND.itemsize)):
        keys, sought = train[rows].view(_BAND)[:, band], test[queries].view(_BAND)[:, band]
        order = np.argsort(keys, kind="stable")
        begins, ends = (np.searchsorted(keys[order], sought, side) for side in ("left", "right"))
        counts = _limit(ends - begins)
        for chosen in _blocks(counts):
            repeated = np.repeat(chosen, counts[chosen])
            offsets = np.arange(len(repeated)) - np.repeat(np.cumsum(counts[chosen]) - counts[chosen], counts[chosen])
            first, second = rows[order[begins[repeated] + offsets]], queries[repeated]
            distances = np.bitwise_count(train[first] ^ test[second]).sum(axis=1, dtype=np.int64)
            _keep_nearest(nearest, least, first, second, distances)
    return nearest


def _keep_nearest(nearest: Index, least: Index, first: Index, second: Index, distances: Index) -> None:
    close = np.flatnonzero(distances < least[second])
    close = close[np.lexsort((first[close], distances[close]))[::-1]]  # of several, the last assignment counts
    nearest[second[close]], least[second[close]] = first[close], distances[close]


def _limit(counts: Index) -> Index:
    """Set the largest counts to 0, so that their sum stays within the limit."""
    order = np.argsort(counts, kind="stable")
    counts[order[np.cumsum(counts[order]) > _MAX_PAIRS]] = 0
    return counts


def _blocks(counts: Index) -> list[Index]:
    """Divide the rows with pairs into blocks of about equally many pairs."""
    rows = np.flatnonzero(counts)
    if not len(rows):
        return []
    blocks = np.cumsum(counts[rows]) // _BLOCK
    return np.split(rows, np.flatnonzero(np.diff(blocks)) + 1)


def _has_structure(hashes: Hashes) -> NDArray[np.bool_]:
    bits: Index = np.bitwise_count(hashes).sum(axis=1, dtype=np.int64)
    return bits >= _MIN_BITS


def _unpack(texts: NDArray[np.bytes_]) -> Hashes:
    """Return hashes in hex as numbers, (n, 4)."""
    numbers = bytearray.fromhex(b"".join(texts.tolist()).decode())
    return np.ndarray((len(texts), 4), np.uint64, numbers)
