"""The page and the card of a run of two classes with votes, and of one on synthetic images."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_run import logits_of, make

import kdcompress
from kdcompress.files import write_npz
from kdcompress.formatting import MISSING
from kdcompress.reporting._headline import table, verdict
from kdcompress.reporting._metric_rows import auc_interval
from kdcompress.reporting._run_data import RunData, load_run_data
from kdcompress.reporting.sections import agreement
from kdcompress.runs.folder import RunFolder

HISTOLOGY = ("HP", "SSA")
SOURCE = "synthetic: drawn by kdcompress data make-synthetic"


def with_votes(path: Path, classes: tuple[str, ...] = HISTOLOGY, val: bool = True, groups: bool = False) -> Path:
    """A finished run whose images have the votes of seven annotators, most of them for the label."""
    run = RunFolder(make(path, "finished", classes=classes, size=64))
    labels, logits = logits_of(len(classes), 400, 0)
    beside: dict[str, Any] = {"votes": votes_of(labels, len(classes))}
    if groups:
        beside["groups"] = np.array([f"case {i // 8}" for i in range(400)])
    keep(run, "outputs/test.npz", labels, logits, beside)
    if val:
        keep(run, "outputs/val.npz", labels[:100], {role: one[:100] for role, one in logits.items()}, {})
    return path


def votes_of(labels: np.ndarray, classes: int) -> np.ndarray:
    """4, 5, 6 or 7 of 7 votes for the label, the others for the next class."""
    most = 4 + np.arange(len(labels)) // 2 % 4
    votes = np.zeros((len(labels), classes), np.int64)
    votes[np.arange(len(labels)), labels] = most
    votes[np.arange(len(labels)), (labels + 1) % classes] = 7 - most
    return votes


def keep(run: RunFolder, name: str, labels: np.ndarray, logits: dict[str, np.ndarray], beside: dict[str, Any]) -> None:
    ids = np.array([f"{Path(name).stem}/{i}" for i in range(len(labels))])
    write_npz(run / name, {"ids": ids, "labels": labels, **beside, **{f"{k}_logits": v for k, v in logits.items()}})
    run.commit(name)


def facts_of(path: Path) -> RunData:
    return load_run_data(RunFolder(path))


def pages(run: Path) -> tuple[str, str]:
    result = kdcompress.report(run)
    page = Path(result["report"]).read_text(encoding="utf-8")
    return unescape(page), Path(result["model_card"]).read_text(encoding="utf-8")


def test_the_headline_has_the_auc_first_with_its_interval_and_the_threshold(tmp_path: Path) -> None:
    run = facts_of(with_votes(tmp_path / "run"))
    rows = {row[0]: row[1:] for row in table(run).rows}
    labels = [row[0] for row in table(run).rows if row[0] not in ("parameters", "FLOPs")]
    assert labels[:3] == ["AUC", "  95 % interval", "accuracy"]
    student = run.test_metrics["student"]
    assert rows["AUC"][1] == f"{100 * student['auc']:.2f} %"
    first = next(row for row in table(run).rows if row[0] == "  95 % interval")
    assert first[2] == f"{100 * student['auc_low']:.2f}–{100 * student['auc_high']:.2f} %"
    assert re.fullmatch(r"[−+]?\d+\.\d\d to [−+]?\d+\.\d\d points", first[-1])
    assert rows["threshold of P(SSA)"][1] == f"{student['threshold']:.3f}"
    assert rows["  sensitivity at it"][1] == f"{100 * student['sensitivity']:.2f} %"
    assert verdict(run).count("95 % interval of the difference") == 2


def test_groups_and_a_run_without_validation_outputs_say_so(tmp_path: Path) -> None:
    run = facts_of(with_votes(tmp_path / "run", val=False, groups=True))
    labels = [row[0] for row in table(run).rows]
    assert "  95 % interval, over groups" in labels
    assert not any("threshold" in label for label in labels)
    rows = agreement.section(run).tables[0].rows  # type: ignore[union-attr]
    assert {tuple(row[-3:-1]) for row in rows} == {(MISSING, MISSING)}


def test_every_level_has_a_row_for_each_model(tmp_path: Path) -> None:
    run = facts_of(with_votes(tmp_path / "run"))
    section = agreement.section(run)
    assert section is not None
    rows = section.tables[0].rows
    assert [row[0] for row in rows] == [name for name in ("4/7", "5/7", "6/7", "7/7") for _ in range(3)]
    assert [row[1] for row in rows[:3]] == ["teacher", "student", "baseline"]
    level = run.test_metrics["student"]["by_agreement"][2]
    expected = [f"{100 * level[key]:.2f} %" for key in ("f1", "sensitivity", "specificity")]
    assert rows[7][2:] == ["100", f"{100 * level['accuracy']:.2f} %", f"{100 * level['auc']:.2f} %",
                           auc_interval(level), *expected,
                           f"{level['ece']:.4f}"]  # fmt: skip
    page, card = pages(tmp_path / "run")
    assert '<section id="agreement">' in page
    assert "AUC in %" in page
    assert "Metrics on test by agreement" in card


def test_more_classes_have_accuracy_and_calibration_by_agreement(tmp_path: Path) -> None:
    run = facts_of(with_votes(tmp_path / "run", classes=("a", "b", "c")))
    section = agreement.section(run)
    assert section is not None
    assert list(section.tables[0].head) == ["agreement", "model", "images", "accuracy", "calibration error"]
    assert "accuracy in %" in section.figures[0].svg


def test_without_votes_there_is_no_such_section(tmp_path: Path) -> None:
    page, card = pages(make(tmp_path / "run", "finished", classes=HISTOLOGY))
    assert 'id="agreement"' not in page
    assert "by agreement" not in card


@pytest.mark.parametrize("stage", ["begun", "finished"])
def test_synthetic_images_are_called_so_at_the_top_of_page_and_card(stage: str, tmp_path: Path) -> None:
    run = RunFolder(make(tmp_path / "run", stage, classes=HISTOLOGY))
    plain, _ = pages(run.path)
    assert "SYNTHETIC" not in plain
    run.update_manifest(dataset={"name": "mhist", "source": SOURCE, "fingerprint": "0" * 64, "n_train": 9, "n_val": 1,
                      "n_test": 400})  # fmt: skip
    page, card = pages(run.path)
    head = page[page.index("<h1") : page.index("</header>")]
    assert '<p class="notice" role="alert">SYNTHETIC images, not tissue' in head
    assert head.index("SYNTHETIC") < head.index('class="lead"')
    assert card.splitlines()[2].startswith("**SYNTHETIC images, not tissue")
    if stage == "finished":
        assert "Measured on SYNTHETIC images only" in card


def test_a_comparison_says_which_runs_are_synthetic(tmp_path: Path) -> None:
    runs = [make(tmp_path / name, "finished", classes=HISTOLOGY) for name in ("real", "drawn")]
    RunFolder(runs[1]).update_manifest(dataset={**RunFolder(runs[1]).manifest()["dataset"], "source": SOURCE})
    kdcompress.report(*runs, out=tmp_path)
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "SYNTHETIC images, not tissue" in page
    assert "(in drawn)" in page


def test_the_document_of_report_has_the_differences(tmp_path: Path) -> None:
    result = kdcompress.report(with_votes(tmp_path / "run"))
    json.dumps(result, allow_nan=False)
    found = result["comparison"]["auc_difference"]
    student, teacher = (result["metrics"][role]["auc"] for role in ("student", "teacher"))
    assert found["value"] == pytest.approx(student - teacher)
    assert found["low"] <= found["value"] <= found["high"]
