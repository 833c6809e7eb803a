"""Results as notebooks show them: small tables of escaped text."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_up_run import make
from made_up_sweep import SWEEP

import kdcompress
from kdcompress.api import verify_files
from kdcompress.runs.documents import read_checked
from kdcompress.runs.schemas import Kept, PredictionList
from kdcompress.runs.schemas._table import MAX_ROWS, Table

HOSTILE = '<img src=x onerror="alert(1)">\x1b\u2028'


class _Page(HTMLParser):
    """Collects the tags and the rows of cells."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.links: list[str | None] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._in_cell = tag in ("td", "th")
        if tag == "tr":
            self.rows.append([])
        if self._in_cell:
            self.rows[-1].append("")
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.rows[-1][-1] += data


def page(result: Any) -> _Page:
    text = result.html() if isinstance(result, Table) else result._repr_html_()
    assert text is not None, type(result)
    parsed = _Page()
    parsed.feed(text)
    return parsed


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("made") / "run")


def read(path: Path) -> Any:
    return read_checked(path, "do this")


def results(run: Path) -> list[Kept]:
    names = ("metrics.json", "verify.json", "exports/exports.json", "bench.json")
    kept = [read(run / name) for name in names]
    made = {"artefacts": kept[2]["artefacts"], "failures": [], "passed": True, "seconds": 1.0, "run": "run"}
    return [
        *kept,
        kdcompress.Export.of(made),
        kdcompress.SweepResult.of(SWEEP),
        kdcompress.report(run),
        verify_files(run),
    ]


def test_a_run_is_a_row_for_each_model_and_one_of_ratios(run: Path) -> None:
    result = read(run / "metrics.json")
    rows = page(kdcompress.Run(run, result)).rows
    assert rows == page(result).rows
    assert [row[0] for row in rows] == ["on test", "teacher", "student", "without teacher", "student / teacher"]
    assert rows[0][1:3] == ["accuracy", "parameters"]
    accuracy = [result[role].metrics.accuracy for role in ("teacher", "student")]
    assert [row[1] for row in rows[1:3]] == [f"{100 * value:.2f} %" for value in accuracy]
    assert rows[4][1] == f"{100 * (accuracy[1] - accuracy[0]):+.2f} points".replace("-", "−")
    assert float(rows[4][2]) == pytest.approx(result.student.params / result.teacher.params, rel=0.005)


def test_auc_comes_first_where_there_is_one(run: Path) -> None:
    result = copy.deepcopy(read(run / "metrics.json"))
    for role, auc in (("teacher", 0.9), ("student", 0.8), ("baseline", 0.7)):
        result[role]["metrics"]["auc"] = auc
    rows = page(result).rows
    assert [row[1] for row in rows] == ["AUC", "90.00 %", "80.00 %", "70.00 %", "−10.00 points"]


def test_macs_are_shown_where_the_teacher_has_no_flops(run: Path) -> None:
    verification = copy.deepcopy(read(run / "verify.json"))
    verification.teacher["flops"], verification.teacher["macs"], verification.student["macs"] = None, 2_000_000, 500
    rows = page(verification).rows
    column = rows[0].index("MACs")
    assert "FLOPs" not in rows[0]
    assert [row[column] for row in rows[1:3]] == ["2.00 M", "500"]


def test_gates_and_speedups_are_said(run: Path) -> None:
    verification = copy.deepcopy(read(run / "verify.json"))
    verification["gates"] = [
        {"name": "max_flops_ratio", "limit": 0.2, "value": 0.1, "passed": True},
        {"name": "max_bytes_ratio", "limit": 0.2, "value": None, "passed": False},
    ]
    text = kdcompress.Verification.of(verification)._repr_html_() or ""
    assert "passed: gate max_flops_ratio 0.2: 0.100" in text
    assert "<b>Failed:</b> gate max_bytes_ratio 0.2: not measured" in text
    benchmark = read(run / "bench.json")
    speedups = [row[-2:] for row in page(benchmark).rows[1:]]
    assert ["–", "–"] in speedups
    assert sum(speedup != "–" for speedup, _ in speedups) == len(benchmark.comparisons)
    assert any(re.fullmatch(r"[\d.,]+ to [\d.,]+", interval) for _, interval in speedups)


def test_all_kinds_are_tables_without_scripts(run: Path) -> None:
    for result in results(run):
        assert page(result).tags <= {"div", "b", "a", "table", "thead", "tbody", "tr", "th", "td"}, type(result)
        assert len(page(result).rows) <= MAX_ROWS + 1


def test_names_from_files_are_escaped(run: Path) -> None:
    def poison(value: Any) -> None:
        for key, one in list(value.items() if isinstance(value, dict) else enumerate(value)):
            if isinstance(one, dict | list):
                poison(one)
            elif isinstance(one, str):
                value[key] = HOSTILE

    for result in results(run):
        hostile = copy.deepcopy(result)
        poison(hostile)
        assert "<img" not in (hostile._repr_html_() or "<img"), type(result)
        assert "\x1b" not in (hostile._repr_html_() or ""), type(result)
    exported = copy.deepcopy(results(run)[4])
    exported.artefacts[0]["path"] = HOSTILE
    assert "&lt;img src=x" in (exported._repr_html_() or "")


def test_the_report_is_linked_relative_to_the_notebook(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.parent)
    assert page(kdcompress.report("run")).links == ["./run/report.html"]
    assert page(Table("title", page='javascript:alert("1")')).links == ["./javascript%3Aalert%28%221%22%29"]


def test_many_predictions_are_cut() -> None:
    one = kdcompress.Prediction.of({"image": "<b>.png", "class": "HP", "probability": 0.5})
    predictions = PredictionList([one] * 20)
    assert predictions == [one] * 20
    assert page(predictions).rows == [["image", "class", "probability"], *[["<b>.png", "HP", "50.00 %"]] * MAX_ROWS]
    assert "and 5 more rows" in predictions._repr_html_()


def test_the_costs_of_a_model_are_those_of_its_layers() -> None:
    layers = [
        {"name": f"layer {n}", "kind": "Dense", "params": n, "macs": n, "flops": 2 * n, "share": n / 120}
        for n in range(16)
    ]
    model = {"path": "m.keras", "params": 120, "macs": 120, "flops": 240, "bytes": 999, "layers": layers}
    rows = page(kdcompress.ModelCosts.of({"model": model})).rows
    assert rows[1] == ["all layers", "", "120", "120", "240", "100 %"]
    assert rows[2] == ["layer 15", "Dense", "15", "15", "30", "12.50 %"]
    assert len(rows) == 12


def test_a_result_that_lacks_a_key_is_left_to_its_repr() -> None:
    assert kdcompress.RunResult(run="mine")._repr_html_() is None
