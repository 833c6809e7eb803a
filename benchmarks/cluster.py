"""What labelling on workers costs against one process, and whether anything is lost when workers are killed.

    python benchmarks/cluster.py [--images 20000] [--rounds 2] [--workers 2] [--shards 1000] [--kills 20]
                                 [--out cluster.json]

1. Labelling `--images` images of 224x224 with `--workers` workers on this machine against one process, in turns: at
   least 0.85 of its rate. The start of Ray and of the workers is told apart.
2. The highest anonymous memory (RssAnon) of the process that gives out the work, at two sizes, each in a process of
   its own: it does not grow by more than 50 MB.
3. `--shards` shards of one batch, of which random workers are killed `--kills` times: none is lost, none is there
   twice, and the file has the SHA-256 of the one that one process writes. What a shard costs beside its computing: the
   same images in so many shards against an eighth of them.

Prints JSON; exit code 1 if a limit is broken.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from large_data import Memory
from telling import tell

from kdcompress.cache import cache_dir
from kdcompress.cluster import ClusterWorkers, _merging, open_cluster
from kdcompress.config.cluster import ClusterSection
from kdcompress.config.sections import SingleTeacherSection, ViewsSection
from kdcompress.data import MappedImages, Samples
from kdcompress.digests import sha256_of
from kdcompress.progress import Progress
from kdcompress.teachers import ONE_PROCESS, Labeller, OutputSpec, compute_targets, open_teacher

LIMITS = {"ratio": 0.85, "growth_mb": 50.0}
CLASSES = 1000
_DISTINCT = 512  # images of 224x224 on disk, which recur


class Clock(Progress):
    """Notes when labelling begins, when the first worker is ready and when each shard is merged.

    Args:
        kills: Numbers of merged shards after each of which a worker is killed.
    """

    def __init__(self, kills: frozenset[int] = frozenset()) -> None:
        super().__init__(log=False)
        self.begun = self.ready = self.ended = 0.0
        self.killed, self._kills, self._shards = 0, kills, 0

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        self.begun = self.ready = time.perf_counter()

    def note(self, text: str) -> None:
        if "opened the teacher" in text:
            self.ready = time.perf_counter()

    def step(self, done: int, parts: Mapping[str, float]) -> None:
        self.ended = time.perf_counter()
        self._shards += 1
        if self._shards in self._kills:
            self.killed += kill_one()


def kill_one() -> int:
    """Kill a worker of this process's own cluster, as the system does when memory runs out."""
    workers = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that was killed before may just end
            if "ray::LabelWorker" in "".join(child.cmdline()):
                workers.append(child)
    if not workers:
        return 0
    random.choice(workers).kill()
    return 1


def dense_teacher(path: Path, shape: tuple[int, int, int], width: int, classes: int) -> Path:
    """Strided convolutions with random weights, as an ONNX file."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng, nodes, weights, name, channels = np.random.default_rng(0), [], [], "t", shape[2]
    nodes.append(helper.make_node("Transpose", ["image"], ["t"], perm=[0, 3, 1, 2]))
    for number in range(4):
        size = (width << number, channels, 3, 3)
        kernel = rng.normal(size=size, scale=(2 / (9 * channels)) ** 0.5 / (255 if number == 0 else 1))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"k{number}"))
        nodes.append(helper.make_node("Conv", [name, f"k{number}"], [f"c{number}"], pads=[1] * 4, strides=[2, 2]))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
        name, channels = f"r{number}", width << number
    weights.append(numpy_helper.from_array(rng.normal(size=(channels, classes)).astype(np.float32), "d"))
    nodes.append(helper.make_node("GlobalAveragePool", [name], ["p"]))
    nodes += [helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("MatMul", ["f", "d"], ["logits"])]
    graph = helper.make_graph(
        nodes,
        "teacher",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", *shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


class Bench:
    """A teacher and images of one size.

    Args:
        folder: Where they lie.
        n: Number of images.
        shape: Shape of an image.
        width: Channels of the teacher's first convolution.
        classes: Number of classes.
    """

    def __init__(self, folder: Path, n: int, shape: tuple[int, int, int], width: int, classes: int) -> None:
        file = folder / f"images-{shape[0]}.npy"
        if not file.exists():
            np.save(file, np.random.default_rng(0).integers(0, 256, (_DISTINCT, *shape), np.uint8))
        images = MappedImages(np.load(file, mmap_mode="r"), np.arange(n) % _DISTINCT)
        self.samples = Samples(images, np.zeros(n, np.int64), np.arange(n).astype(str))
        path = dense_teacher(folder / f"teacher-{shape[0]}.onnx", shape, width, classes)
        self.section, self.spec = (
            SingleTeacherSection(model=str(path)),
            OutputSpec(shape, tuple(map(str, range(classes)))),
        )
        self.teacher = open_teacher(path, self.section, self.spec, "the teacher")

    def label(self, name: str, clock: Clock, labeller: Labeller = ONE_PROCESS) -> str:
        """Label all images; return the SHA-256 of the file, which is deleted."""
        targets = compute_targets(self.teacher, self.samples, name, ViewsSection(), clock, labeller)
        file = cache_dir("targets") / targets.key / "logits.npy"
        digest = sha256_of(file)
        for path in file.parent.iterdir():
            path.unlink()
        return digest


@contextlib.contextmanager
def on_cluster(bench: Bench, workers: int) -> Iterator[tuple[Labeller, float]]:
    """The workers of this machine, and the seconds that Ray took to start."""
    start = time.perf_counter()
    with open_cluster(ClusterSection(address="auto", workers=workers), [cache_dir()], Progress(log=False)) as cluster:
        yield ClusterWorkers(cluster).labeller(bench.section, bench.spec, True), time.perf_counter() - start


def compare(folder: Path, images: int, rounds: int, workers: int) -> dict[str, Any]:
    """One process and workers in turns."""
    bench = Bench(folder, images, (224, 224, 3), 32, CLASSES)
    rates: dict[str, list[float]] = {"one_process": [], "workers": []}
    digests, starts = set(), []
    with on_cluster(bench, workers) as (labeller, ray_s):
        for number in range(rounds):
            for name, who in (("one_process", ONE_PROCESS), ("workers", labeller)):
                clock = Clock()
                digests.add(bench.label(f"{name} {number}", clock, who))
                rates[name].append(images / (clock.ended - clock.ready))
                if name == "workers":
                    starts.append(clock.ready - clock.begun)
    medians = {name: round(statistics.median(values), 2) for name, values in rates.items()}
    cores = len(os.sched_getaffinity(0))
    return {
        "images": images,
        "workers": workers,
        "cores": cores,
        "images_per_s": medians,
        "rounds": {name: [round(value, 2) for value in values] for name, values in rates.items()},
        "ratio": round(medians["workers"] / medians["one_process"], 3),
        "images_per_s_and_core": round(medians["workers"] / min(cores, workers), 2),
        "bytes_per_target": 4 * CLASSES,
        "same_sha256": len(digests) == 1,
        "start_ray_s": round(ray_s, 2),
        "start_workers_s": round(statistics.median(starts), 2),
    }


def memory(folder: Path, images: int, workers: int) -> dict[str, Any]:
    """The highest memory of this process while workers label; of 28x28, so that many are soon done."""
    bench = Bench(folder, images, (28, 28, 1), 2, 10)
    with on_cluster(bench, workers) as (labeller, _):
        watch = Memory()
        bench.label("memory", Clock(), labeller)
        return {"images": images, "rss_anon_mb": watch.stop()}


def kills(folder: Path, shards: int, count: int, workers: int) -> dict[str, Any]:
    """Many small shards, of which workers are killed at random."""
    bench = Bench(folder, 256 * shards, (28, 28, 1), 2, 10)
    alone = Clock()
    expected = bench.label("one process", alone)
    at = frozenset(random.Random(0).sample(range(1, shards), count))
    with on_cluster(bench, workers) as (labeller, _):
        seconds = {}
        for rows in (256, 2048):
            _merging.MAX_ROWS = rows
            clock = Clock()
            bench.label(f"rows {rows}", clock, labeller)
            seconds[rows] = clock.ended - clock.ready
        _merging.MAX_ROWS = 256
        clock = Clock(at)
        found = bench.label("kills", clock, labeller)
    return {
        "shards": shards,
        "killed": clock.killed,
        "same_sha256": found == expected,  # which it is not if a shard is lost or there twice
        "one_process_s": round(alone.ended - alone.ready, 2),
        "workers_s": round(seconds[256], 2),
        "with_kills_s": round(clock.ended - clock.ready, 2),
        "shard_overhead_ms": round(1000 * (seconds[256] - seconds[2048]) / (shards - shards // 8), 3),
    }


def in_process(job: str, *arguments: int) -> dict[str, Any]:
    """A job in a fresh process, whose last line is its answer."""
    here = Path(__file__).resolve().parent
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(Path(__file__).resolve()), "--job", job, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(images: int, rounds: int, workers: int, shards: int, count: int) -> dict[str, Any]:
    labelling = in_process("compare", images, rounds, workers)
    held = [in_process("memory", n, workers) for n in (50_000, 400_000)]
    growth = round(held[1]["rss_anon_mb"] - held[0]["rss_anon_mb"], 1)
    killed = in_process("kills", shards, count, workers)
    kept = [
        labelling["ratio"] >= LIMITS["ratio"],
        labelling["same_sha256"],
        growth <= LIMITS["growth_mb"],
        killed["same_sha256"],
        killed["killed"] == count,
    ]
    result = {"labelling": labelling, "memory": held, "growth_mb": growth, "kills": killed}
    return {**result, "limits": LIMITS, "passed": all(kept)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--job", choices=("compare", "memory", "kills"), help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs="*", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        with tempfile.TemporaryDirectory() as scratch:
            os.environ["KDCOMPRESS_CACHE_DIR"] = str(Path(scratch) / "cache")
            print(json.dumps(globals()[given.job](Path(scratch), *given.arguments)))
        return 0
    return tell(measure(given.images, given.rounds, given.workers, given.shards, given.kills), given.out)


if __name__ == "__main__":
    raise SystemExit(main())
