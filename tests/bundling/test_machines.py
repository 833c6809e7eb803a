from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import kdcompress
from kdcompress.cli._app import app
from kdcompress.errors import RunError, UsageError
from kdcompress.formatting import MISSING
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.machines import read_machines
from kdcompress.verification.machines import machine_rows
from kdcompress.verification.slowdown import slowdown_gates

EVIL = "<script>alert(1)</script> | \x1b[31m`"


@pytest.fixture
def run(bundled: Path, measured: Path) -> Path:
    """A run, with the result of its bundle beside it as pi.json."""
    shutil.copy(measured / "pi.json", bundled / "pi.json")
    return bundled / "run"


def change(path: Path, alter: Callable[[dict[str, Any]], object]) -> Path:
    document = json.loads(path.read_text())
    alter(document)
    path.write_text(json.dumps(document))
    return path


def test_a_result_is_kept_beside_the_others(run: Path) -> None:
    result = kdcompress.bench(run, import_file=run.parent / "pi.json")
    assert (run / "machines" / "pi.json").is_file()
    assert set(result.machines) == {"pi"}
    kdcompress.bench(run, import_file=run.parent / "pi.json", machine="pi-5")
    assert set(read_machines(RunFolder(run)).current) == {"pi", "pi-5"}
    assert kdcompress.verify(run).machines[0].machine == "pi"
    kdcompress.report(run)
    for page in ("report.html", "MODEL_CARD.md"):
        assert "equal bit for bit" in (run / page).read_text()
    assert kdcompress.bench(run, forget="pi").machines.keys() == {"pi-5"}
    assert not (run / "machines" / "pi.json").exists()


def test_limits_name_their_machine(run: Path) -> None:
    kdcompress.bench(run, import_file=run.parent / "pi.json")
    passed = kdcompress.verify(run, max_slowdown=1000.0, machine="pi")
    assert [(gate.name, gate.machine, gate.passed) for gate in passed.gates] == [("max_slowdown", "pi", True)] * 2
    failed = CliRunner().invoke(app, ["verify", str(run), "--max-slowdown", "0.0001", "--machine", "pi"])
    assert failed.exit_code == 3
    subject = "gate max_slowdown fails on machine pi, student fp32 on onnxruntime, 1 thread, batch 1"
    assert re.search(rf"{subject}: [\d.]+ \(95 % from [\d.]+\), at most 0.0001 allowed", failed.stderr)
    local = kdcompress.verify(run, max_slowdown=1000.0)
    assert {gate.machine for gate in local.gates} == {"local"}
    with pytest.raises(RunError, match=r"no benchmark of a machine 'pi5' \(of other machines: pi\)"):
        kdcompress.verify(run, max_slowdown=1.0, machine="pi5")


def test_a_file_that_computes_otherwise_there_fails_its_limit(run: Path) -> None:
    def fail(document: dict[str, Any]) -> None:
        document["parity"][2].update(passed=False, identical=False, reasons=["top-1 agrees on 12.5 % of the images"])
        document["passed"] = False

    change(run.parent / "pi.json", fail)
    done = CliRunner().invoke(app, ["bench", str(run), "--import", str(run.parent / "pi.json")])
    assert done.exit_code == 3
    assert "parity of exports/student-int8.onnx fails on that machine: top-1 agrees on 12.5 %" in done.stderr
    verified = kdcompress.verify(run, max_slowdown=1000.0, machine="pi")
    assert {gate.model: gate.passed for gate in verified.gates} == {
        "student fp32 on onnxruntime, 1 thread, batch 1": True, "student int8 on onnxruntime, 1 thread, batch 1": False,
    }  # fmt: skip
    kdcompress.report(run)
    assert "does not compute what it computes where its bundle was made" in (run / "report.html").read_text()


def test_figures_of_other_files_are_refused(run: Path) -> None:
    other = change(run.parent / "pi.json", lambda document: document["bundle"]["files"][1].update(sha256="0" * 64))
    with pytest.raises(RunError, match=r"of other files than run .* exports/student-fp32.onnx is another"):
        kdcompress.bench(run, import_file=other)
    assert not (run / "machines").exists()
    change(other, lambda document: document["bundle"].update(student_digest="1" * 64))
    with pytest.raises(RunError, match="the student is another"):
        kdcompress.bench(run, import_file=other)


def test_figures_of_earlier_exports_do_not_count_any_more(run: Path) -> None:
    kdcompress.bench(run, import_file=run.parent / "pi.json")
    kdcompress.export(run, "onnx", "int8", calibration_samples=5)  # other ranges, another file
    machines = read_machines(RunFolder(run))
    assert (dict(machines.current), dict(machines.outdated)) == ({}, {"pi": "exports/student-int8.onnx is another"})
    with pytest.raises(RunError, match="machine 'pi' was measured with other files than run"):
        kdcompress.verify(run, max_slowdown=1.0, machine="pi")
    kdcompress.report(run)
    assert "was measured with other files than the run has now" in (run / "report.html").read_text()


def test_what_a_strangers_file_says_is_escaped(run: Path) -> None:
    evil = change(run.parent / "pi.json", lambda document: document["machine"].update(cpu=EVIL, board=EVIL))
    done = CliRunner().invoke(app, ["bench", str(run), "--import", str(evil)])
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    kdcompress.report(run)
    page, card = ((run / name).read_text() for name in ("report.html", "MODEL_CARD.md"))
    assert "&lt;script&gt;alert(1)" in page
    for text in (page, card):
        assert "<script>alert(1)" not in text
        assert "\x1b" not in text


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a text for a number": (
        lambda d: d["models"][0].update(p50_ms="x"),
        r"models.0.p50_ms: input should be a valid num",
    ),
    "a time below 0": (lambda d: d["models"][0].update(p50_ms=-1.0), r"models.0.p50_ms"),
    "no models": (lambda d: d.pop("models"), "models: field required"),
    "no bundle": (lambda d: d.pop("bundle"), "was not measured with a bundle"),
    "a later version": (lambda d: d.update(schema_version=99), "later version of kdcompress"),
    "no parity": (lambda d: d.update(parity=[{}]), r"parity.0"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_result_is_refused_in_one_line(run: Path, damage: str) -> None:
    alter, words = DAMAGES[damage]
    path = change(run.parent / "pi.json", alter)
    done = CliRunner().invoke(app, ["bench", str(run), "--import", str(path)])
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert re.search(words, done.stderr)
    assert not (run / "machines").exists()


def test_keys_that_may_be_missing_are_not_missed(run: Path) -> None:
    def strip(document: dict[str, Any]) -> None:
        for model in document["models"]:
            for key in ("load_ms", "first_ms", "peak_rss_mb", "bytes", "end_to_end", "max_ms", "throughput_per_s"):
                model.pop(key)
        for pair in document["comparisons"]:
            pair.pop("across_runtimes")
        for key in ("settings", "seconds", "warnings", "skipped", "gates"):
            document.pop(key)
        document["machine"] = {}

    path = change(run.parent / "pi.json", strip)
    done = CliRunner().invoke(app, ["bench", str(run), "--import", str(path)])
    assert done.exit_code == 0, done.stderr
    kdcompress.verify(run)
    kdcompress.report(run)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--machine", "pi"], "--machine names the machine of --on or --import"),
        (["--import", "nope.json"], "nope.json does not exist"),
        (["--import", "run"], "run is no file; --import takes the NAME.json"),
        (["--import", "pi.pyz"], "pi.pyz is a bundle and no result; --import takes the pi.json that `python3 pi.pyz`"),
        (["--import", "pi.json", "--machine", "../pi"], "a machine's name has up to 63 letters"),
        (["--import", "pi.json", "--max-slowdown", "1"], "--import measures nothing"),
        (["--forget", "pi"], "has no benchmark of a machine 'pi'"),
    ],
)
def test_mistakes_are_one_line(run: Path, options: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    done = CliRunner().invoke(app, ["bench", "run", *options])
    assert done.exit_code == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_result_belongs_to_one_run(run: Path) -> None:
    with pytest.raises(UsageError, match="name that run, and nothing else"):
        kdcompress.bench(run / "exports" / "student-fp32.onnx", import_file=run.parent / "pi.json")


def pair(speedup_high: float | None, **changes: Any) -> dict[str, Any]:
    entry = {"student": "student", "runtime": "onnxruntime", "precision": "int8", "threads": 1, "batch_size": 1}
    interval = {"speedup": 2.0, "speedup_low": 1.0, "speedup_high": speedup_high, "distinguishable": True}
    return {**entry, **interval, **changes}


def test_a_limit_on_the_latency_by_hand() -> None:
    benchmark = {"machine": {}, "models": [], "comparisons": [pair(4.0), pair(1.25), pair(None)]}
    gates = slowdown_gates(benchmark, 0.5, "pi")
    assert [gate["value"] for gate in gates] == [0.5, 0.5, 0.5]
    assert [gate["low"] for gate in gates] == [0.25, 0.8, None]
    assert [gate["passed"] for gate in gates] == [True, False, False]  # from 0.25 and 0.8 on, and without an interval
    with pytest.raises(RunError, match="on machine pi it was not timed"):
        slowdown_gates({**benchmark, "comparisons": []}, 0.5, "pi")


def test_rows_are_those_of_one_image_and_the_fewest_threads() -> None:
    def timed(name: str, threads: int, batch_size: int, p50_ms: float) -> dict[str, Any]:
        times = {"n": 1, "p50_ms": p50_ms, "p90_ms": 1.0, "p99_ms": 1.0, "mean_ms": 1.0}
        model = {"name": name, "runtime": "onnxruntime", "precision": "int8" if name == "student" else "fp32"}
        return {**model, "threads": threads, "batch_size": batch_size, **times}

    models = [timed("teacher", 2, 1, 8.0), timed("student", 2, 1, 4.0), timed("student", 4, 1, 3.0),
              timed("student", 1, 32, 1.0)]  # fmt: skip
    benchmark = {"machine": {"board": "Pi", "cpu": "A72"}, "models": models, "comparisons": [pair(3.0, threads=2)]}
    rows = machine_rows(None, {"pi": benchmark})
    assert [row.hardware for row in rows] == ["Pi, A72"]
    assert [row.cells for row in rows] == [
        ["pi", "student int8 on onnxruntime", "2", "4.00", "8.00", "2.00 (1.00 to 3.00)", MISSING]
    ]
