"""Everything that is measured of a run, against values worked out by hand, scikit-learn, and runs of small models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_images import pictures
from sklearn.metrics import f1_score, recall_score, roc_auc_score
from two_class_runs import distill, distill_mhist

import kdcompress
from kdcompress.metrics.bootstrap import bootstrap_aucs
from kdcompress.metrics.classification import expected_calibration_error
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.outputs import Outputs, read_test_outputs, read_validation_outputs
from kdcompress.verification.outputs import measure_outputs

CLASSES = ["HP", "SSA"]


def outputs(n: int = 300, classes: int = 2, seed: int = 0, **beside: Any) -> Outputs:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = {}
    for role, strength in (("teacher", 2.0), ("student", 1.5), ("baseline", 1.0)):
        logits[role] = rng.normal(size=(n, classes)).astype(np.float32)
        logits[role][np.arange(n), labels] += strength
    return Outputs(np.array([f"i{i}" for i in range(n)]), labels, logits, **beside)


def test_two_classes_have_an_interval_a_threshold_and_the_rates_at_it() -> None:
    test, val = outputs(), outputs(seed=1)
    measures, comparison = measure_outputs(test, val, CLASSES)
    assert set(measures) == {"teacher", "student", "baseline"}
    student, logits = measures["student"], test.logits["student"].astype(float)
    chance = np.exp(logits[:, 1]) / np.exp(logits).sum(1)
    told = chance >= student["threshold"]
    assert student["auc"] == pytest.approx(roc_auc_score(test.labels, chance))
    assert student["auc_low"] < student["auc"] < student["auc_high"]
    assert student["auc_interval_over"] == "images"
    assert student["sensitivity"] == pytest.approx(recall_score(test.labels, told))
    assert student["specificity"] == pytest.approx(recall_score(test.labels, told, pos_label=0))
    assert student["f1_at_threshold"] == pytest.approx(f1_score(test.labels, told))
    assert student["f1"] == pytest.approx(f1_score(test.labels, chance > 0.5))
    assert student["by_agreement"] is None
    found = bootstrap_aucs(test.logits, test.labels)
    assert comparison["auc_difference"] == found.difference("student", "teacher")
    assert comparison["auc_gain"] == found.difference("student", "baseline")
    assert comparison["mcnemar"]["p"] <= 1


def test_the_threshold_is_not_chosen_on_test() -> None:
    test, val = outputs(), outputs(seed=1)
    first, _ = measure_outputs(test, val, CLASSES)
    other, _ = measure_outputs(outputs(seed=5), val, CLASSES)
    assert first["student"]["threshold"] == other["student"]["threshold"]
    assert first["student"]["threshold"] != first["teacher"]["threshold"]  # each model has its own
    without, _ = measure_outputs(test, None, CLASSES)
    at = ("threshold", "sensitivity", "specificity", "f1_at_threshold")
    assert [without["student"][key] for key in at] == [None] * 4
    assert without["student"]["auc"] == first["student"]["auc"]


def test_levels_of_agreement_by_hand() -> None:
    # Two images that all three annotators agree on, three that one of them sees otherwise, and one without votes
    votes = np.array([[3, 0], [0, 3], [2, 1], [1, 2], [2, 1], [0, 0]])
    labels = np.array([0, 1, 0, 1, 0, 1])
    margin = np.array([-2.0, 3.0, 1.0, 0.5, -1.0, 4.0])
    logits = np.stack([0 * margin, margin], axis=1).astype(np.float32)
    test = Outputs(labels.astype(str), labels, {"teacher": logits, "student": logits}, votes=votes)
    low, high = np.array([[0, 0], [0, 1]], np.float32), np.array([0, 1])  # P(second) 0.5 and 0.73: threshold 0.616
    measures, _ = measure_outputs(test, Outputs(high.astype(str), high, {"student": low}), CLASSES)
    assert measures["teacher"]["threshold"] is None  # its answers on validation were not kept
    doubted, sure = measures["student"]["by_agreement"]
    assert (doubted["agreement"], doubted["n"], sure["agreement"], sure["n"]) == ("2/3", 3, "3/3", 2)
    # 1.0 (of class 0) lies above 0.5 (of class 1), -1.0 below: one of two pairs. By the largest logit 0.5 is found,
    # and 1.0 a false alarm; at the threshold (P >= 0.616, a margin of 0.47) the same
    assert doubted["accuracy"] == pytest.approx(2 / 3)
    assert doubted["auc"] == 0.5
    assert doubted["f1"] == pytest.approx(2 / 3)
    assert (doubted["sensitivity"], doubted["specificity"]) == (1.0, 0.5)
    assert doubted["ece"] == pytest.approx(expected_calibration_error(logits[2:5], labels[2:5]))
    assert (doubted["auc_low"], doubted["auc_high"]) == (None, None)  # one image of class 1 cannot vary
    assert (sure["accuracy"], sure["auc"], sure["f1"]) == (1.0, 1.0, 1.0)


def test_a_level_of_one_class_has_no_auc_and_no_f1() -> None:
    test, val = outputs(votes=np.array([[7, 0], [3, 4], [4, 3]] * 100)), outputs(seed=1)
    test.labels[:] = [0, 1, 0] * 100
    doubted, sure = measure_outputs(test, val, CLASSES)[0]["student"]["by_agreement"]
    assert (doubted["agreement"], doubted["n"]) == ("4/7", 200)
    assert doubted["auc_low"] <= doubted["auc"] <= doubted["auc_high"]
    assert [sure[key] for key in ("auc", "auc_low", "auc_high", "f1", "sensitivity")] == [None] * 5
    assert 0 <= sure["specificity"] <= 1


def test_more_classes_have_accuracy_and_calibration_by_level() -> None:
    votes = np.array([[5, 0, 0], [2, 2, 1], [1, 1, 3]] * 40)
    measures, comparison = measure_outputs(outputs(120, 3, votes=votes), outputs(50, 3, 1), ["a", "b", "c"])
    levels = measures["student"]["by_agreement"]
    assert [(one["agreement"], one["n"]) for one in levels] == [("2/5", 40), ("3/5", 40), ("5/5", 40)]
    assert set(levels[0]) == {"agreement", "n", "accuracy", "ece"}
    assert "auc" not in measures["student"]
    assert "auc_difference" not in comparison


def test_answers_that_are_no_numbers_leave_what_depends_on_them_none() -> None:
    test, val = outputs(votes=np.array([[7, 0], [3, 4]] * 150)), outputs(seed=1)
    test.logits["student"][:3] = np.nan
    val.logits["teacher"][0] = np.inf
    measures, comparison = measure_outputs(test, val, CLASSES)
    assert [measures["student"][key] for key in ("auc", "auc_low", "ece")] == [None] * 3
    assert measures["student"]["sensitivity"] < 1
    assert measures["teacher"]["threshold"] is None
    assert comparison["auc_difference"] is None


def test_a_run_keeps_its_answers_on_validation_and_the_votes(tmp_path: Path) -> None:
    run = distill_mhist(tmp_path)
    test, val = read_test_outputs(RunFolder(run.path)), read_validation_outputs(RunFolder(run.path))
    assert val is not None
    assert (len(test.ids), len(val.ids)) == (32, run.result["dataset"]["n_val"])
    assert set(val.logits) == set(test.logits) == {"teacher", "student", "baseline"}
    assert test.groups is None
    assert test.votes is not None
    assert val.votes is not None
    assert test.votes.tolist() == [[7 - i % 8, i % 8] for i in range(64, 96)]
    assert ((val.votes[:, 1] >= 4) == val.labels).all()
    found = kdcompress.verify(run.path)
    measured = measure_outputs(test, val, CLASSES)[0]["student"]
    assert found["student"]["metrics"] == measured
    assert run.result["student"]["metrics"] == {key: measured[key] for key in ("accuracy", "auc")}
    assert [one["agreement"] for one in measured["by_agreement"]] == ["4/7", "5/7", "6/7", "7/7"]
    # An old run has neither
    held = RunFolder(run.path)
    files = held.manifest()["files"]
    del files["outputs/val.npz"]
    held.update_manifest(files=files)
    assert kdcompress.verify(run.path)["student"]["metrics"]["threshold"] is None


def test_whole_groups_are_resampled_where_the_data_have_them(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "own", 30, size=(12, 12))
    data = {"name": "folder", "dir": str(folder), "group": "([^/]+)-[^/]*$"}
    run = distill(tmp_path / "run", data)
    test = read_test_outputs(RunFolder(run.path))
    assert test.groups is not None
    assert len(test.groups) == len(test.ids) > len(set(test.groups.tolist()))
    assert kdcompress.verify(run.path)["teacher"]["metrics"]["auc_interval_over"] == "groups"
