"""The paper's tables 1 to 3 and both hyper-parameter curves, from runs of our own.

    python tables.py            the whole MNIST: 3 teachers of each kind, 5 student seeds (hours on 2 cores)
    python tables.py --quick    5,000 embedded digits, one teacher of each kind, 2 student seeds (minutes)

Everything made lies in work/ (or work-quick/), and what is there is not made again: stop it and start it as you like.
It ends with RESULTS.md: each of the paper's figures, ours with its interval, and whether it lies in there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import write_results
from tabling import counting, seconds_of

HERE = Path(__file__).resolve().parent
TABLE_3 = {"temperature": 16.0, "alpha": 0.3}
CURVES = {
    "temperature": {"temperatures": [1, 2, 4, 16, 32, 64], "alphas": [0.5]},
    "alpha": {"temperatures": [16], "alphas": [0.1, 0.3, 0.5, 0.7, 0.9]},
}


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
    command: str


FULL = Plan(
    "mnist", {"recipe": "mnist-subclass"}, range(3), range(5), range(3), HERE / "work", HERE / "RESULTS.md", "tables.py"
)
QUICK = Plan(
    "mnist-demo",
    {"recipe": "mnist-demo", "method": "subclass"},
    range(1),
    range(2),
    range(2),
    HERE / "work-quick",
    HERE / "work-quick" / "RESULTS.md",
    "tables.py --quick",
)


def listener() -> Any:
    """Says what takes minutes, and nothing of single epochs."""
    from kdcompress.progress import Progress

    class Short(Progress):
        def note(self, text: str) -> None:
            print(f"    {text}", flush=True)

    return Short()


def distill(plan: Plan, name: str, teacher: int, seed: int, **choices: Any) -> dict[str, Any]:
    """The result of one run, made now or before, with the folder that it lies in."""
    import kdcompress

    out = plan.work / "runs" / f"{name}-t{teacher}-s{seed}"
    start = time.perf_counter()
    choices = {"recipe": plan.plain, **choices}
    run = kdcompress.distill(out=out, seed=seed, settings={"teacher.seed": teacher}, progress=listener(), **choices)
    accuracy = {
        role: run.result[role]["metrics"]["accuracy"] for role in ("teacher", "student", "baseline") if run.result[role]
    }
    shown = ", ".join(f"{role} {100 * value:.2f}" for role, value in accuracy.items())
    print(f"{out.name}: {shown}  ({time.perf_counter() - start:.0f} s)", flush=True)
    return {"out": out, **run.result}


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


def curves(plan: Plan) -> dict[str, dict[str, Any]]:
    """The sweeps behind the paper's two curves, on its first teacher; their pages go beside RESULTS.md."""
    import kdcompress

    found = {}
    for name, tried in CURVES.items():
        folder = plan.work / "sweeps" / name
        found[name] = kdcompress.sweep(
            plan.plain, **tried, seeds=len(plan.few), out=folder, progress=listener(), settings={"teacher.seed": 0}
        )
        page = Path(kdcompress.report(folder, out=plan.work / "pages" / name)["report"])
        shutil.copyfile(page, plan.work / "pages" / f"{name}.html")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="embedded digits, minutes")
    plan = QUICK if parser.parse_args().quick else FULL
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(plan.work / "cache"))
    import kdcompress

    with counting(plan.work):
        results, sweeps = runs(plan), curves(plan)
        counted = kdcompress.verify(results["kd"][0, 0]["out"])
    write_results(plan, results, sweeps, counted, seconds_of(plan.work))
    print(plan.results)


if __name__ == "__main__":
    main()
