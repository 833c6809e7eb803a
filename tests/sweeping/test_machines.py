"""One sweep on several machines that share a database and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import other_models
import pytest
from postgresql import PASSWORD, Server

import kdcompress
from kdcompress.errors import RunError

pytestmark = pytest.mark.slow

TINY = {"student.model": "tiny_models:student", "data.source": "embedded", "training.batch_size": 50}
OPTIONS: dict[str, Any] = {"temperatures": [1, 4], "seeds": 2, "epochs": 1, "limit": 300}


@pytest.fixture(scope="module")
def teacher(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained teacher, a copy of which each machine has."""
    path = tmp_path_factory.mktemp("teacher") / "t.keras"
    other_models.with_scaling(network).save(path)
    return path


def machine(folder: Path, number: int, url: str, teacher: Path) -> subprocess.Popen[str]:
    """A task of a Slurm array, as a plain process with a folder and a cache of its own."""
    place = folder / f"node-{number}"
    place.mkdir()
    settings = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    command = [
        sys.executable, "-m", "kdcompress", "sweep", "mnist-demo", "--teacher", str(teacher), "-T", "1,4",
        "--seeds", "2", "--epochs", "1", "--limit", "300", "--storage", url, "--out", "sweep", "--json", *settings,
    ]  # fmt: skip
    slurm = {
        "SLURM_JOB_ID": "77", "SLURM_ARRAY_JOB_ID": "77", "SLURM_ARRAY_TASK_ID": str(number), "SLURM_NTASKS": "1",
        "SLURM_NODEID": "0", "SLURMD_NODENAME": f"node-{number}",
    }  # fmt: skip
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "KDCOMPRESS_CACHE_DIR": str(place / "cache")}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env={**os.environ, **paths, **slurm}, cwd=place, stdout=pipe, stderr=pipe, text=True
    )


def table(result: dict[str, Any]) -> dict[str, Any]:
    """Everything in a result that is not a machine's own."""
    keys = ("method", "temperature", "alpha", "seed", "val", "val_loss", "best_epoch", "reason", "test")
    rows = sorted(tuple(map(str, (row[key] for key in keys))) for row in result["trials"])
    return {"trials": rows, **{key: result[key] for key in ("best", "gain", "teacher", "student", "baseline")}}


def test_a_slurm_array_ends_as_one_process_does_though_a_node_dies(
    postgresql: Server, teacher: Path, tmp_path: Path
) -> None:
    url = postgresql.create("array")
    first = machine(tmp_path, 1, url, teacher)
    assert first.stderr is not None
    lines = []
    for line in first.stderr:
        lines.append(line)
        if ", seed" in line:
            break
    first.send_signal(signal.SIGKILL)
    first.wait()
    others = [machine(tmp_path, number, url, teacher) for number in (2, 3)]
    ends = [other.communicate(timeout=400) for other in others]
    assert [other.returncode for other in others] == [0, 0], ends
    trained = [line.split(":")[0] for _, err in ends for line in err.splitlines() if ", seed" in line]
    begun = [line.split(":")[0] for line in lines if ", seed" in line]  # told before the database has it
    assert len(trained) == len(set(trained))
    assert len({*trained, *begun}) == 4
    results = [json.loads(out) for out, _ in ends]
    alone = kdcompress.sweep("mnist-demo", teacher=teacher, out=tmp_path / "alone", settings=TINY, **OPTIONS)
    assert table(results[0]) == table(results[1]) == table(alone)
    told = "".join(out + err for out, err in ends) + "".join(lines)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (PASSWORD, "se%7Bcr"):
        assert secret not in told
        assert secret.encode() not in written
    # Any machine has the result, the machine that died, too
    late = kdcompress.sweep(
        "mnist-demo", teacher=teacher, out=tmp_path / "node-1" / "sweep", settings=TINY, storage=url, **OPTIONS
    )
    assert table(late) == table(alone)
    assert Path(kdcompress.report(tmp_path / "node-1" / "sweep")["report"]).is_file()


def test_a_machine_with_another_teacher_is_refused(
    postgresql: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines seldom make the same teacher to the last bit."""
    (tmp_path / "drifting.py").write_text(
        "import os, keras, tiny_models\n"
        "def teacher():\n"
        "    keras.utils.set_random_seed(int(os.environ['MACHINE']))\n"
        "    return tiny_models.teacher()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    choices: dict[str, Any] = {"storage": postgresql.create("teachers"), "epochs": 1, "limit": 300, "seeds": 1}
    choices |= {"settings": {**TINY, "teacher.model": "drifting:teacher", "teacher.check": False}}
    monkeypatch.setenv("MACHINE", "1")
    kdcompress.sweep("mnist-demo", out=tmp_path / "1", **choices)
    kdcompress.sweep("mnist-demo", out=tmp_path / "again", **choices)
    monkeypatch.setenv("MACHINE", "2")
    with pytest.raises(RunError, match=r"the teacher here is not that of the other machines .* --teacher FILE"):
        kdcompress.sweep("mnist-demo", out=tmp_path / "2", **choices)
