"""Processes of our own: what lies in the current folder takes no package's place, and none outlives its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from kdcompress import processes
from kdcompress.leftovers import remove_leftovers, temporary_folder

SHADOWED = ("kdcompress", "numpy", "onnxruntime", "json", "runpy", "keras", "psutil", "PIL", "random", "struct")


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder full of modules that leave a mark when they are imported."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in SHADOWED:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'MARK')!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(folder)
    return tmp_path / "MARK"


def test_a_childs_modules_are_its_parents_whatever_lies_here(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarking.onnx_files import dense  # imported before the trap counts

    monkeypatch.setattr(sys, "path", ["", str(trap.parent / "here"), *sys.path])
    from kdcompress.benchmarking._fresh import measure_fresh

    path = dense(trap.parent / "m.onnx")
    found = measure_fresh("onnxruntime", path, 1, np.zeros((1, 8, 8, 1), np.float32))
    assert found["load_ms"] > 0
    assert not trap.exists()


def test_python_m_kdcompress_does_not_look_here(trap: Path) -> None:
    command = [sys.executable, "-m", "kdcompress", "list", "models"]
    for name in ("kdcompress.py", "runpy.py"):  # of these names Python itself would run what is here
        (Path.cwd() / name).unlink()
    environment = {**os.environ, "PYTHONPATH": str(Path(processes.__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert "mnist_cnn" in done.stdout
    assert not trap.exists() or trap.read_text() in ("runpy",)


def test_a_function_is_looked_for_here_and_what_is_imported_later_is_not(
    trap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kdcompress.models import load_from_function

    made = "import keras\ndef model():\n    return keras.Sequential([keras.layers.Dense(2)])\n"
    Path("here_models.py").write_text(made)
    load_from_function("here_models:model", "student")
    assert sys.path[-1] == ""
    assert "" not in sys.path[:-1]
    assert not trap.exists()


WAITING = """
    import subprocess, sys, time
    from kdcompress import processes
    child = processes.start_module("waiting_child", stdout=subprocess.PIPE)
    processes.send_job(child, {"a": 1}, b"xyz")
    print(child.pid, child.stdout.readline().decode().strip(), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(number: int, tmp_path: Path) -> None:
    (tmp_path / "waiting_child.py").write_text(
        "import time\nfrom kdcompress import processes\nprint(*processes.receive_job(), flush=True)\ntime.sleep(60)\n"
    )
    places = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    command, environment = [sys.executable, "-c", textwrap.dedent(WAITING)], {**os.environ, "PYTHONPATH": places}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, said = parent.stdout.readline().split(" ", 1)
        assert said.strip() == "{'a': 1} b'xyz'"
        parent.send_signal(number)
    until = time.monotonic() + 5
    while psutil.pid_exists(int(pid)) and psutil.Process(int(pid)).status() != "zombie":
        assert time.monotonic() < until, "the child goes on without its parent"
        time.sleep(0.05)


LEAVES = """
    import os, signal, sys
    from pathlib import Path
    from kdcompress.files import scratch_folder, write_atomically
    from kdcompress.leftovers import temporary_folder

    def killed(part):
        part.write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)

    with temporary_folder() as folder, scratch_folder(Path(sys.argv[1])) as scratch:
        (scratch / "x").write_text("x")
        write_atomically(Path(sys.argv[1]) / "a.json", killed)
"""


def test_what_a_killed_process_left_is_cleared_by_the_next_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    environment: dict[str, Any] = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", textwrap.dedent(LEAVES), str(tmp_path)]
    assert subprocess.run(command, env=environment, timeout=60).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 3
    mine = tmp_path / ".kdcompress-part-0000-mine"
    mine.write_text("not ours to judge")
    with temporary_folder() as alive:
        remove_leftovers(tmp_path)
        assert sorted(tmp_path.iterdir()) == sorted([mine, alive])
    assert list(tmp_path.iterdir()) == [mine]


def test_drawn_images_are_the_same_in_one_process_and_in_several(trap: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kdcompress.data.synthetic import _base as _synthetic
    from kdcompress.progress import Progress

    monkeypatch.setattr(_synthetic, "_cores", lambda: 2)
    many = _synthetic.make_synthetic("mhist", trap.parent / "many", Progress(), count=200, size=32)
    monkeypatch.setattr(_synthetic, "_cores", lambda: 1)
    one = _synthetic.make_synthetic("mhist", trap.parent / "one", Progress(), count=200, size=32)
    assert many == one
    for path in sorted((trap.parent / "one").rglob("*.png")):
        assert path.read_bytes() == (trap.parent / "many" / path.relative_to(trap.parent / "one")).read_bytes()
    assert json.loads((trap.parent / "many" / "synthetic.json").read_text())["count"] == 200
    assert not trap.exists()
