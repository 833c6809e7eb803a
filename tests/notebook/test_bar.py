"""The progress bar of notebooks, and what it leaves alone elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from kdcompress.notebook import _bar, for_notebooks
from kdcompress.notebook._bar import ProgressBar
from kdcompress.progress import Progress


class Display:
    """Stands for the display of a front end: keeps the last content."""

    def __init__(self) -> None:
        self.updates = 0
        self.html = ""

    def update(self, content: dict[str, str], raw: bool) -> None:
        self.updates += 1
        self.html = content["text/html"]


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Display:
    display = Display()
    monkeypatch.setattr(_bar, "_display", lambda content: display.update(content, raw=True) or display)
    return display


def row(loss: float) -> dict[str, float]:
    return {"loss": loss, "label_loss": loss, "accuracy": 0.5, "val_accuracy": 0.75, "seconds": 1.0}


def test_a_hundred_epochs_are_one_line_and_few_updates(display: Display) -> None:
    bar = ProgressBar()
    progress = Progress(bar, log=False)
    progress.begin("student", 1000)
    for epoch in range(1, 101):
        for step in range(10):
            progress.step(10 * (epoch - 1) + step + 1, {"loss": 0.5, "label_loss": 0.25, "accuracy": 0.9})
        progress.epoch("student", epoch, 100, row(1 / epoch))
    progress.end()
    bar.close()
    assert display.html.count("epoch ") == 1
    assert "1,000/1,000" in display.html
    assert "100%" in display.html
    assert "epoch 100/100  loss 0.0100 (label 0.0100)  val accuracy 75.00 %  1.0 s" in display.html
    assert "took 0:0" in display.html
    assert display.updates < 100


def test_a_phase_shows_its_losses_and_the_time_left_while_it_runs(
    display: Display, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    progress = Progress(ProgressBar(), log=False)
    progress.begin("student", 4, done=2)
    progress.step(3, {"loss": 0.5, "label_loss": 0.25, "accuracy": 0.9})
    assert 'value="0.7500"' in display.html
    assert "3/4  ·  loss 0.500 label 0.250" in display.html
    assert " left</td>" in display.html


def test_names_are_escaped_and_warnings_stand_out(display: Display) -> None:
    progress = Progress(ProgressBar(), log=False)
    progress.note("<script>alert(1)</script>\x1b[2J")
    progress.warn("at <b>chance</b>")
    progress.begin("<i>phase</i>", 1)
    assert "<script" not in display.html
    assert "\x1b" not in display.html
    assert "<b>Warning:</b> at &lt;b&gt;chance&lt;/b&gt;" in display.html
    assert "border-left" in display.html
    assert "&lt;i&gt;phase" in display.html


def test_many_notes_are_cut_and_all_is_said_as_text_too(display: Display) -> None:
    bar = ProgressBar()
    progress = Progress(bar, log=False)
    for number in range(9):
        progress.note(f"note {number}")
    progress.begin("labelling", 2)
    progress.step(1, {})
    assert "4 earlier notes are not shown" in display.html
    assert "note 3<" not in display.html
    assert bar.plain().splitlines() == ["labelling: 50%, 1/2", *(f"note {number}" for number in range(4, 9))]


def test_nothing_changes_outside_a_kernel(capfd: pytest.CaptureFixture[str]) -> None:
    @for_notebooks
    def verb(*, progress: Any = None) -> Any:
        """Its docstring."""
        return progress

    assert verb() is None
    given = Progress()
    assert verb(progress=given) is given
    assert verb.__doc__ == "Its docstring."
