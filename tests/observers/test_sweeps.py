"""What observers hear of a sweep, in one process and in several."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_runs
from conftest import Recorder
from watchers import Recording

import kdcompress
from kdcompress.events import EpochEnded, Note, PhaseEnded, PhaseStarted, RunStarted, Step, SweepFinished, WarningRaised
from kdcompress.progress import Progress
from kdcompress.sweeping._events import Trial, from_line, to_line


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_each_training_is_heard_by_its_name_and_the_terminal_leaves_it_out(
    jobs: int, tmp_path: Path, recorder: Recorder
) -> None:
    observer = Recording()
    result = kdcompress.sweep(
        "mnist-demo", temperatures=[2, 4], seeds=1, jobs=jobs, epochs=2, limit=320, out=tmp_path / "s",
        settings={**tiny_runs.TINY, "student.model": "tiny_models:plain"}, observers=observer, progress=recorder,
    )  # fmt: skip
    start, end = observer.events[0], observer.events[-1]
    assert isinstance(start, RunStarted)
    assert isinstance(end, SweepFinished)
    assert (start.run, start.resumed) == (tmp_path / "s", False)
    assert end.result == result
    assert observer.closed == 1
    heard = {(one.trial, one.phase, one.epoch) for one in observer.events if isinstance(one, EpochEnded)}
    students = {f"hinton T {t} alpha 0.5 seed 0" for t in (2, 4)}
    assert {one for one in heard if one[1] == "student"} == {(t, "student", e) for t in students for e in (1, 2)}
    assert {(phase, epoch) for _, phase, epoch in heard} == {(p, e) for p in ("student", "baseline") for e in (1, 2)}
    assert {one.phase for one in observer.events if isinstance(one, PhaseEnded) and one.trial} == {
        "student", "baseline",
    }  # fmt: skip
    assert "student" not in recorder.phases
    assert sum("seed 0: validation accuracy" in note for note in recorder.notes) == 2
    assert len(result["trials"]) == 2
    assert not [text for text in (*recorder.notes, *recorder.warnings) if "ended early" in text]


@pytest.mark.parametrize(
    "event",
    [
        Note(text="a\nb"),
        WarningRaised(text="x"),
        PhaseStarted(phase="student", trial="t", total=4, done=2),
        EpochEnded(phase="student", trial="t", epoch=1, epochs=2, metrics={"loss": 0.5}),
        PhaseEnded(phase="student"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_events_pass_between_processes(event: Note) -> None:
    line = to_line(event)
    assert "\n" not in line
    assert from_line(line) == event


@pytest.mark.parametrize("line", ["hello", "3", "{}", '{"event": "Step"}', '{"event": "Note"}', '{"event": []}', "[1]"])
def test_any_other_line_is_a_note(line: str) -> None:
    assert from_line(line) == Note(text=line)
    assert to_line(Step(phase="student", done=1, figures={})) == ""


def test_a_training_of_many_tells_neither_notes_nor_steps() -> None:
    class Heard(Recording):
        def observe(self, event: object) -> None:
            self._events.append(event)

    heard = Heard()
    trial = Trial(Progress(heard), "t")
    trial.note("x")
    trial.warn("y")
    trial.begin("student", 4)
    trial.step(1, {})
    trial.end()
    assert heard.events == [
        WarningRaised(text="y"),
        PhaseStarted(phase="student", trial="t", total=4, done=0),
        PhaseEnded(phase="student", trial="t"),
    ]
