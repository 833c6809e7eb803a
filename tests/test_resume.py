"""A run that is killed at every stage ends with the same models as one that never was."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
from trust.worker import Worker

import kdcompress
from kdcompress.progress import Progress


class Killer(Progress):
    """Kills its own process at a step of a phase."""

    def __init__(self, phase: str, step: int) -> None:
        self.moment = (phase, step)
        self.phase = ""

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        self.phase = phase

    def step(self, done: int, parts: dict[str, float]) -> None:
        if (self.phase, done) == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def distill_until(out: str, phase: str, step: int) -> None:
    """Work on a run in this process, which is killed where a phase is given."""
    settings = {"teacher.model": "mnist_cnn", "student.model": "tiny_models:student"}
    kdcompress.distill("mnist-demo", out=out, epochs=2, limit=400, settings=settings, progress=Killer(phase, step))


def run_until(worker: Worker, out: Path, cache: Path, phase: str = "", step: int = 0) -> None:
    environment = {"KDCOMPRESS_CACHE_DIR": str(cache)}
    done = worker.call("test_resume:distill_until", str(out), phase, step, cwd=out.parent, env=environment)
    assert done.exit == (-signal.SIGKILL if phase else 0), done.err
    assert not done.broken


def test_killed_at_every_stage_and_the_same_models_in_the_end(forks: Worker, tmp_path: Path) -> None:
    run_until(forks, tmp_path / "whole", tmp_path / "cache1")
    for phase, step in (("teacher", 3), ("labelling", 1), ("student", 4), ("baseline", 1)):
        run_until(forks, tmp_path / "killed", tmp_path / "cache2", phase, step)
        assert not (tmp_path / "killed" / "metrics.json").exists()
    run_until(forks, tmp_path / "killed", tmp_path / "cache2")
    whole, killed = (
        json.loads((tmp_path / name / "manifest.json").read_text())["files"] for name in ("whole", "killed")
    )
    for name in ("teacher.keras", "student.keras", "baseline.keras"):
        assert whole[name]["digest"] == killed[name]["digest"], name
    assert not (tmp_path / "killed" / "checkpoints").exists()
    with np.load(tmp_path / "whole" / "outputs/test.npz") as a, np.load(tmp_path / "killed" / "outputs/test.npz") as b:
        assert all(np.array_equal(a[name], b[name]) for name in a.files)
