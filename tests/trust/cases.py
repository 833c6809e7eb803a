"""One command on one hostile file, and what was wrong with how it went."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trust.commands import CLEAR, INSIDE, arguments
from trust.judge import problems
from trust.place import Place, lay
from trust.registry import Kind
from trust.watch import changes
from trust.worker import Outcome, Worker

_MISSING = "No such option"


@dataclass(frozen=True)
class Case:
    """What came of one command on one kind; `skipped` says why it was not judged."""

    kind: str
    command: str
    problems: list[str]
    outcome: Outcome
    skipped: str = ""
    fired: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)

    @property
    def again(self) -> str:
        """How to run it alone."""
        return f"python tests/trust/torture.py --only {self.kind} --command {self.command}"


def run_kind(worker: Worker, kind: Kind, folder: Path, commands: Sequence[str] = ()) -> Iterator[Case]:
    """The commands (by default all of the kind) on one hostile file, each on a fresh copy of its place."""
    root, kept = folder / "place", folder / "kept"
    for path in (root, kept):
        shutil.rmtree(path, ignore_errors=True)
    place = lay(root)
    worker.call("trust.registry:build", kind.name, str(root), cwd=place.work)
    subprocess.run(["cp", "-a", str(root), str(kept)], check=True)
    for command in commands or kind.commands:
        shutil.rmtree(root)
        subprocess.run(["cp", "-a", str(kept), str(root)], check=True)
        yield _run(worker, kind, place, command)
    shutil.rmtree(root)
    shutil.rmtree(kept)


def goes_off(worker: Worker, kind: Kind, folder: Path) -> bool:
    """Whether the payload of a kind that has a fuse does leave its mark where nothing guards."""
    place = lay(folder)
    worker.call("trust.registry:build", kind.name, str(folder), cwd=place.work)
    worker.call(f"trust.fuses:{kind.fuse}", str(place.work / kind.at), cwd=place.work)
    return bool(place.fired)


def _run(worker: Worker, kind: Kind, place: Place, command: str) -> Case:
    before = place.watched()
    args = arguments(command, kind.at)
    cwd = place.run if command.startswith(INSIDE) else place.work
    done = worker.run(args, cwd, place.environment, fresh=kind.fresh)
    if _MISSING in done.err:
        return Case(kind.name, command, [], done, skipped=f"{command}: there is no such option yet")
    fired, touched = place.fired, changes(before, place.watched())
    wrong = problems(done, fired, touched)
    if not wrong and command in kind.refused and done.exit == 0:
        wrong.append("is taken in silence: it must be refused")
    if not wrong and command == CLEAR and (place.run / "metrics.json").exists() and kind.sound:
        wrong.append("does not delete what the run made, so that nothing is told of what else it might delete")
    if not wrong and kind.sound and done.exit != 0 and command != CLEAR:
        wrong.append(f"an honest file is refused: {done.last[:300]}")
    wrong += [f"leaves {path.name} behind" for path in (place.root / "tmp").iterdir() if _ours(path)]
    return Case(kind.name, command, wrong, done, fired=fired, touched=touched)


def _ours(path: Path) -> bool:
    return path.name.startswith(("tmp", "kdcompress"))
