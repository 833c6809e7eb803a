"""The paper's tables 1 to 3 and both hyper-parameter curves, from runs of our own.

    python tables.py            the whole MNIST: 3 teachers of each kind, 5 student seeds (hours on 2 cores)
    python tables.py --quick    5,000 embedded digits, one teacher of each kind, 2 student seeds (minutes)

Everything made lies in work/ (or work-quick/), and what is there is not made again: stop it and start it as you like.
It ends with RESULTS.md: the paper's figures, ours with their intervals, and whether they agree.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TABLE_3 = {"temperature": 16.0, "alpha": 0.3}


@dataclass(frozen=True)
class Plan:
    """How much of it is done: recipes by kind of teacher, seeds, and where."""

    plain: str
    subclass: dict[str, Any]
    teachers: range
    seeds: range
    few: range
    work: Path
    results: Path


FULL = Plan("mnist", {"recipe": "mnist-subclass"}, range(3), range(5), range(3), HERE / "work", HERE / "RESULTS.md")
QUICK = Plan(
    "mnist-demo",
    {"recipe": "mnist-demo", "method": "subclass"},
    range(1),
    range(2),
    range(2),
    HERE / "work-quick",
    HERE / "work-quick" / "RESULTS.md",
)


def distill(plan: Plan, name: str, teacher: int, seed: int, **choices: Any) -> dict[str, Any]:
    """The result of one run, made now or before."""
    import kdcompress
    from kdcompress.progress import Progress

    class Short(Progress):
        def note(self, text: str) -> None:
            if text.startswith(("teacher", "targets")):
                print(f"    {text}", flush=True)

    out = plan.work / "runs" / f"{name}-t{teacher}-s{seed}"
    start = time.perf_counter()
    choices = {"recipe": plan.plain, **choices}
    run = kdcompress.distill(out=out, seed=seed, settings={"teacher.seed": teacher}, progress=Short(), **choices)
    accuracy = {
        role: run.result[role]["metrics"]["accuracy"] for role in ("teacher", "student", "baseline") if run.result[role]
    }
    shown = ", ".join(f"{role} {100 * value:.2f}" for role, value in accuracy.items())
    print(f"{out.name}: {shown}  ({time.perf_counter() - start:.0f} s)", flush=True)
    return run.result


def runs(plan: Plan) -> dict[str, dict[tuple[int, int], dict[str, Any]]]:
    """The results of all runs of tables 1 to 3, by row, teacher and student seed; the baseline hangs on no teacher."""
    found: dict[str, dict[tuple[int, int], dict[str, Any]]] = {"kd": {}, "subclass": {}, "table3": {}}
    for teacher in plan.teachers:
        for seed in plan.seeds:
            baseline = teacher == plan.teachers[0]
            found["kd"][teacher, seed] = distill(plan, "kd", teacher, seed, baseline=baseline)
            found["subclass"][teacher, seed] = distill(plan, "subclass", teacher, seed, baseline=False, **plan.subclass)
            if seed in plan.few:
                found["table3"][teacher, seed] = distill(plan, "table3", teacher, seed, baseline=False, **TABLE_3)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="embedded digits, minutes")
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(plan.work / "cache"))
    runs(plan)


if __name__ == "__main__":
    main()
