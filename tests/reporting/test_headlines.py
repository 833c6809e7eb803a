"""Headlines of the page and the card for every kind of teacher: values, units, names, and why one is not known."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from made_up_bench import timed
from made_up_run import make

import kdcompress
from kdcompress.files import read_text, write_json, write_text
from kdcompress.runs.folder import RunFolder

ZOO = {"onnxruntime": "fp32", "litert": "fp32"}
COSTS = {"params": 1000, "macs": 45000, "flops": 90000, "bytes": 4000}
SAME_RUNTIME = (
    "10.0×, faster than the teacher (1.20 → 0.120 ms for one image, one thread, ONNX Runtime, {}; speedup 9.40"
)
BOTH = SAME_RUNTIME.format("fp32") + " to 10.7)"
OWN = SAME_RUNTIME.format("student fp32, teacher as its file has it") + " to 10.7)"
SMALLEST = "; 1.70 kB as student-int8.tflite, 0.425 times the teacher's)"


@dataclass(frozen=True)
class Kind:
    """A kind of teacher: what a run of it records, and what is then shown.

    Attributes:
        models: `model` of the teacher, or of each teacher of an ensemble.
        files: Their copies in the run; None for logits.
        name: The teacher in the first sentence.
        sizes: The tile of bytes.
        latency: The tile of latency.
        runtimes: Runtimes that the teacher is timed on, and its precision there.
        changes: Costs that differ from COSTS.
        students: Runtimes that the students are timed on.
    """

    models: tuple[str, ...]
    files: tuple[str | None, ...]
    name: str
    sizes: str
    latency: str
    runtimes: dict[str, str | None] = field(default_factory=lambda: ZOO)
    changes: dict[str, None] = field(default_factory=dict)
    students: tuple[str, ...] = ("onnxruntime", "litert")


KERAS_SIZES = "1.50×, BIGGER than the teacher: they GREW (4.00 kB → 6.00 kB as Keras files" + SMALLEST


def sizes_as(kind: str) -> str:
    """The tile of bytes of a teacher that is no Keras file."""
    return f"1.50×, BIGGER than the teacher: they GREW (4.00 kB as {kind} → 6.00 kB as a Keras file{SMALLEST}"


UNKNOWN = dict.fromkeys(COSTS)
LOGITS = "the teacher is a file of logits without a model"
LITERT = OWN.replace("ONNX Runtime", "LiteRT")
ACROSS = (
    "10.0×, faster than the teacher, across runtimes (1.20 ms on ONNX Runtime → 0.120 ms on LiteRT for one image, "
    "one thread; student fp32, teacher as its file has it; speedup 9.40 to 10.7)"
)
KINDS = {
    "zoo": Kind(("mnist_cnn",), ("teacher.keras",), "mnist_cnn", KERAS_SIZES, BOTH),
    "family": Kind(("keras:ResNet50",), ("teacher.keras",), "keras:ResNet50", KERAS_SIZES, BOTH),
    "keras": Kind(("/d/my teacher.keras",), ("teacher.keras",), "my teacher.keras", KERAS_SIZES, BOTH),
    "h5": Kind(("../d/t.h5",), ("teacher.keras",), "t.h5", KERAS_SIZES, BOTH),
    "saved_model": Kind(("/d/saved",), ("teacher.saved_model",), "saved", sizes_as("a SavedModel"), BOTH),
    "onnx": Kind(
        ("/d/t.onnx",), ("teacher.onnx",), "t.onnx", sizes_as("an ONNX file"), OWN,
        {"onnxruntime": None}, {"flops": None},
    ),
    "onnx, students on litert": Kind(
        ("/d/t.onnx",), ("teacher.onnx",), "t.onnx", sizes_as("an ONNX file"), ACROSS,
        {"onnxruntime": None}, {"flops": None}, ("litert",),
    ),
    "tflite": Kind(
        ("/d/t.tflite",), ("teacher.tflite",), "t.tflite", sizes_as("a TFLite file"),
        LITERT, {"litert": None}, {"flops": None},
    ),
    "torch": Kind(("own.models:teacher",), ("teacher.pt2",), "own.models:teacher", sizes_as("a PyTorch file"), BOTH,
                  {"onnxruntime": "fp32"}),
    "pt2": Kind(("/d/t.pt2",), ("teacher.pt2",), "t.pt2", sizes_as("a PyTorch file"), BOTH, {"onnxruntime": "fp32"}),
    "keras function": Kind(("own:teacher",), ("teacher.keras",), "own:teacher", KERAS_SIZES, BOTH),
    "logits": Kind(
        ("/d/t.npz",), (None,), "t.npz", f"–, not known ({LOGITS})", f"–, not compared ({LOGITS})", {}, UNKNOWN
    ),
    "ensemble": Kind(
        ("mnist_cnn", "/d/t.onnx"), ("teacher-1.keras", "teacher-2.onnx"), "the ensemble of mnist_cnn and t.onnx",
        sizes_as("Keras and ONNX files"), "–, not compared (the 2 teachers of the ensemble are not timed as one)", {},
        {"flops": None},
    ),
    "ensemble of namesakes": Kind(
        ("/a/t.keras", "/b/t.keras"), ("teacher-1.keras", "teacher-2.keras"), "the ensemble of a/t.keras and b/t.keras",
        KERAS_SIZES, "–, not compared (the 2 teachers of the ensemble are not timed as one)", {},
    ),
    "ensemble with logits": Kind(
        ("mnist_cnn", "/d/t.npz"), ("teacher-1.keras", None), "the ensemble of mnist_cnn and t.npz",
        "–, not known (a teacher is a file of logits without a model)",
        "–, not compared (a teacher is a file of logits without a model)", {}, UNKNOWN,
    ),
}  # fmt: skip


def run_of(kind: Kind, path: Path) -> Path:
    """A made-up run with a teacher of this kind."""
    make(path)
    run = RunFolder(path)
    recipe = read_text(path / "recipe.toml", AssertionError, "")
    several = len(kind.models) > 1
    members = ", ".join(f'{{ model = "{model}" }}' for model in kind.models)
    assert '[teacher]\nmodel = "mnist_cnn"\n' in recipe
    model = "" if several else kind.models[0]
    recipe = recipe.replace('[teacher]\nmodel = "mnist_cnn"\n', f'[teacher]\nmodel = "{model}"\n', 1)
    write_text(path / "recipe.toml", recipe.replace("members = []", f"members = [{members if several else ''}]"))
    files = [{"name": "teacher", "file": file, "digest": "d", "input_shape": [28, 28, 1]} for file in kind.files]
    run.update_manifest(teachers=files)
    for name in ("verify.json", "metrics.json"):
        document = json.loads(read_text(path / name, AssertionError, ""))
        document["teacher"] |= {**COSTS, **kind.changes}
        document |= {"warnings": [f"teacher {kind.models[0]} ends in probabilities"]} if "warnings" in document else {}
        write_json(path / name, document)
    write_json(path / "bench.json", bench_of(kind))
    for name in ("recipe.toml", "verify.json", "metrics.json", "bench.json"):
        run.commit(name)
    return path


def bench_of(kind: Kind) -> dict[str, Any]:
    """The benchmark of a teacher that runs on some runtimes."""
    models = [timed("teacher", "t", runtime, precision, 1.2) for runtime, precision in kind.runtimes.items()]
    comparisons = []
    for runtime in kind.students:
        models.append(timed("student", f"exports/student-fp32.{runtime}", runtime, "fp32", 0.12))
        models.append(timed("student", f"exports/student-int8.{runtime}", runtime, "int8", 0.06))
        for reference in [runtime] if runtime in kind.runtimes else list(kind.runtimes):
            comparisons.append(
                {"student": "student", "teacher": "teacher", "runtime": runtime, "teacher_runtime": reference,
                 "across_runtimes": reference != runtime, "precision": "fp32",
                 "teacher_precision": kind.runtimes[reference], "threads": 1, "batch_size": 1, "speedup": 10.0,
                 "speedup_low": 9.4, "speedup_high": 10.7, "distinguishable": True}
            )  # fmt: skip
    skipped = [
        f"the teacher on {runtime}: it has no file to time there (teacher {kind.models[0]} is a file); "
        "students there have no speedup"
        for runtime in kind.students
        if runtime not in kind.runtimes
    ]
    return {"machine": {}, "models": models, "comparisons": comparisons, "skipped": skipped}


def tiles_of(page: str) -> dict[str, str]:
    """The tiles of a page by label, as the card writes them."""
    tiles = {}
    for text in re.findall(r'<div class="tile .*?</div>', page, re.DOTALL):
        label, big, verdict, detail = re.findall(r"<(?:h2|p)[^>]*>(.*?)</", text)
        tiles[label] = unescape(f"{big}, {verdict} ({detail})")
    return tiles


def texts_of(page: str) -> list[str]:
    """All texts of a page as they are shown, those in figures included."""
    shown = re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    shown = re.sub(r'<section id="(recipe|machine|again)">.*?</section>', "", shown, flags=re.DOTALL)
    return [unescape(text) for text in re.findall(r">([^<]+)<", shown)]


@pytest.mark.parametrize("name", KINDS)
def test_headlines_of_every_kind_of_teacher(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    result = kdcompress.report(run_of(kind, tmp_path / "run"))
    page = Path(result["report"]).read_text(encoding="utf-8")
    compute = "MACs" if kind.changes and "params" not in kind.changes else "FLOPs"
    unknown = kind.sizes if "params" in kind.changes else None
    expected = {
        "Parameters": unknown or "1.50×, MORE than the teacher: they GREW (1.00 k → 1.50 k)",
        compute: unknown
        or f"10.0×, fewer than the teacher ({'45.0 k → 4.50 k' if compute == 'MACs' else '90.0 k → 9.00 k'})",
        "Bytes": kind.sizes,
        "Latency": kind.latency,
    }
    assert tiles_of(page) == expected
    card = Path(result["model_card"]).read_text(encoding="utf-8")
    plain = re.sub(r"\\(.)", r"\1", card)
    for label, tile in expected.items():
        assert f"- {label}: {tile}\n" in plain
    lead = f"mnist_mlp, distilled from {kind.name} on mnist by hinton"
    assert lead in unescape(page)
    assert lead in plain
    for text in [*texts_of(page), *plain.splitlines()]:
        assert not re.search(r"\bNone\b|\bnull\b|\bnan\b| ,|,,|\(\)|\( |teacher  ", text), text
        assert "/d/" not in text
    same = None if "across" in kind.latency or "–" in kind.latency else pytest.approx(0.1)
    assert result["ratios"]["latency"] == same


def test_a_setting_that_was_not_timed_is_named(tmp_path: Path) -> None:
    run = run_of(KINDS["onnx"], tmp_path / "run")
    for change, words in (
        ({"threads": 2}, "one thread and one image a call were not timed: see the latency distributions"),
        ({"precision": "int8"}, "no student in float32 was timed: see the latency distributions"),
    ):
        bench = bench_of(KINDS["onnx"])
        for row in bench["models"]:
            row |= change
        write_json(run / "bench.json", bench)
        RunFolder(run).commit("bench.json")
        page = Path(kdcompress.report(run)["report"]).read_text(encoding="utf-8")
        assert tiles_of(page)["Latency"] == f"–, not compared ({words})"


def test_what_was_not_timed_is_said_with_its_reason_and_ratios_across_runtimes_are_labelled(tmp_path: Path) -> None:
    page = Path(kdcompress.report(run_of(KINDS["onnx, students on litert"], tmp_path / "run"))["report"]).read_text()
    assert "Not timed: the teacher on litert: it has no file to time there (teacher t.onnx is a file)" in page
    assert "across runtimes: litert, the teacher on onnxruntime, threads 1 and batch 1" in page
    assert "teacher, onnxruntime, 1.20 ms" in page


def test_unlabelled_images_are_counted_apart(tmp_path: Path) -> None:
    path = make(tmp_path / "run", "finished")
    run = RunFolder(path)
    run.update_manifest(dataset={**run.manifest()["dataset"], "n_unlabelled": 5000})
    result = kdcompress.report(path)
    words = "9 images to train on and 5,000 without labels, 1 to choose epochs, 400 to test."
    assert words in Path(result["report"]).read_text(encoding="utf-8")
    assert words in Path(result["model_card"]).read_text(encoding="utf-8")


def test_warnings_are_sentences(tmp_path: Path) -> None:
    page = Path(kdcompress.report(make(tmp_path / "run"))["report"]).read_text(encoding="utf-8")
    assert re.findall(r'<p class="warning">\s*(\S+ \S+)', page) == ["Beware of", "The machine"]
    assert not re.search(r"<p[^>]*>\s*the machine", page)


def test_a_slower_student_has_its_interval_in_the_same_terms(tmp_path: Path) -> None:
    run = run_of(KINDS["onnx"], tmp_path / "run")
    bench = bench_of(KINDS["onnx"])
    bench["comparisons"][0] |= {"speedup": 0.25, "speedup_low": 0.2, "speedup_high": 0.5}
    write_json(run / "bench.json", bench)
    RunFolder(run).commit("bench.json")
    latency = tiles_of(Path(kdcompress.report(run)["report"]).read_text(encoding="utf-8"))["Latency"]
    assert latency.startswith("4.00×, SLOWER than the teacher (")
    assert latency.endswith("; slowdown 2.00 to 5.00)")
