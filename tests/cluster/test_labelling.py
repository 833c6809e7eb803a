"""Labelling on a real cluster: whatever dies, the merged file is that of one process, byte for byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import other_models
import pytest
from cluster.deadly_images import DeadlyImages, Elsewhere
from cluster.labelling_on_ray import ONE, opened, workers
from conftest import Recorder

from kdcompress.cache import cache_dir
from kdcompress.config.sections import ViewsSection
from kdcompress.data import Dataset, FileImages, MappedImages, Samples, make_source
from kdcompress.digests import sha256_of
from kdcompress.errors import ClusterError, DataError, ModelError, TargetsError
from kdcompress.progress import Progress
from kdcompress.teachers import EMBEDDING, LOGITS, ONE_PROCESS, Targets, Teacher, compute_targets
from kdcompress.trust import trusting_code

TWO = ViewsSection(count=2)


class Hooked(Recorder):
    """Calls a function once, when so many batches are labelled."""

    def __init__(self, at: int, call: Callable[[], None]) -> None:
        super().__init__()
        self.at, self.call = at, call

    def step(self, done: int, parts: Mapping[str, float]) -> None:
        if done >= self.at:
            self.at = sys.maxsize
            self.call()


@pytest.fixture
def teacher(network: Any, tmp_path: Path) -> Teacher:
    """A teacher that starts in a second, since it needs no TensorFlow."""
    return opened(other_models.onnx_file(network, tmp_path / "teacher.onnx"))


@pytest.fixture
def samples(digits: Dataset) -> Samples:
    return digits.train.take(np.arange(4000))


def file_of(targets: Targets) -> Path:
    (name,) = targets.arrays
    return cache_dir("targets") / targets.key / f"{name}.npy"


def digest(targets: Targets) -> str:
    """The SHA-256 of the merged file, beside which nothing is left."""
    file = file_of(targets)
    assert sorted(path.name for path in file.parent.iterdir()) == sorted([file.name, "meta.json"])
    return sha256_of(file_of(targets))


def in_one_process(teacher: Teacher, samples: Samples, views: ViewsSection = ONE, target: str = LOGITS) -> str:
    return digest(compute_targets(teacher, samples, "one process", views, Progress(), target=target))


def test_two_workers_write_the_file_of_one_process(real_cluster: Any, teacher: Teacher, samples: Samples) -> None:
    recorder = Recorder()
    with workers(real_cluster.address, teacher) as labeller:
        targets = compute_targets(teacher, samples, "cluster", TWO, recorder, labeller)
    assert digest(targets) == in_one_process(teacher, samples, TWO)
    assert any("16 of 16 shards" in note and "images a second" in note for note in recorder.notes)


def test_embeddings_are_those_of_one_process(real_cluster: Any, teacher: Teacher, samples: Samples) -> None:
    few = samples.take(np.arange(600))
    with workers(real_cluster.address, teacher, count=1) as labeller:
        targets = compute_targets(teacher, few, "cluster", TWO, Progress(), labeller, EMBEDDING)
    assert targets.arrays[EMBEDDING].shape == (600, 2, 256)
    assert digest(targets) == in_one_process(teacher, few, TWO, EMBEDDING)


def test_arrays_on_disk_are_read_by_the_workers(
    real_cluster: Any, teacher: Teacher, samples: Samples, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", samples.images[:800])
    images = MappedImages(np.load(tmp_path / "x.npy", mmap_mode="r")[100:], np.arange(600)[::-1].copy())
    mapped = Samples(images, samples.labels[:600], samples.ids[:600])
    with workers(real_cluster.address, teacher) as labeller:
        targets = compute_targets(teacher, mapped, "cluster", ONE, Progress(), labeller)
    assert digest(targets) == in_one_process(teacher, mapped)


def test_image_files_are_read_by_the_workers_and_must_be_those_of_the_driver(
    real_cluster: Any, teacher: Teacher, samples: Samples, tmp_path: Path
) -> None:
    folder = other_models.save_images(samples.take(np.arange(600)), tmp_path / "images")
    data = make_source({"name": "folder", "dir": str(folder), "size": 28}).load(Progress())
    with workers(real_cluster.address, teacher) as labeller:
        targets = compute_targets(teacher, data.train, "cluster", TWO, Progress(), labeller)
        assert digest(targets) == in_one_process(teacher, data.train, TWO)
        images = data.train.images
        assert isinstance(images, FileImages)
        moved = Elsewhere(images, home=os.getpid())
        with pytest.raises(DataError, match="a worker reads other pixels"):
            compute_targets(teacher, replace(data.train, images=moved), "moved", ONE, Progress(), labeller)


@pytest.mark.parametrize("kind", ["keras", "saved_model", "tflite"])
def test_every_kind_of_teacher_is_opened_by_the_workers(
    real_cluster: Any, network: Any, samples: Samples, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / {"keras": "t.keras", "saved_model": "t", "tflite": "t.tflite"}[kind]
    if kind == "keras":
        network.save(path)
    else:
        {"saved_model": other_models.saved_model, "tflite": other_models.tflite_file}[kind](network, path)
    teacher, few = opened(path), samples.take(np.arange(600))
    with workers(real_cluster.address, teacher, count=1) as labeller:
        targets = compute_targets(teacher, few, "cluster", ONE, Progress(), labeller)
    assert digest(targets) == in_one_process(teacher, few)


def test_a_worker_that_is_killed_is_replaced(
    real_cluster: Any, teacher: Teacher, samples: Samples, tmp_path: Path
) -> None:
    (tmp_path / "deaths").mkdir()
    deadly = replace(samples, images=DeadlyImages(samples.images, 1000, tmp_path / "deaths", deaths=2))
    recorder = Recorder()
    with workers(real_cluster.address, teacher) as labeller:
        targets = compute_targets(teacher, deadly, "cluster", ONE, recorder, labeller)
    assert len(list((tmp_path / "deaths").iterdir())) == 2
    assert any("2 lost workers replaced" in note for note in recorder.notes)
    assert digest(targets) == in_one_process(teacher, samples)


def test_a_shard_that_ends_every_worker_ends_the_labelling(
    real_cluster: Any, teacher: Teacher, samples: Samples, tmp_path: Path
) -> None:
    (tmp_path / "deaths").mkdir()
    deadly = replace(samples, images=DeadlyImages(samples.images, 3000, tmp_path / "deaths", deaths=99))
    with (
        workers(real_cluster.address, teacher) as labeller,
        pytest.raises(ClusterError, match="ended its worker 4 times"),
    ):
        compute_targets(teacher, deadly, "cluster", ONE, Progress(), labeller)
    assert len(list((tmp_path / "deaths").iterdir())) == 4
    # What is finished is kept, and one process goes on behind it
    steps: list[int] = []
    progress = Hooked(0, lambda: None)
    progress.step = lambda done, parts: steps.append(done)  # type: ignore[method-assign]
    assert digest(compute_targets(teacher, samples, "cluster", ONE, progress)) == in_one_process(teacher, samples)
    assert steps[0] > 1


def test_a_worker_that_hangs_is_replaced(real_cluster: Any, teacher: Teacher, samples: Samples, tmp_path: Path) -> None:
    (tmp_path / "deaths").mkdir()
    hanging = DeadlyImages(samples.images, 1000, tmp_path / "deaths", deaths=1, kind=signal.SIGSTOP)
    recorder = Recorder()
    with workers(real_cluster.address, teacher, silence_s=5) as labeller:
        targets = compute_targets(teacher, replace(samples, images=hanging), "cluster", ONE, recorder, labeller)
    assert len(list((tmp_path / "deaths").iterdir())) == 1
    assert any("1 lost worker replaced" in note for note in recorder.notes)
    assert digest(targets) == in_one_process(teacher, samples)


def test_a_node_that_is_removed_takes_nothing_with_it(real_cluster: Any, teacher: Teacher, samples: Samples) -> None:
    progress = Hooked(3, real_cluster.remove)
    with workers(real_cluster.address, teacher) as labeller:
        targets = compute_targets(teacher, samples, "cluster", ONE, progress, labeller)
    assert progress.at == sys.maxsize
    assert digest(targets) == in_one_process(teacher, samples)


DRIVER = """
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    from kdcompress.data import Samples
    from kdcompress.progress import Progress
    from cluster.labelling_on_ray import ONE, opened, workers
    from kdcompress.teachers import compute_targets

    class Killer(Progress):
        def step(self, done, parts):
            if done == 5:
                os.kill(os.getpid(), signal.SIGKILL)

    teacher = opened(Path(sys.argv[1]))
    part = np.load(sys.argv[2])
    with workers(sys.argv[3], teacher) as labeller:
        compute_targets(teacher, Samples(**part), "cluster", ONE, Killer(), labeller)
"""


@pytest.mark.parametrize("goes_on", ["cluster", "one process"])
def test_a_killed_driver_goes_on_behind_whole_shards(
    real_cluster: Any, teacher: Teacher, samples: Samples, tmp_path: Path, goes_on: str
) -> None:
    np.savez(tmp_path / "part.npz", images=samples.images, labels=samples.labels, ids=samples.ids)
    path = os.pathsep.join(p for p in sys.path if p)
    arguments = [str(teacher.path), str(tmp_path / "part.npz"), real_cluster.address]
    command = [sys.executable, "-c", textwrap.dedent(DRIVER), *arguments]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, timeout=120)
    assert done.returncode == -signal.SIGKILL
    (part,) = (path for path in cache_dir("targets").iterdir() if path.is_dir())
    assert (part / "logits.npy").stat().st_size >= 128 + 5 * 256 * 10 * 4
    steps: list[int] = []
    progress = Recorder()
    progress.step = lambda done, parts: steps.append(done)  # type: ignore[method-assign]
    if goes_on == "cluster":
        with workers(real_cluster.address, teacher) as labeller:
            targets = compute_targets(teacher, samples, "cluster", ONE, progress, labeller)
    else:
        targets = compute_targets(teacher, samples, "cluster", ONE, progress, ONE_PROCESS)
    assert steps[0] > 5
    assert digest(targets) == in_one_process(teacher, samples)


def test_a_sample_without_finite_outputs_is_named_as_in_one_process(
    real_cluster: Any, tmp_path: Path, samples: Samples
) -> None:
    teacher = opened(dividing(tmp_path / "dividing.onnx"))
    images = samples.images[:].copy()
    images[2000] = 0
    blank = replace(samples, images=images)
    with pytest.raises(TargetsError) as alone:
        in_one_process(teacher, blank)
    with workers(real_cluster.address, teacher) as labeller, pytest.raises(TargetsError) as shared:
        compute_targets(teacher, blank, "cluster", ONE, Progress(), labeller)
    assert str(shared.value) == str(alone.value)
    assert f"sample {samples.ids[2000]} " in str(shared.value)
    assert not [path for path in cache_dir("targets").iterdir() if path.is_dir()]


def dividing(path: Path) -> Path:
    """A teacher that divides by the sum of the pixels."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(784, 10)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("ReduceSum", ["flat", "axis"], ["sum"], keepdims=1),
        helper.make_node("Div", ["flat", "sum"], ["share"]),
        helper.make_node("MatMul", ["share", "weights"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dividing",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 28, 28, 1])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def test_workers_with_gpus_are_placed_by_them(real_cluster: Any, teacher: Teacher, samples: Samples) -> None:
    """GPUs that the nodes only claim to have: the teacher here computes on the processor all the same."""
    few = samples.take(np.arange(600))
    with workers(real_cluster.address, teacher, gpus_per_worker=0.5) as labeller:
        assert labeller.cluster.resources == {"num_cpus": 1, "num_gpus": 0.5}  # type: ignore[attr-defined]
        targets = compute_targets(teacher, few, "cluster", ONE, Progress(), labeller)
    assert digest(targets) == in_one_process(teacher, few)
    missing = pytest.raises(ClusterError, match="gpus_per_worker is 3, and the nodes have 2 GPUs")
    with missing, workers(real_cluster.address, teacher, gpus_per_worker=3):
        pass


def test_workers_run_code_from_files_only_if_the_user_trusts_it(
    whole_node: Any, samples: Samples, tmp_path: Path
) -> None:
    layers, path = keras.layers, tmp_path / "t.keras"
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), layers.Lambda(lambda x: x / 7), layers.Flatten(), layers.Dense(10)]
    )
    model.save(path)
    few = samples.take(np.arange(300))
    with trusting_code():
        teacher = opened(path)
    with workers(whole_node.address, teacher, count=1) as labeller:
        with pytest.raises(ModelError, match="trust-code"):
            compute_targets(teacher, few, "cluster", ONE, Progress(), labeller)
        with trusting_code():
            targets = compute_targets(teacher, few, "cluster", ONE, Progress(), labeller)
    assert digest(targets) == in_one_process(teacher, few)
