"""The example of few labels on a few embedded digits: every student, resumed from its figures, and what it writes."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kdcompress.progress import Progress

EXAMPLE = Path(__file__).parents[2] / "examples/few_labels/few_labels.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    pytest.importorskip("mlxtend", reason="the extra examples is not installed: pip install -e '.[examples]'")
    spec = importlib.util.spec_from_file_location("few_labels_example", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", list(sys.path))
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_quick_study_end_to_end_and_again_from_its_figures(example: ModuleType, tmp_path: Path) -> None:
    short: dict[str, Any] = {"training.epochs": 2, "split.limit": 1500, "teacher.training.epochs": 3}
    study = dataclasses.replace(example.DEMO, settings=short, kept={"teacher.training.epochs": 3})
    figures = tmp_path / "few_labels.json"
    found = example.collect({"demo": study}, range(1), tmp_path / "work", figures, Progress())
    assert json.loads(figures.read_text()) == found
    rows = found["demo"]
    assert len(rows) == 2 * len(example.ARMS) - 1  # a student alone has no teacher
    assert str(tmp_path) not in figures.read_text()
    both = {name: row["dataset"].get("n_unlabelled") for name, row in rows.items()}
    assert {name for name, count in both.items() if count} == {name for name in rows if "with the images" in name}
    unlabelled = rows[example.name_of("all", "KD, with the images without labels", 0)]
    assert unlabelled["metric"] > rows[example.name_of("all", example.ALONE, 0)]["metric"]

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("student.keras")}
    del rows[example.name_of("kept", "KD on the labelled images", 0)]
    example.write_figures(figures, found)
    again = example.collect({"demo": study}, range(1), tmp_path / "work", figures, Progress())
    assert set(again["demo"]) == set(both)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("student.keras")} == before

    example.write_results(again, {"demo": study}, range(1), "few_labels.py", tmp_path / "FEW_LABELS.md")
    text = (tmp_path / "FEW_LABELS.md").read_text()
    assert "10 labels of each class" in text and text.count("| hard pseudo-labels") == 2


def test_a_teacher_whose_students_are_not_all_there_is_not_told_of(example: ModuleType, tmp_path: Path) -> None:
    row = {"metric": 0.5, "teacher": 0.9, "dataset": {"n_train": 1, "n_val": 1, "n_test": 1, "n_unlabelled": 1}}
    rows = {example.name_of("all", arm, seed): row for arm in example.ARMS for seed in range(2)}
    assert example.complete(rows, range(2)) == ["all"]
    assert example.complete(rows, range(3)) == []
    example.write_results({"demo": rows}, {"demo": example.DEMO}, range(2), "few_labels.py", tmp_path / "F.md")
    assert "the few labels alone**" not in (tmp_path / "F.md").read_text()


def test_gains_are_paired_by_seed_and_worked_by_hand(example: ModuleType, tmp_path: Path) -> None:
    sizes = {"name": "digits", "n_train": 100, "n_val": 10, "n_test": 50, "n_unlabelled": 900}
    values = {example.ALONE: (0.70, 0.80, 0.60)}
    rows = {}
    for teacher in example.TEACHERS:
        for arm in example.ARMS:
            for seed in range(3):
                # Gains of 0.1, 0.2 and 0.3: mean 0.2, deviation 0.1, half of the interval 4.3027 * 0.1 / sqrt(3)
                metric = values[example.ALONE][seed] + (0.0 if arm == example.ALONE else (seed + 1) / 10)
                row = {"metric": metric, "teacher": 0.99, "dataset": sizes, "seconds": 60}
                rows[example.name_of(teacher, arm, seed)] = row
    example.write_results({"demo": rows}, {"demo": example.DEMO}, range(3), "few_labels.py", tmp_path / "F.md")
    text = (tmp_path / "F.md").read_text()
    assert text.count("| +20.00 (-4.84 to +44.84) |") == 6
    assert "| 70.00 (45.16 to 94.84) |  |" in text
    assert "A teacher that has seen all labels** (accuracy 99.00 %)" in text
    assert "; 3 seeds,\neach with labels" in text
