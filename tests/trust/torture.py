"""Everything: all hostile kinds through all commands that open them, many damages, many kills, full disks.

python tests/trust/torture.py [--corruptions 500] [--kills 110] [--seed 0] [--out FILE.json]

Prints a table in Markdown, and how to run again what failed; exit code 1 if anything did. It takes about half an hour.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[1])

from trust.cases import Case, goes_off, run_kind  # noqa: E402
from trust.corrupt import ERROR, FINGERPRINT, SAME, WRONG, Corrupter, Damage  # noqa: E402
from trust.disk import DISKS, Full, NoMounts, run_full  # noqa: E402
from trust.kill import Kill, Killer  # noqa: E402
from trust.registry import Kind, all_kinds  # noqa: E402
from trust.worker import Worker  # noqa: E402


@dataclass
class Tally:
    """All that was tried."""

    cases: list[Case] = field(default_factory=list)
    duds: list[str] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    disks: list[Full] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def failures(self) -> Iterator[tuple[str, list[str], str]]:
        """(what, what is wrong, how to run it again)."""
        for case in self.cases:
            yield f"{case.kind}, {case.command}", case.problems, case.again
        for one in self.damages:
            yield f"corruption {one.number}: {one.scenario}, {one.damage} {one.file}", one.problems, one.again
        for kill in self.kills:
            yield f"kill {kill.number}: {kill.job}, {kill.moment}", kill.problems, kill.again
        for full in self.disks:
            yield f"full disk: {full.command}, {full.kilobytes} kB left", full.problems, full.again
        for name in self.duds:
            yield name, ["its payload does not go off where nothing guards"], f"--only {name}"


def hostile(worker: Worker, folder: Path, kinds: list[Kind], command: str | None, tally: Tally) -> None:
    """Every kind through every command that opens it."""
    for kind in kinds:
        if kind.fuse and not goes_off(worker, kind, folder / "fuses" / kind.name):
            tally.duds.append(kind.name)
        for case in run_kind(worker, kind, folder / "cases", [command] if command else ()):
            tally.cases.append(case)
            say(case.problems, f"{case.kind}, {case.command}", case.outcome.seconds)


def say(problems: list[str], what: str, seconds: float = 0.0) -> None:
    """A line for whoever waits."""
    print(
        f"{'FAILED' if problems else 'ok':<6} {what}  {seconds:.1f} s  {'; '.join(problems)}",
        file=sys.stderr,
        flush=True,
    )


def full_disks(worker: Worker, folder: Path, names: list[str], tally: Tally) -> None:
    """Every command on disks with several amounts of space left."""
    for name in names:
        for kilobytes in DISKS[name][1]:
            try:
                tally.disks.append(run_full(worker, folder / "disks", name, kilobytes))
            except NoMounts as exc:
                tally.notes.append(f"full disks were not tried: {exc}")
                return
            say(tally.disks[-1].problems, f"full disk: {name}, {kilobytes} kB left")


def table(tally: Tally) -> str:
    """What was tried and what came of it, in Markdown."""
    judged = [case for case in tally.cases if not case.skipped]
    by_verdict = Counter(one.verdict for one in tally.damages)
    rows: list[tuple[str, Any]] = [
        ("kinds of hostile files", len({case.kind for case in judged})),
        ("commands run on them", len(judged)),
        ("payloads executed", sum(bool(case.fired) for case in judged)),
        ("commands that touched files outside", sum(bool(case.touched) for case in judged)),
        ("commands that failed a rule", sum(bool(case.problems) for case in judged)),
        ("damaged files", len(tally.damages)),
        *((f"- {verdict}", by_verdict[verdict]) for verdict in (ERROR, SAME, FINGERPRINT)),
        ("- another answer in silence, or no clear error", by_verdict[WRONG]),
        ("commands killed at work", sum(kill.landed for kill in tally.kills)),
        ("- results lost", sum(kill.lost for kill in tally.kills)),
        ("- given again, with the same result and nothing left behind", sum(not kill.problems for kill in tally.kills)),
        ("full disks", len(tally.disks)),
        ("- one line, nothing half-written, goes on", sum(not full.problems for full in tally.disks)),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value:,} |" for name, value in rows)])


def by_family(tally: Tally) -> str:
    """Kinds and commands by family, in Markdown."""
    kinds = all_kinds()
    lines = ["| family | kinds | commands | executed | outside touched | failed |", "|---|---|---|---|---|---|"]
    for family in sorted({kinds[case.kind].family for case in tally.cases}):
        of_it = [case for case in tally.cases if kinds[case.kind].family == family and not case.skipped]
        counts = (len({case.kind for case in of_it}), len(of_it), sum(bool(case.fired) for case in of_it),
                  sum(bool(case.touched) for case in of_it), sum(bool(case.problems) for case in of_it))  # fmt: skip
        lines.append(f"| {family.replace('_', ' ')} | {' | '.join(f'{count:,}' for count in counts)} |")
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corruptions", type=int, default=500)
    parser.add_argument("--kills", type=int, default=110)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="also write everything as JSON")
    parser.add_argument("--only", help="hostile kinds of this name, or of this family, alone")
    parser.add_argument("--command", help="this command alone")
    parser.add_argument("--only-corruption", type=int, help="the corruption of this number alone")
    parser.add_argument("--only-kill", type=int, help="the kill of this number alone")
    parser.add_argument("--only-disk", help="this command on full disks alone")
    return parser.parse_args()


def run(asked: argparse.Namespace, worker: Worker, folder: Path) -> Tally:
    """Everything that was asked for."""
    tally = Tally()
    alone = {asked.only, asked.only_corruption, asked.only_kill, asked.only_disk} != {None}
    kinds = [kind for kind in all_kinds().values() if asked.only in (None, kind.name, kind.family)]
    if asked.only or not alone:
        hostile(worker, folder, kinds, asked.command, tally)
    damages = _numbers(asked.only_corruption, asked.corruptions, alone)
    for damage in Corrupter(worker, folder / "corruptions", asked.seed).run(damages):
        tally.damages.append(damage)
        say(damage.problems, f"corruption {damage.number}: {damage.scenario}, {damage.damage} {damage.file}")
    for kill in Killer(worker, folder / "kills", asked.seed).run(_numbers(asked.only_kill, asked.kills, alone)):
        tally.kills.append(kill)
        say(kill.problems, f"kill {kill.number}: {kill.job}, {kill.moment}")
    if asked.only_disk or not alone:
        full_disks(worker, folder, [asked.only_disk] if asked.only_disk else list(DISKS), tally)
    return tally


def _numbers(only: int | None, count: int, alone: bool) -> range:
    return range(0 if alone else count) if only is None else range(only, only + 1)


def main() -> int:
    """The command."""
    asked, begin = parsed(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as name, Worker(Path(name) / "io") as worker:
        tally = run(asked, worker, Path(name))
    print(f"{table(tally)}\n\n{by_family(tally)}\n\n{time.monotonic() - begin:,.0f} s, seed {asked.seed}")
    failed = [one for one in tally.failures() if one[1]]
    for note in tally.notes:
        print(note)
    for what, problems, again in failed:
        print(f"\nFAILED {what}\n  {'; '.join(problems)}\n  {again}")
    if asked.out:
        asked.out.write_text(json.dumps(asdict(tally), indent=1, default=str), encoding="utf-8")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
