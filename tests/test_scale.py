"""The plan beyond one machine is arithmetic: worked by hand for round figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "scale.py"
# Workers at 0.8 of one process's rate, 2 ms a shard, 100 bytes of the driver an image; sums at 100 MB/s, 1 ms at least
CLUSTER = {
    "labelling": {"ratio": 0.8, "images_per_s_and_core": 50.0},
    "memory": [{"images": 50_000, "rss_anon_mb": 100.0}, {"images": 150_000, "rss_anon_mb": 110.0}],
    "kills": {"shard_overhead_ms": 2.0},
}
REDUCE = {
    "sizes": [{"sent_bytes_per_second": 5e7}, {"sent_bytes_per_second": 1e8}],
    "batch_norm": {"p50_ms": 1.0},
}


def plan(folder: Path, *options: str) -> dict[str, Any]:
    files = [folder / "cluster.json", folder / "all_reduce.json"]
    for path, document in zip(files, (CLUSTER, REDUCE), strict=True):
        path.write_text(json.dumps(document))
    given = ["--job", "web", "--train-rate", "100", "--rate", "10", "--disk-mb", "100", "--price", "0.1", *options]
    done = subprocess.run([sys.executable, SCRIPT, *files, *given], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_a_billion_images_on_eight_machines(tmp_path: Path) -> None:
    found = plan(tmp_path, "--nodes", "8", "--cores", "32", "--memory-gb", "50", "--rows", "2000")
    labelled = found["labelling"]
    # 1e9 / (10 * 0.8 * 256) = 488,281 s; 4,000 bytes each
    assert labelled["computing_hours"] == pytest.approx(488_281.25 / 3600, abs=0.01)
    assert labelled["target_bytes"] == 4_000_000_000_000
    # 500,000 shards at 2 ms, and 4 TB at 100 MB/s
    assert labelled["shards"] == 500_000
    assert labelled["driver_hours"] == pytest.approx((1000 + 40_000) / 3600, abs=0.01)
    assert labelled["hours"] == labelled["computing_hours"]
    assert labelled["money"] == pytest.approx(488_281.25 / 3600 * 256 * 0.1, rel=1e-3)
    trained = found["training"]
    # Batches of 8,192: 3 * 122,070 steps of 8192 / 25,600 s, and 2 * 7 ms + 2 * 7 / 8 * 14 MB / 100 MB/s for the sum
    assert trained["steps"] == 366_210
    assert trained["step_ms"] == 320.0
    assert trained["sum_ms"] == pytest.approx(14 + 245, abs=0.01)
    assert trained["hours"] == pytest.approx(366_210 * 0.579 / 3600, rel=1e-3)
    # 1e9 images of 100 bytes are 100 GB, in 50 GB
    assert found["first_to_give_way"][0] == {"part": "memory of the driver: the list of the images", "share": 2.0}


def test_a_job_of_one_machine_has_no_sums_over_a_network(tmp_path: Path) -> None:
    found = plan(tmp_path, "--nodes", "1", "--cores", "2", "--images", "1000000")
    assert found["training"]["sum_ms"] == 0
    assert found["job"]["images"] == 1_000_000
    assert found["labelling"]["computing_hours"] == pytest.approx(1e6 / 16 / 3600, abs=0.01)


def test_without_a_rate_that_of_the_benchmark_is_taken(tmp_path: Path) -> None:
    for name, document in (("cluster", CLUSTER), ("all_reduce", REDUCE)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    files = [tmp_path / "cluster.json", tmp_path / "all_reduce.json"]
    done = subprocess.run([sys.executable, SCRIPT, *files, "--train-rate", "1"], capture_output=True, check=True)
    assert json.loads(done.stdout)["measured"]["rate"] == 50.0
