"""Work on several machines, or in several processes of this one: the only room that knows Ray."""

from __future__ import annotations

from kdcompress.cluster._labelling import ClusterWorkers, workers_of
from kdcompress.cluster._nodes import Node
from kdcompress.cluster._session import Cluster, open_cluster
from kdcompress.cluster._tasks import run_tasks

__all__ = ["Cluster", "ClusterWorkers", "Node", "open_cluster", "run_tasks", "workers_of"]
