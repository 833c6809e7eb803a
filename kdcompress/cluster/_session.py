"""A cluster from start to end: Ray is started or joined, its machines are checked, and it is left again."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.cluster import _engine
from kdcompress.cluster._nodes import Node, check_nodes, living_nodes, probing
from kdcompress.config.cluster import LOCAL_CLUSTER, ClusterSection
from kdcompress.errors import ClusterError
from kdcompress.formatting import plural
from kdcompress.progress import Progress

_CORES_PER_WORKER = 4


@dataclass(frozen=True)
class Cluster:
    """A cluster that this process has started or joined.

    Attributes:
        ray: The module.
        section: Settings of the recipe.
        nodes: The machines that give cores to workers, all checked.
        folders: Folders that all machines see.
        workers: Number of workers.
        threads: Number of threads of each worker, the same on all machines.
    """

    ray: Any
    section: ClusterSection
    nodes: tuple[Node, ...]
    folders: tuple[Path, ...]
    workers: int
    threads: int

    @property
    def resources(self) -> dict[str, float]:
        """What Ray reserves for a worker: options of `ray.remote`."""
        return {"num_cpus": self.threads, "num_gpus": self.section.gpus_per_worker}


@contextlib.contextmanager
def open_cluster(section: ClusterSection, folders: Sequence[Path], progress: Progress) -> Iterator[Cluster]:
    """Context manager that starts Ray on this machine or joins a running cluster, and checks its machines.

    Whoever asks for a cluster consents to Ray's messages, which are pickles, between its machines.

    Args:
        section: Settings of the recipe, whose address is not none.
        folders: Folders that all machines must see and write to.
        progress: Receives a note.

    Yields:
        The cluster. At the end, what was started here ends; a joined cluster goes on without this process.

    Raises:
        MissingExtraError: Ray is not installed.
        ClusterError: It does not start or answer, or a machine lacks something.
    """
    is_local = section.address == LOCAL_CLUSTER
    ray = _engine.import_ray(on_loopback=is_local)
    if ray.is_initialized():
        raise ClusterError("this process uses Ray already, and kdcompress leaves that alone: call ray.shutdown() first")
    with _own_signals():
        if is_local:
            _engine.start(ray, max(section.workers or 1, section.train_workers))
        else:
            _engine.join(ray, section.address)
    try:
        with probing(folders) as probe:
            nodes = check_nodes(ray, living_nodes(ray), probe)
        if not nodes:
            raise ClusterError(f"the cluster at {section.address} has no node that gives a core to workers")
        cluster = Cluster(ray, section, nodes, tuple(folders), *_share(section, nodes))
        progress.note(_describe(cluster))
        yield cluster
    finally:
        _engine.leave(ray)


def _share(section: ClusterSection, nodes: Sequence[Node]) -> tuple[int, int]:
    """The number of workers, and that of the threads of each."""
    smallest, gpus = min(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    if section.gpus_per_worker and gpus < section.gpus_per_worker:
        raise ClusterError(
            f"cluster.gpus_per_worker is {section.gpus_per_worker:g}, and the nodes have {gpus} GPUs; leave it out"
        )
    if section.workers:
        cores = sum(node.cpus for node in nodes)
        return section.workers, max(1, min(smallest, cores // section.workers))
    if section.gpus_per_worker:
        workers = int(gpus / section.gpus_per_worker)
        return workers, max(1, min(smallest, sum(node.cpus for node in nodes) // workers))
    threads = min(smallest, _CORES_PER_WORKER)
    return sum(node.cpus // threads for node in nodes), threads


def _describe(cluster: Cluster) -> str:
    nodes, section = cluster.nodes, cluster.section
    cores, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    there = f"{section.address}, {plural(len(nodes), 'node')}"
    place = "this machine alone" if section.address == LOCAL_CLUSTER else there
    unused = "; cluster.gpus_per_worker = 1 would use the GPUs" if gpus and not section.gpus_per_worker else ""
    return (
        f"cluster: Ray {cluster.ray.__version__} on {place}, {plural(cores, 'core')}{f', {gpus} GPUs' * bool(gpus)}: "
        f"{plural(cluster.workers, 'worker')} of {plural(cluster.threads, 'thread')}{unused}"
    )


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Context manager that keeps this process's handling of SIGTERM, which `ray.init` replaces."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)
