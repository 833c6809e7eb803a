"""What a job of a million images or more needs: hours, bytes, money, and what gives way first.

    python benchmarks/cluster.py --out cluster.json
    python benchmarks/all_reduce.py --out all_reduce.json
    python benchmarks/scale.py cluster.json all_reduce.json --job imagenet --rate 11 --train-rate 25

Rates and overheads are those that the two benchmarks measured; what they cannot know is given: images a second and core
of your teacher (`--rate`) and of a training step of your student (`--train-rate`), nodes, cores, network, disk and
price. Prints JSON, each part with what it was computed from.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from telling import tell

_MB = 1e6


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes:
        images: Number of images.
        views: Views of each.
        classes: Outputs of the teacher, 4 bytes each.
        epochs: Epochs of the student.
        params: Parameters of the student.
        batch: Images of the global batch.
        image_bytes: Mean bytes of an image file.
    """

    images: int
    views: int
    classes: int
    epochs: int
    params: int
    batch: int
    image_bytes: int


JOBS = {
    "imagenet": Job(1_281_167, 1, 1000, 90, 3_500_000, 1024, 110_000),
    "web": Job(1_000_000_000, 1, 1000, 3, 3_500_000, 8192, 60_000),
}


@dataclass(frozen=True)
class Place:
    """Where it runs; none of it is measured here.

    Attributes:
        nodes: Number of machines.
        cores: Cores of each.
        memory_gb: Memory of each.
        network_mb: Megabytes a second between two machines.
        disk_mb: Megabytes a second that one process writes to the shared place.
        price: Money for an hour of one core.
    """

    nodes: int
    cores: int
    memory_gb: float
    network_mb: float
    disk_mb: float
    price: float


@dataclass(frozen=True)
class Measured:
    """What the benchmarks say.

    Attributes:
        rate: Images a second and core that the teacher labels.
        train_rate: Images a second and core in a step of the student.
        efficiency: Rate of workers against that of one process.
        shard_s: Seconds that the driver spends on a shard beside its computing.
        driver_bytes: Bytes of the driver's memory for each image of the data set.
        sum_bytes_per_s: Bytes a second of summing large gradients on loopback.
        sum_small_s: Seconds of the smallest exchange.
    """

    rate: float
    train_rate: float
    efficiency: float
    shard_s: float
    driver_bytes: float
    sum_bytes_per_s: float
    sum_small_s: float


def read_measured(cluster: dict[str, Any], reduce: dict[str, Any], rate: float | None, train_rate: float) -> Measured:
    """Take from the benchmarks' documents what the arithmetic needs."""
    labelling, low, high = cluster["labelling"], *cluster["memory"]
    growth = _MB * (high["rss_anon_mb"] - low["rss_anon_mb"]) / (high["images"] - low["images"])
    return Measured(
        rate or labelling["images_per_s_and_core"],
        train_rate,
        min(1.0, labelling["ratio"]),
        max(0.0, cluster["kills"]["shard_overhead_ms"]) / 1000,
        max(0.0, growth),
        max(size["sent_bytes_per_second"] for size in reduce["sizes"]),
        reduce["batch_norm"]["p50_ms"] / 1000,
    )


def label(job: Job, place: Place, measured: Measured, rows_of_shard: int) -> dict[str, Any]:
    """The labelling: the workers' time, what the driver does alone, and the bytes."""
    answers = job.images * job.views
    computing_s = answers / (measured.rate * measured.efficiency * place.nodes * place.cores)
    target_bytes = 4 * job.classes * answers
    shards = -(-answers // rows_of_shard)
    # The driver reads each shard, checks its digest and appends it, while the workers compute
    driver_s = shards * measured.shard_s + target_bytes / (place.disk_mb * _MB)
    seconds = max(computing_s, driver_s)
    return {
        "shards": shards,
        "computing_hours": hours(computing_s),
        "driver_hours": hours(driver_s),
        "hours": hours(seconds),
        "target_bytes": target_bytes,
        "money": round(seconds / 3600 * place.nodes * place.cores * place.price, 2),
    }


def train(job: Job, place: Place, measured: Measured) -> dict[str, Any]:
    """The training of the student, data parallel on all nodes: computing, sums of gradients and reading of a step."""
    steps = job.epochs * (job.images // job.batch)
    computing_s = job.batch / (measured.train_rate * place.nodes * place.cores)
    sent = 2 * (place.nodes - 1) / place.nodes * 4 * job.params
    sum_s = 2 * (place.nodes - 1) * measured.sum_small_s + sent / min(measured.sum_bytes_per_s, place.network_mb * _MB)
    seconds = steps * (computing_s + sum_s)
    read = job.batch * (job.image_bytes + 4 * job.classes * job.views) / (computing_s + sum_s)
    return {
        "steps": steps,
        "step_ms": round(1000 * computing_s, 2),
        "sum_ms": round(1000 * sum_s, 2),
        "hours": hours(seconds),
        "read_mb_per_s": round(read / _MB, 1),
        "money": round(seconds / 3600 * place.nodes * place.cores * place.price, 2),
    }


def limits(job: Job, place: Place, measured: Measured, labelled: dict[str, Any], trained: dict[str, Any]) -> list[dict]:
    """What is asked of each part as a share of what it has, the tightest first; above 1 it gives way."""
    memory = place.memory_gb * 1e9
    shares = {
        "memory of the driver: the list of the images": job.images * measured.driver_bytes / memory,
        "the driver, which appends every shard": labelled["driver_hours"] / max(labelled["computing_hours"], 1e-9),
        "sums of gradients, of a step": trained["sum_ms"] / trained["step_ms"],
        "reading, of the shared place": trained["read_mb_per_s"] / (place.disk_mb * place.nodes),
    }
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return [{"part": name, "share": round(share, 4)} for name, share in ordered]


def hours(seconds: float) -> float:
    return round(seconds / 3600, 2)


def plan(job: Job, place: Place, measured: Measured, rows_of_shard: int) -> dict[str, Any]:
    labelled, trained = label(job, place, measured, rows_of_shard), train(job, place, measured)
    total = round(labelled["money"] + trained["money"], 2)
    return {
        "job": vars(job),
        "place": vars(place),
        "measured": vars(measured),
        "labelling": labelled,
        "training": trained,
        "money": total,
        "first_to_give_way": limits(job, place, measured, labelled, trained),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("cluster", type=Path, help="JSON of cluster.py")
    parser.add_argument("all_reduce", type=Path, help="JSON of all_reduce.py")
    parser.add_argument("--job", choices=JOBS, default="imagenet")
    parser.add_argument("--images", type=int, help="in place of the job's")
    parser.add_argument("--rate", type=float, help="images a second and core of your teacher; else the benchmark's")
    parser.add_argument("--train-rate", type=float, required=True, help="images a second and core of a training step")
    parser.add_argument("--rows", type=int, default=2048, help="samples of a shard")
    for name, value in {"nodes": 8, "cores": 32}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    for name, default in {"memory-gb": 128.0, "network-mb": 1200.0, "disk-mb": 200.0, "price": 0.04}.items():
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in (given.cluster, given.all_reduce)]
    measured = read_measured(documents[0], documents[1], given.rate, given.train_rate)
    place = Place(given.nodes, given.cores, given.memory_gb, given.network_mb, given.disk_mb, given.price)
    job = JOBS[given.job] if given.images is None else replace(JOBS[given.job], images=given.images)
    return tell(plan(job, place, measured, given.rows), given.out)


if __name__ == "__main__":
    raise SystemExit(main())
