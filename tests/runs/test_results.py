"""Results: dictionaries whose keys are typed attributes, too."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from made_up_bench import bench_of
from made_up_run import make
from made_up_sweep import SWEEP
from pydantic import ValidationError

import kdcompress
from kdcompress.api import recipe_of, verify_files
from kdcompress.benchmarking._request import make_bench_request
from kdcompress.exporting._request import make_export_request
from kdcompress.files import write_json, write_text
from kdcompress.runs.documents import read_checked
from kdcompress.runs.schemas import FILES, PRINTED, Kept, Result

VERBS = ("bench", "distill", "export", "predict", "report", "sweep", "verify")


def results(folder: Path) -> list[Kept]:
    """One of each kind of document, of a run that was written by hand."""
    run = make(folder / "run")
    write_json(folder / "sweep.json", SWEEP)
    kept = [run / name for name in ("metrics.json", "verify.json", "exports/exports.json", "bench.json")]
    read = [read_checked(path, "do this") for path in (*kept, folder / "sweep.json")]
    return [*read, kdcompress.report(run), verify_files(run)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Kept]:
    return results(tmp_path_factory.mktemp("made"))


def test_a_result_is_the_dictionary_that_it_was(made: list[Kept]) -> None:
    for one in made:
        plain = json.loads(json.dumps(one))
        assert one == plain
        assert one.to_dict() == plain
        assert type(one.to_dict()) is dict
        assert list(one.items()) == [(key, one[key]) for key in plain]
        assert "schema_version" in one
        assert one.get("nothing", 3) == 3
        for again in (copy.deepcopy(one), copy.copy(one), pickle.loads(pickle.dumps(one))):
            assert again == one
            assert type(again) is type(one)


def test_plain_all_the_way_down(made: list[Kept]) -> None:
    def kinds(value: Any) -> set[type]:
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return {type(value)}.union(*map(kinds, inside))

    for one in made:
        assert kinds(one.to_dict()) <= {dict, list, str, int, float, bool, type(None)}


def test_a_repr_is_one_short_line(made: list[Kept]) -> None:
    def inside(value: Any) -> list[Result]:
        below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        found = [one for part in below for one in inside(part)]
        return [value, *found] if isinstance(value, Result) else found

    for one in (part for whole in made for part in inside(whole)):
        assert repr(one).startswith(f"{type(one).__name__}(")
        assert len(repr(one)) <= 120
        assert "\n" not in repr(one)


def test_what_a_repr_says(made: list[Kept]) -> None:
    said = {type(one).__name__: repr(one) for one in made}
    assert said["Verification"] == "Verification(passed=False, metric_drop=None)"
    assert said["Benchmark"] == "Benchmark(5 timings, speedup 10 to 10, passed=True)"
    assert said["SweepResult"] == (
        "SweepResult(method='hinton', temperature=4, alpha=0.5, gain 0 (None to None), 0 trials)"
    )
    assert said["FilesCheck"] == "FilesCheck(passed=True, 9 files, 0 damaged)"
    export = {"artefacts": [], "failures": [], "passed": True, "seconds": 1.0}
    assert repr(kdcompress.Export.of(export)) == "Export(0 files, passed=True)"
    assert repr(kdcompress.Verification(passed=True)) == "Verification(passed=True, metric_drop=None)"
    assert repr(kdcompress.RunResult(run="x")) == "RunResult(run='x')"  # which lacks nearly everything


def test_keys_are_attributes(tmp_path: Path) -> None:
    metrics, verified, exports, bench, sweep, report, files = results(tmp_path)
    assert isinstance(metrics, kdcompress.RunResult)
    assert metrics.student.params == metrics["student"]["params"] == 1500
    assert metrics.student.metrics.accuracy == metrics.student.metrics["accuracy"]
    assert metrics.dataset.n_test == 400
    assert isinstance(verified, kdcompress.Verification)
    assert verified.gates[0].value == 1.5
    assert not verified.passed
    assert verified.teacher.metrics.recall["3"] == verified["teacher"]["metrics"]["recall"]["3"]
    assert exports["artefacts"][0].parity.max_abs_diff == 1e-5
    assert isinstance(bench, kdcompress.Benchmark)
    assert bench.comparisons[0].speedup_low == 9.4
    assert bench.machine.load.during == 0.2
    assert isinstance(sweep, kdcompress.SweepResult)
    assert sweep.gain.by_seed == [0.0, 0.0]
    assert isinstance(report, kdcompress.Report)
    assert report.metrics["student"].f1 == report["metrics"]["student"]["f1"]
    assert report.ratios.params == 1.5
    assert isinstance(files, kdcompress.FilesCheck)
    assert files.damaged == []


def test_the_answer_to_an_image() -> None:
    one = kdcompress.Prediction.of({"image": "a.png", "class": "7", "probability": 1})
    assert one.class_ == one["class"] == "7"
    assert one == {"image": "a.png", "class": "7", "probability": 1.0}
    assert "class_" in dir(one)


def test_a_key_that_is_missing_gives_its_default_or_an_error() -> None:
    gate = kdcompress.Verification.of({"teacher": {}, "student": {}})
    assert (gate.gates, gate.passed, gate.teacher.params, gate.ratios.flops) == ([], True, None, None)
    assert "gates" not in gate
    assert gate.gates is not gate.gates  # nobody's change is another's default
    with pytest.raises(AttributeError, match=r"Verification has no 'techer' \(did you mean 'teacher'\?\)"):
        gate.techer  # type: ignore[attr-defined]  # noqa: B018
    assert not hasattr(gate, "_repr_svg_")
    gate.passed = False
    assert gate["passed"] is False


def test_what_later_versions_add_is_kept_and_an_attribute(tmp_path: Path) -> None:
    document = {**bench_of(make(tmp_path / "run")), "weather": "fair", "schema": 2}
    found = kdcompress.Benchmark.of(document, strict=True)
    assert found["weather"] == found.weather == "fair"  # type: ignore[attr-defined]
    assert list(found) == ["schema_version", *document]


@pytest.mark.parametrize("value", ["1500", 1500.0, True, float("nan"), -1])
def test_a_strangers_number_is_a_number(value: object) -> None:
    document = {"teacher": {"params": value}, "student": {}}
    with pytest.raises(ValidationError):
        kdcompress.Verification.of(document, strict=True)


def test_no_key_hides_a_method() -> None:
    with pytest.raises(TypeError, match="items"):
        type("Bad", (Result,), {"__annotations__": {"items": "int"}})


def test_a_sweeps_report(tmp_path: Path) -> None:
    for name in ("sweep.toml", "space.json"):
        write_text(tmp_path / name, "")
    write_json(tmp_path / "sweep.json", SWEEP)
    report = kdcompress.report(tmp_path)
    assert report.gain == SWEEP["gain"]
    assert report.best is not None
    assert report.best.temperature == 4.0
    assert report.to_dict() == PRINTED["report"].of(report).to_dict()


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_spells_its_arguments_out(name: str) -> None:
    signature, told = inspect.signature(getattr(kdcompress, name)), inspect.getdoc(getattr(kdcompress, name)) or ""
    for key, parameter in signature.parameters.items():
        assert parameter.kind is not inspect.Parameter.VAR_KEYWORD
        assert parameter.annotation is not inspect.Parameter.empty, key
        assert f"    {key}: " in told.replace("*sources", "sources"), key
    assert signature.return_annotation not in ("dict[str, Any]", "list[dict[str, Any]]")


@pytest.mark.parametrize(
    ("verb", "inner"),
    [("export", make_export_request), ("bench", make_bench_request), ("distill", recipe_of),
     ("sweep", recipe_of)],
)  # fmt: skip
def test_a_verb_has_the_defaults_of_what_checks_them(verb: str, inner: Any) -> None:
    own = inspect.signature(getattr(kdcompress, verb)).parameters
    for name, parameter in inspect.signature(inner).parameters.items():
        if name not in ("files", "explain"):  # `explain` is a verb of its own
            assert own[name].default == parameter.default, name


def test_what_verbs_give_is_exported() -> None:
    for kind in {*FILES.values(), *PRINTED.values()} - {
        PRINTED["predict"],
        PRINTED["distill-dry-run"],
        PRINTED["compress-dry-run"],
        PRINTED["failure"],
    }:
        if kind is not FILES["exports.json"]:
            assert getattr(kdcompress, kind.__name__) is kind
            assert kind.__name__ in kdcompress.__all__
