"""Workers of a sweep: processes of this machine, or of a cluster, each of which runs trials until none is left."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress import processes
from kdcompress.cache import cache_dir
from kdcompress.cluster import Cluster, ClusterWorkers, run_tasks, workers_of
from kdcompress.config.recipe import Recipe
from kdcompress.errors import ClusterError, RunError
from kdcompress.paths import safe_join
from kdcompress.progress import Progress
from kdcompress.sweeping._events import from_line
from kdcompress.sweeping._urls import is_server
from kdcompress.threads import available_cores

_WORKER = "kdcompress.sweeping._worker"
Job = dict[str, Any]  # `recipe`, `space`, `folder`, `storage` and `trust_code`, as JSON types


@dataclass(frozen=True)
class Crew:
    """Who works on a sweep.

    Attributes:
        cluster: The workers of a cluster, which also share the labelling; None without one.
        jobs: Number of processes of this machine.
    """

    cluster: ClusterWorkers | None
    jobs: int

    def run(self, job: Job, progress: Progress) -> None:
        """Have workers run trials until none is left, and wait for them; this process alone needs none.

        Args:
            job: What they work on.
            progress: Receives their events.
        """
        if self.cluster is not None:
            _on_cluster(job, self.cluster.cluster, progress)
        elif self.jobs > 1:
            _in_processes(job, self.jobs, progress)


@contextlib.contextmanager
def open_crew(recipe: Recipe, folder: Path, url: str, jobs: int, progress: Progress) -> Iterator[Crew]:
    """Context manager that opens the cluster that the recipe asks for.

    Args:
        recipe: Recipe of the sweep.
        folder: Folder of the sweep.
        url: URL of the storage.
        jobs: Number of processes of this machine.
        progress: Receives notes.

    Yields:
        Who works.

    Raises:
        ClusterError: The cluster cannot be used, or its machines do not reach the storage.
    """
    with workers_of(recipe, [cache_dir(), folder.resolve()], progress) as workers:
        if workers is not None:
            check_reach({node.address for node in workers.cluster.nodes}, url)
        yield Crew(workers, jobs)


def check_reach(machines: Collection[str], url: str) -> None:
    """Check that all machines of a cluster reach the storage.

    Args:
        machines: Their addresses.
        url: URL of the storage.

    Raises:
        ClusterError: Its lock is a file, which is only good on one machine.
    """
    if len(machines) > 1 and not is_server(url):
        raise ClusterError(
            f"the cluster has {len(machines)} machines, and the lock of the sweep's storage is a file, which holds on "
            "one; add --storage postgresql://USER@HOST/DATABASE"
        )


def _on_cluster(job: Job, cluster: Cluster, progress: Progress) -> None:
    """Run the trials in tasks of a cluster, and wait for them."""
    for _, text in run_tasks(cluster, f"{_WORKER}:run_task", cluster.workers * [job]):
        progress.emit(from_line(text))


def _in_processes(job: Job, jobs: int, progress: Progress) -> None:
    """Run the trials in processes that share the cores, and wait for them."""
    threads = str(max(1, available_cores() // jobs))
    environment = {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads}
    children: list[subprocess.Popen[bytes]] = []
    folder = Path(job["folder"])
    try:
        for number in range(1, jobs + 1):
            log_file = safe_join(folder, f"worker-{number}.log", str(folder), RunError)
            with log_file.open("ab") as log:
                children.append(
                    processes.start_module(
                        _WORKER, str(number), environment=environment, stdout=subprocess.PIPE, stderr=log
                    )
                )
            processes.send_job(children[-1], job)
        _forward_events(children, progress)
    finally:
        for child in children:
            child.terminate()
            child.wait()


def _forward_events(children: list[subprocess.Popen[bytes]], progress: Progress) -> None:
    """Forward the events of the processes until all have ended."""
    for line in processes.read_lines(children):
        progress.emit(from_line(line))
    for number, child in enumerate(children, start=1):
        if child.wait() != 0:
            progress.warn(f"worker {number} ended early (exit {child.returncode}); see worker-{number}.log")
