"""The workers that train one model together: each computes its slice of every batch, all keep the same weights."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import TrainingError

Vector = NDArray[np.float32]


class WorkerLostError(TrainingError):
    """A worker of a group is gone; the others can go on from the last checkpoint."""


class Group(ABC):
    """One worker's view of the workers that train a model together. All call the same methods in the same order.

    Attributes:
        rank: Number of this worker, from 0; worker 0 validates and writes.
        world: Number of workers.
        failure: Why an exchange failed, where it failed within a step of TensorFlow.
    """

    rank: int
    world: int
    failure: WorkerLostError | None = None

    @property
    def leads(self) -> bool:
        """Whether this worker validates, writes checkpoints and reports."""
        return self.rank == 0

    @abstractmethod
    def gather(self, data: bytes) -> list[bytes]:
        """Gather data of all workers.

        Args:
            data: Data of this worker.

        Returns:
            The data of each worker, by rank.

        Raises:
            WorkerLostError: Another worker is gone.
        """

    @abstractmethod
    def sum(self, vector: Vector) -> Vector:
        """Add vectors of all workers.

        Args:
            vector: Values (n,) of this worker, the same n for all.

        Returns:
            The sum (n,), with the same bits for all.

        Raises:
            WorkerLostError: Another worker is gone.
        """

    def from_leader(self, data: bytes) -> bytes:
        """Return the data of worker 0.

        Args:
            data: Data of this worker, which are ignored unless it is worker 0.
        """
        return self.gather(data if self.leads else b"")[0]


class Alone(Group):
    """One process that trains by itself."""

    rank, world = 0, 1

    def gather(self, data: bytes) -> list[bytes]:
        """Return the data."""
        return [data]

    def sum(self, vector: Vector) -> Vector:
        """Return the vector."""
        return vector


ALONE = Alone()
