"""Whether data larger than memory stay on disk, and what reading them costs.

    python benchmarks/large_data.py [--samples 1000000] [--images 20000] [--rounds 8] [--folder F] [--out large.json]

1. Anonymous memory (RssAnon, its highest) while a teacher labels `--samples` 28x28 images from a memory-mapped file:
   under 1,500 MB.
2. Anonymous memory in training on 1,000 and on `--images` JPEG files of 224x224: at most 200 MB more.
3. Labelling against a bare loop over the teacher with ready arrays, in turns: at least 0.9 of its throughput; of arrays
   in a file, and of JPEG files with a large network.
4. Decoding keeps the cores busy: CPU seconds for each second of reading JPEG files.

Every figure is taken in a process of its own. Data are drawn at random into `--folder` (by default a temporary one;
some 1.5 GB). Prints JSON; exit code 1 if a limit is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from telling import tell

LIMITS = {"labelling_mb": 1500.0, "growth_mb": 200.0, "throughput": 0.9}
CLASSES = 10


class Memory:
    """The highest RssAnon of this process, in MB, looked at fifty times a second."""

    def __init__(self) -> None:
        self.highest, self._on = 0.0, True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while self._on:
            lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
            kb = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
            self.highest = max(self.highest, kb / 1e3)
            time.sleep(0.02)

    def stop(self) -> float:
        self._on = False
        self._thread.join()
        return round(self.highest, 1)


def make_array(folder: Path, n: int) -> Path:
    place = folder / f"array-{n}"
    if not (place / "y.npy").exists():
        place.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(0)
        images = np.lib.format.open_memmap(place / "x.npy", "w+", np.uint8, (n, 28, 28))
        for begin in range(0, n, 10_000):
            images[begin : begin + 10_000] = rng.integers(0, 256, images[begin : begin + 10_000].shape, np.uint8)
        images.flush()
        np.save(place / "y.npy", np.arange(n) % CLASSES)
    return place


def make_jpegs(folder: Path, n: int) -> Path:
    """Smooth noise, which compresses as photographs do (about 10 KB each)."""
    from PIL import Image

    place = folder / f"jpegs-{n}"
    if not (place / "done").exists():
        rng = np.random.default_rng(0)
        for number in range(n):
            path = place / str(number % CLASSES) / f"{number:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(rng.integers(0, 256, (28, 28, 3), np.uint8))
            coarse.resize((224, 224), Image.Resampling.BICUBIC).save(path, quality=85)
        (place / "done").touch()
    return place


def network(kind: str, shape: tuple[int, int, int]) -> Any:
    import keras

    if kind == "large":
        return keras.applications.ResNet50V2(weights=None, classes=CLASSES, classifier_activation=None)
    layers = keras.layers
    body = [layers.Rescaling(1 / 255), layers.Conv2D(16, 3, strides=4, activation="relu")]
    return keras.Sequential([keras.Input(shape), *body, layers.GlobalAveragePooling2D(), layers.Dense(CLASSES)])


def load(name: str, place: Path) -> Any:
    from kdcompress.data import make_source
    from kdcompress.progress import Progress

    return make_source({"name": name, "dir": str(place), "test_fraction": 0.01}).load(Progress())


def teacher_of(model: Any, shape: tuple[int, int, int]) -> Any:
    from kdcompress.config.sections import PreprocessingSection
    from kdcompress.formats.keras.teacher import KerasTeacher
    from kdcompress.teachers import InputAdapter

    return KerasTeacher(model, InputAdapter(shape, PreprocessingSection()))


def job_labelling(place: Path) -> dict[str, float]:
    """The memory of labelling an array, from loading on."""
    from kdcompress import registry
    from kdcompress.config.sections import ViewsSection
    from kdcompress.progress import Progress
    from kdcompress.teachers import compute_targets

    memory = Memory()
    data = load("arrays", place)
    teacher = teacher_of(registry.load("models", "mnist_cnn").build(data.input_shape, CLASSES), data.input_shape)
    start = time.perf_counter()
    targets = compute_targets(teacher, data.train, data.fingerprint, ViewsSection(), Progress())
    seconds = time.perf_counter() - start
    return {"n": targets.logits.shape[0], "seconds": round(seconds, 1), "rss_anon_mb": memory.stop()}


def job_training(place: Path) -> dict[str, float]:
    """The memory of a whole run on JPEG files: loading, labelling, an epoch of training."""
    import kdcompress

    memory = Memory()
    recipe = {
        "name": "memory",
        "data": {"name": "folder", "dir": str(place), "test_fraction": 0.05},
        "teacher": {"model": "large_data:small", "check": False},
        "student": {"model": "large_data:small"},
        "method": {"name": "hinton"},
        "training": {"epochs": 1, "batch_size": 32},
    }
    with tempfile.TemporaryDirectory() as out:
        run = kdcompress.distill(recipe, out=Path(out) / "run", baseline=False)
    return {"n": run.result["dataset"]["n_train"], "seconds": run.result["seconds"], "rss_anon_mb": memory.stop()}


def small() -> Any:
    """The model of `job_training`."""
    return network("small", (224, 224, 3))


def job_throughput(place: Path) -> dict[str, Any]:
    """Labelling in turns with a bare loop over the same images, ready in memory."""
    from kdcompress import registry
    from kdcompress.batches import default_batch_size

    is_array, rounds = (place / "x.npy").exists(), int(os.environ["ROUNDS"])
    data = load("arrays" if is_array else "folder", place)
    shape = data.input_shape
    model = registry.load("models", "mnist_cnn").build(shape, CLASSES) if is_array else network("large", shape)
    teacher, batch = teacher_of(model, shape), default_batch_size(shape)
    some = data.train.take(np.arange(batch * (80 if is_array else 2)))
    ready = np.array(some.images[:])
    bare_loop, ours, ratios = _bare(teacher, ready, batch), lambda: _label(teacher, some), []
    bare_loop(), ours()
    for _ in range(rounds):
        seconds = [_time(bare_loop), _time(ours)]
        ratios.append(seconds[0] / seconds[1])
    low, middle, high = (float(q) for q in np.quantile(ratios, [0.25, 0.5, 0.75]))
    return {"n": len(some), "ratio": round(middle, 3), "quartiles": [round(low, 3), round(high, 3)], "rounds": rounds}


def job_decoding(place: Path) -> dict[str, float]:
    """CPU seconds a second while files are read, and images a second."""
    images = load("folder", place).train.images
    rates, busy = [], []
    images[:500]  # threads start with the first block, which is not counted
    for begin in range(500, min(len(images), 5000) - 499, 500):
        wall, cpu = time.perf_counter(), time.process_time()
        images[begin : begin + 500]
        seconds = time.perf_counter() - wall
        rates.append(500 / seconds)
        busy.append((time.process_time() - cpu) / seconds)
    return {"cores": len(os.sched_getaffinity(0)), "busy": round(statistics.median(busy), 2),
            "images_per_s": round(statistics.median(rates))}  # fmt: skip


def _bare(teacher: Any, ready: Any, batch: int) -> Callable[[], Any]:
    """What one writes by hand: the compiled model on batch after batch, answers kept."""
    import tensorflow as tf

    run = tf.function(lambda images: teacher.model(images, training=False))

    def loop() -> Any:
        blocks = [ready[i : i + batch] for i in range(0, len(ready), batch)]
        return np.concatenate([run(tf.cast(block, tf.float32)).numpy() for block in blocks])

    return loop


def _label(teacher: Any, samples: Any) -> Any:
    from kdcompress.config.sections import ViewsSection
    from kdcompress.progress import Progress
    from kdcompress.teachers import compute_targets

    with tempfile.TemporaryDirectory() as cache:
        os.environ["KDCOMPRESS_CACHE_DIR"] = cache
        return compute_targets(teacher, samples, "benchmark", ViewsSection(), Progress())


def _time(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_process(job: str, place: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """A job in a fresh process, whose last line is its answer."""
    here = Path(__file__).resolve().parent
    paths = os.pathsep.join([str(here), str(here.parent), os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "PYTHONPATH": paths,
        "KDCOMPRESS_CACHE_DIR": str(folder / "cache"),
        "ROUNDS": str(rounds),
    }
    command = [sys.executable, str(Path(__file__).resolve()), "--job", job, "--folder", str(place)]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(samples: int, images: int, rounds: int, folder: Path) -> dict[str, Any]:
    array, few, many = make_array(folder, samples), make_jpegs(folder, 1000), make_jpegs(folder, images)
    jobs = {
        "labelling": ("labelling", array),
        "training on 1,000 files": ("training", few),
        f"training on {images:,} files": ("training", many),
        "throughput, arrays": ("throughput", array),
        "throughput, files": ("throughput", few),
        "decoding": ("decoding", many),
    }
    found: dict[str, Any] = {name: in_process(job, place, folder, rounds) for name, (job, place) in jobs.items()}
    trained = [found[name]["rss_anon_mb"] for name in found if name.startswith("training")]
    ratios = [found[name]["ratio"] for name in found if name.startswith("throughput")]
    growth = round(trained[1] - trained[0], 1)
    kept = [
        found["labelling"]["rss_anon_mb"] <= LIMITS["labelling_mb"],
        growth <= LIMITS["growth_mb"],
        min(ratios) >= LIMITS["throughput"],
    ]
    return {**found, "growth_mb": growth, "limits": LIMITS, "passed": all(kept)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--job", choices=("labelling", "training", "throughput", "decoding"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        print(json.dumps(globals()[f"job_{given.job}"](given.folder)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        result = measure(given.samples, given.images, given.rounds, given.folder or Path(scratch))
    return tell(result, given.out)


if __name__ == "__main__":
    raise SystemExit(main())
