"""Hostile kinds through their most telling commands.

`make test` has the first kind of each family for each command, and a quarter of the others; `make exhaustive` has all
of them, and `torture.py` takes them through all commands.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from trust.cases import goes_off, run_kind
from trust.judge import problems
from trust.place import lay
from trust.registry import all_kinds
from trust.watch import changes
from trust.worker import Outcome, Worker

pytestmark = pytest.mark.slow

KINDS = all_kinds()
FUSED = [name for name, kind in KINDS.items() if kind.fuse]


def covering() -> set[str]:
    """The first kind of each family for each command, and every fourth of all."""
    first: dict[tuple[str, str], str] = {}
    for name, kind in KINDS.items():
        first.setdefault((kind.family, kind.commands[0]), name)
    return {*first.values(), *list(KINDS)[::4]}


COVERING = covering()
CHOSEN = [name if name in COVERING else pytest.param(name, marks=pytest.mark.exhaustive) for name in KINDS]


@pytest.fixture(scope="session")
def same_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all kinds: what is dear to make is made once, and holds its own absolute path."""
    return tmp_path_factory.mktemp("hostile")


@pytest.mark.parametrize("name", CHOSEN)
def test_a_hostile_file_does_nothing_and_is_told_in_one_line(name: str, worker: Worker, same_folder: Path) -> None:
    kind = KINDS[name]
    for case in run_kind(worker, kind, same_folder, kind.commands[:1]):
        assert not case.problems, f"{case.problems}; alone: {case.again}"


@pytest.mark.parametrize("name", FUSED[::4])
def test_a_payload_goes_off_where_nothing_guards(name: str, worker: Worker, tmp_path: Path) -> None:
    assert goes_off(worker, KINDS[name], tmp_path / "place")


def test_fresh_deletes_what_the_run_made_alone(worker: Worker, same_folder: Path) -> None:
    (case,) = run_kind(worker, KINDS["honest-run"], same_folder, ("run-clear",))
    assert not case.problems


def test_there_are_enough_kinds() -> None:
    assert len([kind for kind in KINDS.values() if not kind.sound]) >= 55


def test_the_watch_sees_what_was_deleted_changed_and_made(tmp_path: Path) -> None:
    place = lay(tmp_path / "place")
    before = place.watched()
    (place.outside / "canary.txt").unlink()
    (place.work / "canary.txt").write_text("changed")
    (place.run / "notes" / "diary.txt").write_text("changed")
    (place.root / "parent" / "new").symlink_to("sibling")
    (place.run / "metrics.json").write_text("a run's own")
    assert changes(before, place.watched()) == [
        "deleted outside/canary.txt",
        "changed parent/work/canary.txt",
        "changed the user's notes in the run: diary.txt",
        "made parent/new",
    ]


LINE = "kdcompress: bad.keras is damaged\n"


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (Outcome(1, "", LINE, 1, 1), ""),
        (Outcome(0, "a\tb\n", "WARNING: beware\n", 1, 1), ""),
        (Outcome(1, "", LINE + LINE, 1, 1), "no one line"),
        (Outcome(1, "", "kdcompress: unexpected KeyError: 'x'; --debug shows where\n", 1, 1), "unexpected"),
        (Outcome(1, "", "Traceback (most recent call last)\n" + LINE, 1, 1), "traceback"),
        (Outcome(0, "a\x1b[2J", "", 1, 1), "raw"),
        (Outcome(0, "a\u202eb", "", 1, 1), "raw"),
        (Outcome(-11, "", LINE, 1, 1), "exit code -11"),
        (Outcome(-9, "", "", 60, 1, "time"), "too much time"),
        (Outcome(0, "", "", 1, 1, "", ("python -m x",)), "process behind"),
    ],
)
def test_the_judge_finds_what_is_wrong(done: Outcome, said: str) -> None:
    found = problems(done, [], [])
    assert bool(found) == bool(said)
    assert said in "; ".join(found)
