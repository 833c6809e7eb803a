"""The `cluster` section of a recipe."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from kdcompress.config.settings import Section
from kdcompress.errors import RecipeError

NO_CLUSTER = "none"
LOCAL_CLUSTER = "auto"
_MAX_WORKERS = 10_000
_MAX_GPUS = 64
_MAX_SILENCE_S = 7 * 86_400.0
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})")


def _check_address(value: str) -> str:
    if value in (NO_CLUSTER, LOCAL_CLUSTER):
        return value
    match = _ADDRESS.fullmatch(value)
    if match is None or not 0 < int(match[2]) < 2**16:
        raise ValueError("must be none, auto, or HOST:PORT of a running cluster, as `ray start --head` prints it")
    return value


class ClusterSection(Section):
    """Work on several machines, or in several processes of this one, through Ray.

    Nothing here influences a result, but for the rounding of sums where several workers train.

    Attributes:
        address: none, auto (Ray is started on this machine), or HOST:PORT of a running cluster.
        workers: Number of processes that label and run the trials of a sweep; by default one for each GPU with
            `gpus_per_worker`, otherwise one for every four cores.
        train_workers: Number of processes that train student and baseline together, each on its part of every batch;
            `training.batch_size` is that of all together, and must divide by it. Without a cluster, the number of GPUs
            of this machine that one process trains on.
        gpus_per_worker: GPUs of each worker, which may be a fraction.
        silence_s: Seconds without a sign of life after which a worker counts as hung, and is replaced. Where workers
            are slow, it grows to ten times the longest silence that ended.
    """

    address: Annotated[str, AfterValidator(_check_address)] = NO_CLUSTER
    workers: int | None = Field(None, ge=1, le=_MAX_WORKERS)
    train_workers: int = Field(1, ge=1, le=_MAX_WORKERS)
    gpus_per_worker: float = Field(0.0, ge=0, le=_MAX_GPUS)
    silence_s: float = Field(600.0, ge=5, le=_MAX_SILENCE_S)

    @property
    def is_used(self) -> bool:
        """Whether there is a cluster."""
        return self.address != NO_CLUSTER


def check_divisible(batch: int, workers: int, key: str = "training") -> None:
    """Check that every worker gets the same number of samples of each batch.

    Args:
        batch: Number of samples in a batch, of all workers together.
        workers: Number of workers.
        key: Dotted key of the training in the recipe, for messages.

    Raises:
        RecipeError: The batch does not divide.
    """
    if batch % workers == 0:
        return
    below = batch // workers * workers
    sizes = f"{below} or {below + workers}" if below else str(workers)
    raise RecipeError(
        f"{key}.batch_size must be a multiple of cluster.train_workers = {workers}, so that each worker gets the same "
        f"share of a batch, got {batch}; take {sizes}, or another number of workers"
    )
