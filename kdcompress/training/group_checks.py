"""Checks that workers can train one model together, and the errors of those that are left when one is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from kdcompress.errors import TrainingError
from kdcompress.training.feed import Feed
from kdcompress.training.group import Group

_MAX_PROBED = 8  # samples of each half
_TOLERANCE = 1e-3  # relative, far above rounding and far below what a batch makes of other samples


def check_same_start(group: Group, key: str, epoch: int) -> None:
    """Check that all workers begin with the same data, targets, weights and checkpoint.

    Args:
        group: The workers.
        key: Digest of everything that the training depends on.
        epoch: Number of epochs in the checkpoint.

    Raises:
        TrainingError: They differ.
    """
    starts = [text.decode().split() for text in group.gather(f"{key} {epoch}".encode())]
    for rank, (other_key, other_epoch) in enumerate(starts):
        if other_key != starts[0][0]:
            raise TrainingError(
                f"training worker {rank} has other data, targets or initial weights than worker 0; give all nodes the "
                "same files and the same versions of packages"
            )
        if other_epoch != starts[0][1]:
            raise TrainingError(
                f"training worker {rank} finds {other_epoch} epochs in the checkpoint and worker 0 {starts[0][1]}; "
                "put the run into a folder that all nodes share"
            )


def check_losses_divide(supervised: Any, feed: Feed, name: str) -> None:
    """Check that the loss of a batch is the mean over its parts, as it is unless samples are compared with each other.

    Args:
        supervised: The compiled Keras model.
        feed: Training data.
        name: Name of the training.

    Raises:
        TrainingError: It is not, so that workers with a part each cannot compute it.
    """
    count = 2 * min(_MAX_PROBED, feed.share)
    if feed.world == 1 or count > feed.batch:
        return
    inputs, *truth = feed.probe(count)
    outputs = supervised(inputs, training=False)

    def loss(rows: slice) -> float:
        parts = [{key: value[rows] for key, value in part.items()} for part in (*truth, outputs)]
        y, weights, predicted = parts[0], parts[1] if len(parts) == 3 else None, parts[-1]
        return float(supervised.compute_loss(inputs[rows], y, predicted, weights, training=False))

    half = count // 2
    whole, halves = loss(slice(0, count)), (loss(slice(0, half)) + loss(slice(half, count))) / 2
    supervised.reset_metrics()
    if not np.isclose(whole, halves, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True):
        raise TrainingError(
            f"the loss of the {name} depends on the batch as a whole ({whole:.4g} for {count} images, {halves:.4g} as "
            "the mean over its halves), so it cannot be divided among workers; leave cluster.train_workers out"
        )


@contextmanager
def naming_lost_worker(group: Group) -> Iterator[None]:
    """Context manager that raises the error of an exchange in place of that of the TensorFlow step that it failed.

    Args:
        group: The workers.

    Raises:
        WorkerLostError: A worker is gone.
    """
    try:
        yield
    except Exception as exc:
        if group.failure is not None and exc is not group.failure:
            raise group.failure from exc
        raise
