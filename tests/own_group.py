"""Workers as threads of one process: rings of real sockets on loopback."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from kdcompress.training.ring import Ring, RingDoor

T = TypeVar("T")


def rings(world: int) -> list[Ring]:
    """Connected workers."""
    doors = [RingDoor("127.0.0.1", b"a secret of tests") for _ in range(world)]
    addresses = [door.address for door in doors]
    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(lambda rank: doors[rank].join(rank, addresses), range(world)))


def together(world: int, act: Callable[[Ring], T]) -> list[T]:
    """What each worker returns, by rank; the first error is raised, and ends the others."""

    def run(ring: Ring) -> T:
        try:
            return act(ring)
        finally:
            ring.close()

    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(run, rings(world), timeout=60))
