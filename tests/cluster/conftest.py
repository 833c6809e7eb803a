"""A real cluster of Ray on loopback: a head without cores, and nodes of one core each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from kdcompress.cluster import _session
from kdcompress.threads import available_cores

# Before Ray is imported by anybody: otherwise it listens on the address of the host
os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

LOOPBACK = "127.0.0.1"
_NODE = {"object_store_memory": 100 << 20, "node_ip_address": LOOPBACK, "include_dashboard": False}


class RealCluster:
    """Nodes that a test may add and remove.

    Args:
        count: Number of nodes.
        cores: Cores of each, as far as Ray knows.
    """

    def __init__(self, count: int = 2, cores: int = 1) -> None:
        from ray.cluster_utils import Cluster

        self.cluster, self._cores = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **_NODE}), cores
        self.nodes = [self.add() for _ in range(count)]

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self) -> Any:
        with pytest.MonkeyPatch.context() as patch:  # so that workers find the modules of tests
            patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
            return self.cluster.add_node(num_cpus=self._cores, num_gpus=1, **_NODE)

    def remove(self) -> None:
        """Let a node die, as a machine does whose power fails."""
        self.cluster.remove_node(self.nodes.pop(), allow_graceful=False)

    def restore(self) -> None:
        """Bring the number of nodes back to two."""
        while len(self.nodes) < 2:
            self.nodes.append(self.add())
        self.cluster.wait_for_nodes()


@pytest.fixture(scope="session")
def _cluster() -> Iterator[RealCluster]:
    pytest.importorskip("ray", reason="Ray is not installed: pip install kdcompress[cluster]")
    cluster = RealCluster()
    yield cluster
    cluster.cluster.shutdown()


@pytest.fixture
def whole_node(monkeypatch: pytest.MonkeyPatch) -> Iterator[RealCluster]:
    """A cluster of one node, whose worker has as many threads as this process.

    Where TensorFlow takes no kernels of oneDNN, the last bits of a dense layer depend on their number.
    """
    pytest.importorskip("ray", reason="Ray is not installed: pip install kdcompress[cluster]")
    monkeypatch.setattr(_session, "_CORES_PER_WORKER", available_cores())
    cluster = RealCluster(count=1, cores=available_cores())
    yield cluster
    cluster.cluster.shutdown()


@pytest.fixture
def real_cluster(_cluster: RealCluster) -> RealCluster:
    """A cluster of two nodes."""
    _cluster.restore()
    return _cluster
