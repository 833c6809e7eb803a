"""A run folder at any stage, written by hand in a moment: its figures are drawn, not trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from made_up_bench import put_bench

from kdcompress.config.recipe import resolve
from kdcompress.files import write_json, write_npz, write_text
from kdcompress.metrics.classification import compute_metrics
from kdcompress.metrics.comparison import disagreements
from kdcompress.runs.folder import RunFolder

STAGES = ("begun", "finished", "verified", "exported", "timed")
DIGITS = tuple("0123456789")


def make(
    path: Path,
    stage: str = "timed",
    classes: tuple[str, ...] = DIGITS,
    seed: int = 0,
    images: int = 400,
    size: int = 28,
) -> Path:
    """A run that came as far as `stage`, one of STAGES, on made-up images of `size` pixels."""
    run = RunFolder(path)
    run.prepare()
    write_text(run / "recipe.toml", resolve("mnist-demo", {"seed": seed}).to_toml())
    run.update_manifest(command=["/somewhere/bin/kdcompress", "distill", "a b"], versions={"keras": "3"}, seed=seed)
    rows = [f"{phase},{epoch},{1 / epoch},{0.8},{0.9},{0.5 / epoch},1.5" for phase in PHASES for epoch in (1, 2, 3)]
    write_text(
        run / "history.csv", "\n".join(["phase,epoch,loss,accuracy,val_accuracy,val_loss,seconds", *rows]) + "\n"
    )
    for place, name in enumerate(STAGES[1:], start=1):
        if STAGES.index(stage) >= place:
            globals()[f"_{name}"](run, classes, seed, images, size)
    return path


PHASES = ("teacher", "student", "baseline")


def logits_of(classes: int, images: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels, and logits by role that get better from baseline to teacher."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    made = {}
    for role, strength in (("teacher", 4.0), ("student", 3.0), ("baseline", 2.5)):
        made[role] = rng.normal(size=(images, classes)).astype(np.float32)
        made[role][np.arange(images), labels] += strength
    return labels, made


def _finished(run: RunFolder, classes: tuple[str, ...], seed: int, images: int, size: int) -> None:
    labels, logits = logits_of(len(classes), images, seed)
    ids = np.array([f"test/{i}" for i in range(images)])
    (run.path / "outputs").mkdir()
    write_npz(run / "outputs/test.npz", {"ids": ids, "labels": labels, **{f"{k}_logits": v for k, v in logits.items()}})
    rows = disagreements(logits["teacher"], logits["student"], 24)
    pixels = np.random.default_rng(seed).integers(0, 256, (len(rows), size, size, 1 if size < 64 else 3), np.uint8)
    write_npz(run / "outputs/disagreements.npz", {"ids": ids[rows], "images": pixels})
    data = {"name": "made-up", "source": "a test", "fingerprint": "0" * 64, "n_train": 9, "n_val": 1, "n_test": images}
    run.update_manifest(dataset=data, classes=list(classes), input_shape=[size, size, 1])
    accuracy = {role: {"accuracy": float((one.argmax(-1) == labels).mean())} for role, one in logits.items()}
    costs = {"teacher": {"params": 1000, "flops": 90000}, "student": {"params": 1500, "flops": 9000}, "baseline": {}}
    roles = {role: {**costs[role], "metrics": accuracy[role]} for role in PHASES}
    write_json(run / "metrics.json", {"dataset": data, **roles, "seconds": 1.0, "warnings": ["beware of <b>bold</b>"]})
    for name in ("outputs/test.npz", "outputs/disagreements.npz", "metrics.json", "history.csv", "recipe.toml"):
        run.commit(name)


def _verified(run: RunFolder, classes: tuple[str, ...], seed: int, images: int, size: int) -> None:
    labels, logits = logits_of(len(classes), images, seed)
    metrics = {role: compute_metrics(one, labels, list(classes)) for role, one in logits.items()}
    counted = {"teacher": (1000, 45000, 90000, 4000), "student": (1500, 4500, 9000, 6000)}
    models = {
        role: {**dict(zip(("params", "macs", "flops", "bytes"), counted[role], strict=True)), "metrics": metrics[role]}
        for role in counted
    }
    gates = [{"name": "max_params_ratio", "limit": 1.0, "value": 1.5, "passed": False}]
    write_json(run / "verify.json", {**models, "gates": gates, "passed": False})
    run.commit("verify.json")


def _exported(run: RunFolder, classes: tuple[str, ...], seed: int, images: int, size: int) -> None:
    labels, logits = logits_of(len(classes), images, seed)
    (run.path / "exports").mkdir()
    entries = [
        _entry("student-fp32.onnx", "onnx", "fp32", 6100, compute_metrics(logits["student"], labels, list(classes))),
        _entry(
            "student-int8.tflite", "tflite", "int8", 1700, compute_metrics(logits["baseline"], labels, list(classes))
        ),
        _entry(
            "student-int8.failed.onnx", "onnx", "int8", 1600, compute_metrics(-logits["student"], labels, list(classes))
        ),
    ]
    write_json(run / "exports/exports.json", {"schema": 1, "student_digest": "d", "artefacts": entries})
    run.commit("exports/exports.json")
    for entry in entries:
        (run / entry["path"]).write_bytes(b"made up")


def _entry(name: str, kind: str, precision: str, size: int, metrics: dict[str, Any]) -> dict[str, Any]:
    failed = "failed" in name
    return {
        "path": f"exports/{name}", "format": kind, "precision": precision, "opset": None, "bytes": size,
        "parity": {"n": 400, "max_abs_diff": None if failed else 1e-5, "flipped": ["test/3"] if failed else []},
        "metrics": metrics, "metric": "accuracy", "metric_drop": 0.5 if failed else 0.0, "recall_change": {},
        "passed": not failed, "reasons": ["it gives values that are <not> finite"] if failed else [],
    }  # fmt: skip


def _timed(run: RunFolder, classes: tuple[str, ...], seed: int, images: int, size: int) -> None:
    put_bench(run.path)
