"""A sweep whose trials are tasks of a cluster: Ray, started on loopback by the command itself."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import other_models
import psutil
import pytest

import kdcompress
from kdcompress.errors import ClusterError, UsageError
from kdcompress.sweeping._workers import check_reach

pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
pytestmark = pytest.mark.slow

TINY = {"student.model": "tiny_models:student", "data.source": "embedded", "training.batch_size": 50}


def _workers_of(process: int) -> list[psutil.Process]:
    """The tasks of a driver, which name their processes."""
    found = []
    for child in psutil.Process(process).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.cmdline()[:1] == ["ray::call"]:
                found.append(child)
    return found


def _table(result: dict[str, Any]) -> dict[str, Any]:
    keys = ("method", "temperature", "alpha", "seed", "val", "val_loss", "best_epoch", "reason", "test")
    rows = sorted(tuple(map(str, (row[key] for key in keys))) for row in result["trials"])
    return {"trials": rows, **{key: result[key] for key in ("best", "gain", "teacher", "student", "baseline")}}


def test_a_killed_worker_is_replaced_and_nothing_is_done_twice(network: Any, tmp_path: Path) -> None:
    teacher = tmp_path / "t.keras"
    other_models.with_scaling(network).save(teacher)
    settings = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    command = [
        sys.executable, "-m", "kdcompress", "sweep", "mnist-demo", "--teacher", str(teacher), "-T", "1,4",
        "--seeds", "2", "--epochs", "1", "--limit", "300", "--out", str(tmp_path / "s"), "--json",
        "--cluster", "auto", "--workers", "2", *settings,
    ]  # fmt: skip
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    pipe = subprocess.PIPE
    driver = subprocess.Popen(command, env={**os.environ, **path}, stdout=pipe, stderr=pipe, text=True)
    assert driver.stderr is not None
    lines: list[str] = []
    for line in driver.stderr:
        lines.append(line)
        if ", seed" in line and (workers := _workers_of(driver.pid)):
            workers[0].kill()
            break
    out, err = driver.communicate(timeout=400)
    assert driver.returncode == 0, err
    err = "".join(lines) + err
    assert "another one takes its place" in err
    trained = [line.split(":")[0] for line in err.splitlines() if ", seed" in line]
    assert len(trained) <= 5  # the killed one may have told of a trial that the database did not have yet
    result = json.loads(out)
    alone = kdcompress.sweep(
        "mnist-demo", teacher=teacher, out=tmp_path / "alone", settings=TINY, temperatures=[1, 4], seeds=2, epochs=1,
        limit=300,
    )  # fmt: skip
    assert _table(result) == _table(alone)


def test_a_file_is_no_storage_for_a_cluster_of_machines(tmp_path: Path) -> None:
    check_reach({"10.0.0.1"}, f"sqlite:///{tmp_path}/study.db")
    check_reach({"10.0.0.1", "10.0.0.2"}, "postgresql://db/kd")
    with pytest.raises(ClusterError, match=r"the cluster has 2 machines, .* add --storage postgresql://"):
        check_reach({"10.0.0.1", "10.0.0.2"}, f"sqlite:///{tmp_path}/study.db")


def test_processes_and_a_cluster_are_two_ways(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--jobs are processes of this machine, .* got both \(2 jobs\)"):
        kdcompress.sweep("mnist-demo", cluster="auto", jobs=2, out=tmp_path / "s")
