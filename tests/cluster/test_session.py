"""Starting, joining and leaving: one line with the remedy before anything is computed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from conftest import Recorder

import kdcompress
from kdcompress.cluster import Node, open_cluster
from kdcompress.cluster._nodes import Probe, check_answer
from kdcompress.cluster._session import _share
from kdcompress.config.cluster import ClusterSection
from kdcompress.config.recipe import resolve
from kdcompress.errors import ClusterError, RecipeError, UsageError
from kdcompress.progress import Progress

HERE = Probe({"kdcompress": "0.2.0", "python": "3.11.7"}, {"/shared/probe": "abc"})


def test_a_node_of_the_same_versions_that_sees_the_folder_is_taken() -> None:
    check_answer("10.0.0.7", HERE, dict(HERE.versions), dict(HERE.files))


@pytest.mark.parametrize(
    ("versions", "files", "message"),
    [
        ({"kdcompress": "0.1.0"}, {}, "node 10.0.0.7 has kdcompress 0.1.0, this process has 0.2.0: .* pip install"),
        ({"kdcompress": None}, {}, "node 10.0.0.7 lacks kdcompress, this process has 0.2.0: "),
        ({"python": "3.12.1"}, {}, "node 10.0.0.7 has python 3.12.1, .*: give all nodes the same Python"),
        ({}, {"/shared/probe": None}, "node 10.0.0.7 does not see /shared, .*KDCOMPRESS_CACHE_DIR"),
        ({}, {"/shared/probe": "another folder of that name"}, "node 10.0.0.7 does not see /shared, "),
    ],
)
def test_a_node_that_lacks_something_is_named_with_the_remedy(
    versions: dict[str, str | None], files: dict[str, str | None], message: str
) -> None:
    with pytest.raises(ClusterError, match=message) as caught:
        check_answer("10.0.0.7", HERE, {**HERE.versions, **versions}, {**HERE.files, **files})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cpus", "gpus", "settings", "expected"),
    [
        ([8, 8], [0, 0], {}, (4, 4)),  # one for every four cores
        ([2], [0], {}, (1, 2)),
        ([2], [0], {"workers": 2}, (2, 1)),
        ([1, 1], [0, 0], {"workers": 5}, (5, 1)),  # those for whom there is no core wait for one
        ([16, 16], [4, 4], {"gpus_per_worker": 1}, (8, 4)),
        ([16], [2], {"gpus_per_worker": 0.5}, (4, 4)),
        ([6, 3], [0, 0], {}, (3, 3)),  # the same number of threads everywhere
    ],
)
def test_cores_are_shared_out(
    cpus: list[int], gpus: list[int], settings: dict[str, Any], expected: tuple[int, int]
) -> None:
    nodes = [Node(str(number), "10.0.0.7", *pair) for number, pair in enumerate(zip(cpus, gpus, strict=True))]
    assert _share(ClusterSection(address="auto", **settings), nodes) == expected


def test_gpus_that_are_not_there_are_told() -> None:
    with pytest.raises(ClusterError, match="gpus_per_worker is 1, and the nodes have 0 GPUs"):
        _share(ClusterSection(address="auto", gpus_per_worker=1), [Node("a", "10.0.0.7", 4, 0)])


@pytest.mark.parametrize("address", ["auto", "none", "127.0.0.1:6379", "head-node.example:1", "[::1]:6379"])
def test_addresses(address: str) -> None:
    assert ClusterSection(address=address).is_used == (address != "none")


@pytest.mark.parametrize("address", ["", "ray://host:10001", "host", "host:0", "host:65536", "a b:1", "host:6379\n"])
def test_what_is_no_address_is_refused(address: str) -> None:
    recipe = {
        "name": "x",
        "data": {"name": "mnist"},
        "teacher": {"model": "mnist_cnn"},
        "student": {"model": "tiny_cnn"},
    }
    with pytest.raises(RecipeError, match=r"cluster\.address must be none, auto, or HOST:PORT"):
        resolve({**recipe, "cluster": {"address": address}})


def test_a_cluster_changes_no_digest_and_no_toml_of_other_recipes() -> None:
    plain, shared = resolve("mnist"), resolve("mnist", {"cluster.address": "auto", "cluster.workers": 8})
    assert plain.digest == shared.digest
    assert "cluster" not in plain.to_toml()
    assert resolve("mnist", {"cluster.address": "auto", "cluster.train_workers": 2}).digest == plain.digest


def test_workers_without_a_cluster_are_refused() -> None:
    with pytest.raises(UsageError, match="workers are those of a cluster, and none is named, got 2; --cluster auto"):
        kdcompress.distill("mnist", workers=2)


def test_an_address_that_nobody_answers(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install kdcompress[cluster]")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    with (
        pytest.raises(ClusterError, match=f"no cluster answers at {address} within 5 s .*`ray start --head`"),
        open_cluster(ClusterSection(address=address), [tmp_path], Progress()),
    ):
        pass


def test_a_folder_that_workers_may_not_see_is_probed_and_left_empty(real_cluster: Any, tmp_path: Path) -> None:
    recorder = Recorder()
    with open_cluster(ClusterSection(address=real_cluster.address), [tmp_path / "shared"], recorder) as cluster:
        assert (len(cluster.nodes), cluster.workers, cluster.threads) == (2, 2, 1)
    assert not list((tmp_path / "shared").iterdir())
    assert (
        f"{real_cluster.address}, 2 nodes, 2 cores, 2 GPUs: 2 workers of 1 thread; cluster.gpus_per_worker = 1 would"
        in recorder.notes[0]
    )


WITHOUT_RAY = """
    import sys
    sys.modules["ray"] = None
    from pathlib import Path
    from kdcompress import missing
    from kdcompress.cluster import open_cluster
    from kdcompress.config.cluster import ClusterSection
    from kdcompress.errors import MissingExtraError
    from kdcompress.progress import Progress
    try:
        with open_cluster(ClusterSection(address="auto"), [], Progress()):
            pass
    except MissingExtraError as exc:
        print(exc)
"""

ON_LOOPBACK = """
    import sys
    from pathlib import Path
    import psutil
    from kdcompress.cluster import open_cluster
    from kdcompress.config.cluster import ClusterSection
    from kdcompress.progress import Progress
    assert "ray" not in sys.modules
    with open_cluster(ClusterSection(address="auto", workers=2), [Path(sys.argv[1])], Progress()) as cluster:
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        sockets = [one for process in processes for one in process.net_connections() if one.status == "LISTEN"]
        listening = {one.laddr.ip.removeprefix("::ffff:") for one in sockets}  # IPv4 on a socket of IPv6
        print(sorted(listening), cluster.workers, len(processes) > 3)
        others = processes[1:]
    gone, alive = psutil.wait_procs(others, timeout=20)
    print([process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE])
"""


def in_new_process(code: str, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ray_that_is_missing_is_named() -> None:
    assert in_new_process(WITHOUT_RAY).strip().endswith('pip install "kdcompress[cluster]"')


def test_auto_listens_on_loopback_alone_and_leaves_nothing_running(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install kdcompress[cluster]")
    assert in_new_process(ON_LOOPBACK, str(tmp_path)).splitlines()[-2:] == ["['127.0.0.1'] 2 True", "[]"]
