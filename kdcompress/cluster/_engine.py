"""Ray itself: how it is imported, started on this machine alone, joined and left."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from kdcompress.config.cluster import LOCAL_CLUSTER
from kdcompress.errors import ClusterError, one_line
from kdcompress.missing import naming_packages
from kdcompress.threads import available_cores

LOOPBACK = "127.0.0.1"
_ANSWER_S = 5.0  # seconds in which an address must accept a connection
_OBJECT_STORE_BYTES = 512 << 20  # of pixels in memory on their way to workers; everything else goes through files
# Read by Ray when it is imported and started: without the first it listens on the address of the host; without the
# second its workers yield to every other process of the machine
_LOCAL = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_worker_niceness": "0"}
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


def import_ray(on_loopback: bool = False) -> Any:
    """Import Ray.

    Args:
        on_loopback: Whether it will be started on this machine alone.

    Returns:
        The module.

    Raises:
        MissingExtraError: It is not installed.
    """
    for name, value in {**_QUIET, **(_LOCAL if on_loopback else {})}.items():
        os.environ.setdefault(name, value)
    with naming_packages("--cluster"):
        import ray

        return ray


def start(ray: Any, cpus: int) -> None:
    """Start Ray on this machine, where it listens on loopback only.

    Args:
        ray: The module.
        cpus: Number of workers' cores that it gives out.

    Raises:
        ClusterError: It does not start, or listens elsewhere.
    """
    _init(
        ray,
        "Ray does not start on this machine",
        address="local",
        num_cpus=max(cpus, available_cores()),
        object_store_memory=_OBJECT_STORE_BYTES,
        include_dashboard=False,
        _node_ip_address=LOOPBACK,
    )
    addresses = {node["NodeManagerAddress"] for node in ray.nodes()}
    if addresses != {LOOPBACK}:
        ray.shutdown()
        raise ClusterError(
            f"Ray listens on {', '.join(sorted(addresses))} and not on loopback alone: it was imported before "
            "kdcompress could say so; set RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0, or start a cluster and name its address"
        )


def join(ray: Any, address: str) -> None:
    """Join a running cluster.

    Args:
        ray: The module.
        address: HOST:PORT.

    Raises:
        ClusterError: Nobody answers there, or it is no cluster that this process can join.
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S):
            pass
    except OSError as exc:
        raise ClusterError(
            f"no cluster answers at {address} within {_ANSWER_S:g} s ({one_line(exc, 80)}); `ray start --head` on its "
            f"first machine prints the address, --cluster {LOCAL_CLUSTER} needs none"
        ) from exc
    remedy = "; run it on a machine of the cluster (`ray start --address` makes it one), or by `ray job submit`"
    _init(ray, f"the cluster at {address} cannot be joined", remedy, address=address)


def leave(ray: Any) -> None:
    """End what this process started, or leave the cluster that it joined; never end anybody else's processes."""
    with contextlib.suppress(Exception):  # a cluster that died cannot be left in order
        ray.shutdown()


def _init(ray: Any, problem: str, remedy: str = "", **options: Any) -> None:
    try:
        ray.init(log_to_driver=False, configure_logging=False, namespace="kdcompress", **options)
    except Exception as exc:
        leave(ray)
        raise ClusterError(f"{problem} ({one_line(exc)}){remedy}") from exc
