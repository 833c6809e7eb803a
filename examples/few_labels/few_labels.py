"""Few labels and many images: what a student learns of them alone, of pseudo-labels, and of its teacher.

    python few_labels.py            MNIST and EBHI-Seg at 96 px, 3 seeds (hours on 2 cores): FEW_LABELS.md here
    python few_labels.py --quick    5,000 embedded digits, 2 seeds (minutes), into work-quick/
    python few_labels.py --only mnist

Everything made lies in work/ (or work-quick/), every figure in few_labels.json beside FEW_LABELS.md, and what is there
is not made again: stop it and start it as you like. EBHI-Seg is found as `kdcompress data get ebhi-seg` says.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mhist"))
from tables import EBHI, listener, stages, weights
from tabling import grid, interval_text, points_text, processor, write_figures

from kdcompress._version import __version__
from kdcompress.sweeping._gain import mean_interval, paired_gain

HERE = Path(__file__).resolve().parent
ALONE = "student alone, on the labelled images"
ARMS: dict[str, Mapping[str, Any]] = {
    ALONE: {"method.name": "none", "split.rest": "left out"},
    "KD on the labelled images": {"split.rest": "left out"},
    "hard pseudo-labels, with the images without labels": {"method.name": "pseudo", "split.rest": "unlabelled"},
    "KD, with the images without labels": {"split.rest": "unlabelled"},
}
TEACHERS = {"all": "A teacher that has seen all labels", "kept": "A teacher that has the few labels alone"}


@dataclass(frozen=True)
class Study:
    """A data set with few labels.

    Attributes:
        title: Its name in what is written.
        recipe: Name of the recipe, whose method is KD.
        labels: Number of labels of each class.
        metric: auc or accuracy.
        settings: Settings of all students.
        kept: Settings of a teacher that has the few labels alone, which needs more epochs of them.
        note: What else was set, for the reader.
    """

    title: str
    recipe: str
    labels: int
    metric: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


STUDIES = {
    "mnist": Study(
        "MNIST",
        "mnist-few",
        100,
        "accuracy",
        kept={"teacher.training.epochs": 100, "teacher.training.batch_size": 64},
        note="The paper's CNN teacher and MLP student, T = 4, alpha = 0.5.",
    ),
    "ebhi": Study(
        "EBHI-Seg at 96 px",
        "ebhi",
        20,
        "auc",
        settings=EBHI.settings,
        kept={"teacher.training.stages": stages("conv5_block1_preact_bn", 60, 40)},
        note="ResNet50V2 and MobileNetV2 from ImageNet weights, T = 1, alpha = 0.3, as in the histology example.",
    ),
}
DEMO = Study(
    "5,000 embedded digits",
    "mnist-demo",
    10,
    "accuracy",
    settings={"training.epochs": 6},
    kept={"teacher.training.epochs": 20, "teacher.training.batch_size": 32},
    note="It shows that the parts work, not how well they do.",
)


def name_of(teacher: str, arm: str, seed: int) -> str:
    """The key of a row in the figures; a student alone has no teacher."""
    return f"{arm if arm == ALONE else f'{TEACHERS[teacher]}: {arm}'}, seed {seed}"


def collect(studies: Mapping[str, Study], seeds: range, work: Path, figures: Path, progress: Any) -> dict[str, Any]:
    """Train every student that is not among the figures, and add it to them.

    Returns:
        By the key of a study and `name_of`, what was measured: `metric`, `teacher`, `dataset` and `seconds`.
    """
    known: dict[str, Any] = json.loads(figures.read_text()) if figures.exists() else {}
    for teacher, (key, study), seed in itertools.product(TEACHERS, studies.items(), seeds):
        rows = known.setdefault(key, {})
        for number, arm in enumerate(ARMS):
            name = name_of(teacher, arm, seed)
            if name in rows:
                continue
            rows[name] = measure(study, teacher, arm, seed, work / f"{key}-{teacher}-{number}-s{seed}", progress)
            print(f"{key}: {name}: {100 * rows[name]['metric']:.2f} %", flush=True)
            write_figures(figures, known)
    return known


def measure(study: Study, teacher: str, arm: str, seed: int, out: Path, progress: Any) -> dict[str, Any]:
    """Train one student and look at test."""
    import kdcompress

    start = time.perf_counter()
    settings = {**(weights() if study.recipe == "ebhi" else {}), **study.settings, **ARMS[arm]}
    settings |= {"split.labels_per_class": study.labels, "split.labels_seed": seed, "teacher.labels": teacher}
    if teacher == "kept":
        settings |= {**study.kept, "teacher.seed": seed}
    run = kdcompress.distill(study.recipe, out=out, seed=seed, baseline=False, settings=settings, progress=progress)
    data, result = run.result["dataset"], run.result
    return {
        "metric": result["student"]["metrics"][study.metric],
        "teacher": None if arm == ALONE else result["teacher"]["metrics"][study.metric],
        "dataset": {
            name: data[name] for name in ("name", "n_train", "n_val", "n_test", "n_unlabelled") if name in data
        },
        "seconds": round(time.perf_counter() - start),
    }


def complete(rows: Mapping[str, Any], seeds: Sequence[int]) -> list[str]:
    """The teachers of whom every student was measured."""
    return [one for one in TEACHERS if all(name_of(one, arm, seed) in rows for arm in ARMS for seed in seeds)]


def describe(study: Study, rows: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """The section of a data set in Markdown: its sizes, and for each teacher the students and their gains."""
    name = "AUC" if study.metric == "auc" else study.metric
    sizes = rows[name_of("all", "KD, with the images without labels", seeds[0])]["dataset"]
    parts = [
        f"## {study.title}: {study.labels} labels of each class",
        f"{sizes['n_train']:,} labelled images to train on, {sizes['n_val']:,} to choose epochs by, "
        f"{sizes['n_unlabelled']:,} without labels, {sizes['n_test']:,} to test. {study.note}",
    ]
    for teacher in complete(rows, seeds):
        values = {arm: [rows[name_of(teacher, arm, seed)]["metric"] for seed in seeds] for arm in ARMS}
        teachers = [rows[name_of(teacher, list(ARMS)[1], seed)]["teacher"] for seed in seeds]
        table = [
            [
                arm,
                interval_text(mean_interval(found)),
                "" if arm == ALONE else points_text(paired_gain(found, values[ALONE])),
            ]
            for arm, found in values.items()
        ]
        shown = ", ".join(dict.fromkeys(f"{100 * one:.2f} %" for one in teachers))
        head = ["", f"{name} on test, % (95 %)", "gain over alone, points (95 %)"]
        parts += [f"**{TEACHERS[teacher]}** ({name} {shown}):", grid(head, table)]
    return "\n\n".join(parts)


def write_results(
    found: Mapping[str, Any], studies: Mapping[str, Study], seeds: range, command: str, path: Path
) -> None:
    """Write FEW_LABELS.md of what is complete."""
    text = f"""# Few labels, many images

`python {command}` on {datetime.date.today()}, kdcompress {__version__}, {processor()}; {len(seeds)} seeds,
each with labels, initial weights and order of batches of its own. All students take as many steps. Gains are paired by
seed; intervals are Student's t.

A teacher that has seen all labels is one for all seeds: the large model that exists already. One that has the few
labels alone is trained anew on those of each seed. Validation has as small a share of its labels as train.

{chr(10).join(describe(study, found[key], seeds) + chr(10) for key, study in studies.items())}"""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="embedded digits, minutes")
    parser.add_argument("--only", choices=STUDIES, help="one data set; FEW_LABELS.md has what is complete")
    parser.add_argument("--seeds", type=int, help="number of seeds: 3, quick 2")
    asked = parser.parse_args()
    work = HERE / ("work-quick" if asked.quick else "work")
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(work / "cache"))
    seeds, folder = range(asked.seeds or (2 if asked.quick else 3)), work if asked.quick else HERE
    studies = {"demo": DEMO} if asked.quick else STUDIES
    figures = folder / "few_labels.json"
    wanted = {key: study for key, study in studies.items() if asked.quick or asked.only in (None, key)}
    found = collect(wanted, seeds, work, figures, listener())
    done = {key: study for key, study in studies.items() if complete(found.get(key, {}), seeds)}
    command = f"few_labels.py{' --quick' if asked.quick else ''}"
    write_results(found, done, seeds, command, folder / "FEW_LABELS.md")


if __name__ == "__main__":
    main()
