"""Shards that are given to workers, come back in any order, and are passed on in theirs."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from kdcompress import errors
from kdcompress.cluster._crew import Crew
from kdcompress.cluster._session import Cluster
from kdcompress.cluster._tally import Tally
from kdcompress.cluster._watch import ASIDE
from kdcompress.cluster._worker import Job, LabelWorker, Problem, Ready
from kdcompress.data import LazyImages
from kdcompress.errors import ClusterError, KDCompressError
from kdcompress.teachers import Labelled, Labelling, Piece, Shard, cut, delete_shard, missing_pieces, read_shard

MAX_ROWS = 2048  # samples of a shard
_SHARDS_PER_WORKER = 16
_MAX_BYTES = 64 << 20  # of the targets of a shard, and of its pixels if they travel with it
_MAX_REREADS = 3


class ShardWork:
    """Gives out the shards that are missing, and merges them in order.

    Args:
        cluster: The cluster.
        labelling: Teacher, samples and views.
        job: What all workers need.
        shape: Shape (samples, views, ...) of the targets.
        begin: Number of samples whose targets are there.
    """

    def __init__(self, cluster: Cluster, labelling: Labelling, job: Job, shape: tuple[int, ...], begin: int) -> None:
        self._labelling, self._job, self._shape, self._begin = labelling, job, shape, begin
        pieces = missing_pieces(job.folder, begin, shape, labelling.batch, labelling.dtype)
        rows = _shard_rows(labelling, shape, cluster.workers)
        self._waiting = deque(shard for piece in pieces if not piece.digest for shard in cut(piece.shard, rows))
        self._done = {piece.shard.begin: piece for piece in pieces if piece.digest}
        self._rereads: dict[Shard, int] = {}
        workers = max(1, min(cluster.workers, len(self._waiting)))
        actor = cluster.ray.remote(concurrency_groups={ASIDE: 1})(LabelWorker)
        shared = cluster.ray.put(job)
        self._crew: Crew[Shard] = Crew(
            cluster,
            lambda options: actor.options(**options).remote(shared),
            workers,
            self._describe,
            lambda worker: worker.signs.options(concurrency_group=ASIDE).remote(),
        )
        self._tally = Tally(labelling.progress, len(self._waiting) + len(self._done))

    def run(self) -> Iterator[Labelled]:
        """Yield the targets of all samples from the first one that is missing."""
        position = self._begin
        while position < self._shape[0]:
            if (piece := self._done.pop(position, None)) is not None:
                if (rows := self._read(piece)) is None:
                    continue
                position = piece.shard.end
                figures = self._tally.count(len(rows), self._crew.n_ready, self._crew.deaths)
                yield Labelled(rows, figures)
                delete_shard(self._job.folder, piece)  # its rows are in the file by now
                continue
            self._hand_out()
            for outcome in self._crew.outcomes():
                self._take(outcome.task, outcome.value)

    def close(self) -> None:
        """End the workers."""
        self._crew.dismiss()

    def _hand_out(self) -> None:
        for actor in self._crew.free():
            if not self._waiting:
                return
            shard = self._waiting.popleft()
            samples = self._labelling.samples.take(np.arange(shard.begin, shard.end))
            self._crew.give(actor, shard, actor.label.remote(shard, samples))

    def _take(self, shard: Shard | None, value: Any) -> None:
        if isinstance(value, Problem):
            raise _error(value)
        if isinstance(value, Ready):
            self._tally.ready(value.exact)
        elif shard is not None and value is None:
            self._waiting.appendleft(shard)
        elif shard is not None:
            self._done[shard.begin] = Piece(shard, value.digest)

    def _read(self, piece: Piece) -> Any:
        """Read the targets of a shard; if its file is not there as the worker wrote it, it is labelled again."""
        rows = read_shard(self._job.folder, piece, self._shape[1:], self._labelling.dtype)
        if rows is None:
            self._rereads[piece.shard] = self._rereads.get(piece.shard, 0) + 1
            if self._rereads[piece.shard] > _MAX_REREADS:
                raise ClusterError(
                    f"{self._describe(piece.shard)} was labelled {_MAX_REREADS} times, and its file in "
                    f"{self._job.folder} was never as its worker wrote it; do all nodes share that folder?"
                )
            time.sleep(1.0)  # a network file system may show a file a moment later
            rows = read_shard(self._job.folder, piece, self._shape[1:], self._labelling.dtype)
        if rows is None:
            self._waiting.appendleft(piece.shard)
        return rows

    def _describe(self, shard: Shard) -> str:
        ids = self._labelling.samples.ids
        return f"the shard of samples {ids[shard.begin]} to {ids[shard.end - 1]}"


def _shard_rows(labelling: Labelling, shape: tuple[int, ...], workers: int) -> int:
    """Samples of a shard: enough to be worth a call, few enough that little is lost with a worker."""
    row_bytes, samples = 4 * math.prod(shape[1:]), labelling.samples
    if not isinstance(samples.images, LazyImages):
        row_bytes = max(row_bytes, math.prod(samples.images.shape[1:]))
    wanted = min(MAX_ROWS, _MAX_BYTES // row_bytes, shape[0] // (workers * _SHARDS_PER_WORKER))
    return max(1, wanted // labelling.batch) * labelling.batch


def _error(problem: Problem) -> KDCompressError:
    """Make the error that a worker met, as if it had been met here."""
    kind = getattr(errors, problem.kind, KDCompressError)
    is_own = isinstance(kind, type) and issubclass(kind, KDCompressError)
    return kind(problem.message) if is_own else KDCompressError(problem.message)
