"""A run that is killed at every stage ends with the same models as one that never was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

KILLED = """
    import os, signal, sys
    import kdcompress
    from kdcompress.progress import Progress

    class Killer(Progress):
        def begin(self, phase, total, done=0):
            self.phase = phase
        def step(self, done, parts):
            if (self.phase, str(done)) == tuple(sys.argv[2:]):
                os.kill(os.getpid(), signal.SIGKILL)

    settings = {"teacher.model": "mnist_cnn", "student.model": "tiny_models:student"}
    kdcompress.distill("mnist-demo", out=sys.argv[1], epochs=2, limit=400, settings=settings, progress=Killer())
"""


def run_until(out: Path, cache: Path, phase: str = "", step: int = 0) -> None:
    environment = {
        **os.environ,
        "KDCOMPRESS_CACHE_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(out), phase, str(step)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == (-signal.SIGKILL if phase else 0), done.stderr


def test_killed_at_every_stage_and_the_same_models_in_the_end(tmp_path: Path) -> None:
    run_until(tmp_path / "whole", tmp_path / "cache1")
    for phase, step in (("teacher", 3), ("labelling", 1), ("student", 4), ("baseline", 1)):
        run_until(tmp_path / "killed", tmp_path / "cache2", phase, step)
        assert not (tmp_path / "killed" / "metrics.json").exists()
    run_until(tmp_path / "killed", tmp_path / "cache2")
    whole, killed = (
        json.loads((tmp_path / name / "manifest.json").read_text())["files"] for name in ("whole", "killed")
    )
    for name in ("teacher.keras", "student.keras", "baseline.keras"):
        assert whole[name]["digest"] == killed[name]["digest"], name
    assert not (tmp_path / "killed" / "checkpoints").exists()
    with np.load(tmp_path / "whole" / "outputs/test.npz") as a, np.load(tmp_path / "killed" / "outputs/test.npz") as b:
        assert all(np.array_equal(a[name], b[name]) for name in a.files)
