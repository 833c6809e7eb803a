"""Figures of the literature beside ours: Hinton et al. 2015 and Mueller et al. 2020 on MNIST.

    python literature.py            the whole MNIST, 3 seeds (two hours and more on 2 cores): LITERATURE.md here
    python literature.py --quick    5,000 embedded digits, 1 seed (minutes)

Everything made lies in work/literature (or work-quick/literature), every figure in literature.json beside
LITERATURE.md, and what is there is not made again: stop it and start it as you like.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import hinton_2015
import literature_page
import mueller_2020
from literature_runs import Study
from tables import listener

HERE = Path(__file__).resolve().parent
PICTURE = "invented-subclasses.png"


def measure(study: Study, progress: Any) -> literature_page.Found:
    """Make whatever is missing, seed by seed, so that what is stopped has whole seeds.

    Args:
        study: How much is done.
        progress: Listener.
    """
    teacher = hinton_2015.measure_teacher(study, progress)
    pairs = [
        (mueller_2020.measure(study, seed, progress), hinton_2015.measure(study, seed, progress))
        for seed in study.seeds
    ]
    return literature_page.Found(teacher, [first for first, _ in pairs], [second for _, second in pairs])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="embedded digits, minutes")
    parser.add_argument("--seeds", type=int, help="number of seeds: 3, quick 1")
    arguments = parser.parse_args()
    quick = arguments.quick
    work = HERE / ("work-quick" if quick else "work") / "literature"
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(work.parent / "cache"))
    folder = work if quick else HERE
    recipe, seeds = ("mnist-demo", arguments.seeds or 1) if quick else ("mnist", arguments.seeds or 3)
    study = Study(recipe, range(seeds), work, folder / "literature.json", 4 if quick else None)
    found = measure(study, listener())
    mueller_2020.draw(found.mueller[0]["subclass"]["counts"], folder / PICTURE)
    results = folder / "LITERATURE.md"
    text = literature_page.page(found, study, f"literature.py{' --quick' if quick else ''}", PICTURE)
    results.write_text(text, encoding="utf-8")
    print(results)


if __name__ == "__main__":
    main()
