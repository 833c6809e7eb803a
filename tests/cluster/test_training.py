"""One student trained by two processes of a real Ray on loopback, against the same student trained by this process."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tiny_runs
from cluster.conftest import RealCluster
from conftest import Recorder

import kdcompress
from kdcompress.api._distill import plan
from kdcompress.api._recipe import recipe_of
from kdcompress.cluster import Cluster, Node
from kdcompress.cluster.training import train_threads
from kdcompress.config.cluster import ClusterSection
from kdcompress.errors import ClusterError, RecipeError, TrainingError
from kdcompress.models import load_saved_model
from kdcompress.training.checkpoints import get_values

if importlib.util.find_spec("ray") is None:
    pytest.skip("several workers train through Ray: pip install 'kdcompress[cluster]'", allow_module_level=True)

TWO = {"cluster.train_workers": 2}


def train(out: Path, progress: Any = None, cluster: RealCluster | None = None, **settings: Any) -> kdcompress.Run:
    settings = {"training.batch_size": 60, "views.count": 2, "teacher.model": "tiny_models:plain", **settings}
    address = cluster and cluster.address
    return tiny_runs.distill(out, baseline=False, settings=settings, progress=progress, cluster=address)


def values(run: kdcompress.Run) -> list[np.ndarray]:
    return get_values(load_saved_model(run.path / "student.keras").weights)


def digest(run: kdcompress.Run) -> str:
    return str(json.loads((run.path / "manifest.json").read_text())["files"]["student.keras"]["digest"])


# simkd has a projector with BatchNorm, which ends in its file; its sums over 784 numbers round by more
@pytest.mark.parametrize(("method", "tolerance"), [("hinton", 1e-6), ("simkd", 1e-5)])
def test_two_workers_train_what_one_process_trains(
    method: str, tolerance: float, real_cluster: RealCluster, tmp_path: Path
) -> None:
    settings = {"method.name": method}
    alone, progress = train(tmp_path / "one", **settings), Recorder()
    both = train(tmp_path / "two", progress, real_cluster, **settings, **TWO)
    assert any("2 workers train together" in text for text in progress.notes)
    for a, b in zip(values(alone), values(both), strict=True):  # also with BatchNorm and Dropout
        assert b == pytest.approx(a, abs=tolerance)
    assert not any("means are taken" in text for text in progress.warnings)


def test_what_a_worker_raises_is_raised_here(real_cluster: RealCluster, tmp_path: Path) -> None:
    settings = {**TWO, "method.temperature": 1e-46}
    with pytest.raises(
        TrainingError, match=r"the student diverged: the loss is nan at step 1 of epoch 1; .*learning_rate="
    ):
        train(tmp_path / "run", None, real_cluster, **settings)


class Killer(Recorder):
    """Kills or stops a training worker after epoch 2, so many times."""

    def __init__(self, kills: int, kind: signal.Signals = signal.SIGKILL) -> None:
        super().__init__()
        self.kills, self.kind = kills, kind

    def epoch(self, phase: str, epoch: int, epochs: int, row: Any) -> None:
        if epoch >= 2 and self.kills:
            self.kills -= 1
            os.kill(next(training_workers()), self.kind)


def training_workers() -> Iterator[int]:
    for process in psutil.Process().children(recursive=True):
        if any("TrainingWorker" in part for part in process.cmdline()):
            yield process.pid


@pytest.mark.exhaustive
def test_a_killed_worker_costs_an_epoch_and_no_bit(real_cluster: RealCluster, tmp_path: Path) -> None:
    settings = {**TWO, "training.epochs": 60}  # of a tenth of a second each: time to kill one before the end
    unbroken, killer = train(tmp_path / "unbroken", None, real_cluster, **settings), Killer(1)
    broken = train(tmp_path / "broken", killer, real_cluster, **settings)
    assert killer.kills == 0
    assert [text for text in killer.warnings if "restart 1 of 3" in text]
    assert digest(broken) == digest(unbroken)


@pytest.mark.exhaustive
def test_a_worker_that_hangs_costs_an_epoch_and_no_bit(real_cluster: RealCluster, tmp_path: Path) -> None:
    settings = {**TWO, "training.epochs": 60, "cluster.silence_s": 5}
    unbroken, stopper = train(tmp_path / "unbroken", None, real_cluster, **settings), Killer(1, signal.SIGSTOP)
    broken = train(tmp_path / "broken", stopper, real_cluster, **settings)
    assert [text for text in stopper.warnings if "no sign of life for" in text and "restart 1 of 3" in text]
    assert digest(broken) == digest(unbroken)


class Interrupted(Recorder):
    """Ends the command after epoch 2, when the workers may be in the next one."""

    def epoch(self, phase: str, epoch: int, epochs: int, row: Any) -> None:
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.exhaustive
def test_what_two_workers_began_one_process_ends(real_cluster: RealCluster, tmp_path: Path) -> None:
    settings = {"training.epochs": 4}
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", Interrupted(), real_cluster, **settings, **TWO)
    progress = Recorder()
    resumed, alone = train(tmp_path / "run", progress, **settings), train(tmp_path / "alone", **settings)
    assert any(note.startswith("student: going on after epoch ") for note in progress.notes)
    for a, b in zip(values(alone), values(resumed), strict=True):
        assert b == pytest.approx(a, abs=1e-6)


def test_a_batch_that_does_not_divide_is_told_by_the_plan(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"training.batch_size must be a multiple of cluster.train_workers = 2"):
        train(tmp_path / "run", **TWO, **{"training.batch_size": 61, "cluster.address": "auto"})
    settings = {
        **tiny_runs.TINY,
        **TWO,
        "cluster.address": "auto",
        "training.batch_size": 1001,
        "cluster.train_workers": 7,
    }
    recipe = recipe_of("mnist-demo", limit=400, settings=settings)  # fewer images than a batch would have
    with pytest.raises(RecipeError, match=r"train_workers = 7, .* got 360"):
        plan(recipe, tmp_path / "run", Recorder())


def test_without_a_cluster_there_must_be_so_many_gpus(tmp_path: Path) -> None:
    recipe = recipe_of("mnist-demo", limit=400, settings={**tiny_runs.TINY, "cluster.train_workers": 64})
    with pytest.raises(RecipeError, match=r"train_workers is 64: .* number of GPUs of this machine, .* name a cluster"):
        plan(recipe, tmp_path / "run", Recorder())


ON_REPLICAS = """
import sys
import tensorflow as tf
divided = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], divided)
sys.path += sys.argv[2:]
from pathlib import Path
import tiny_runs
from kdcompress.progress import Progress
class Said(Progress):
    def note(self, text):
        print(text)
for student in ("plain_mlp", "normalized"):
    settings = {"training.batch_size": 60, "student.model": f"tiny_models:{student}", "cluster.train_workers": 2}
    tiny_runs.distill(Path(sys.argv[1]) / student, baseline=False, settings=settings, progress=Said())
"""


def test_two_devices_of_this_machine_train_what_one_trains(tmp_path: Path) -> None:
    folders = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]
    command = [sys.executable, "-c", ON_REPLICAS, str(tmp_path / "two"), *folders]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 devices of this machine, each on 1/2 of every batch") == 2
    # Keras computes the variance of all devices as a difference of squares, which rounds more
    for student, tolerance in (("plain_mlp", 1e-6), ("normalized", 1e-5)):
        settings = {"training.batch_size": 60, "student.model": f"tiny_models:{student}"}
        alone = tiny_runs.distill(tmp_path / student, baseline=False, settings=settings)
        both = get_values(load_saved_model(tmp_path / "two" / student / "student.keras").weights)
        for a, b in zip(values(alone), both, strict=True):
            assert b == pytest.approx(a, abs=tolerance)


@pytest.mark.parametrize(
    ("cores", "workers", "threads"), [([2], 2, 1), ([8, 8], 2, 8), ([8, 8], 4, 4), ([8, 6], 3, 4), ([16], 3, 5)]
)
def test_workers_have_the_same_number_of_threads_on_all_machines(cores: list[int], workers: int, threads: int) -> None:
    assert train_threads(cluster(cores, workers)) == threads


def test_each_worker_needs_a_core() -> None:
    with pytest.raises(ClusterError, match=r"train_workers is 5, and the cluster has 4 cores"):
        train_threads(cluster([2, 2], 5))


def cluster(cores: list[int], workers: int) -> Cluster:
    nodes = tuple(Node(str(number), "10.0.0.1", count, 0) for number, count in enumerate(cores))
    return Cluster(None, ClusterSection(address="auto", train_workers=workers), nodes, (), 1, 1)
