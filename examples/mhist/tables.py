"""The paper's tables 4 and 5 (MHIST), from runs of our own.

    python tables.py --data-dir MHIST      the real MHIST, 224 px, trained as the paper did: days on 2 cores
    python tables.py --ebhi                EBHI-Seg, open to anyone, cut to what 2 cores do in an hour
    python tables.py --quick               drawn images, 96 px, one seed, three rows: minutes

Everything made lies in work-NAME/, and what is there is not made again: stop it and start it as you like. It ends with
the paper's figures beside ours: RESULTS.md of EBHI-Seg here, that of the others in their folder.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from results import Row, write_results
from tabling import counting, seconds_of

HERE = Path(__file__).resolve().parent
WEIGHTS = {
    "teacher": "resnet50v2_224_conv1_to_conv4.h5",
    "student": "mobilenet_v2_1.0_224_no_top.h5",
}
Stages = list[dict[str, Any]]


@dataclass(frozen=True)
class Plan:
    """How much of it is done: recipes, their settings with and without transfer learning, seeds, and where."""

    name: str
    recipe: str
    seeds: range
    settings: Mapping[str, Any] = field(default_factory=dict)
    without: Mapping[str, Any] = field(default_factory=dict)
    transfer: bool = True
    synthetic: int = 0  # images to draw first
    note: str = ""

    @property
    def work(self) -> Path:
        return HERE / f"work-{self.name}"

    @property
    def results(self) -> Path:
        return HERE / "RESULTS.md" if self.name == "ebhi" else self.work / "RESULTS.md"


def stages(first: str, epochs: int, then: int, rate: float = 1e-4) -> Stages:
    return [
        {"trainable": first, "epochs": epochs, "learning_rate": 1e-3},
        {"trainable": "all", "epochs": then, "learning_rate": rate},
    ]


def everything(epochs: int) -> Stages:
    return [{"trainable": "all", "epochs": epochs, "learning_rate": 1e-3}]


FROM_NOTHING = {"teacher.pretrained": "none", "student.pretrained": "none"}
FULL = Plan(
    "mhist",
    "mhist",
    range(3),
    without={**FROM_NOTHING, "teacher.training.stages": everything(35), "training.stages": everything(35)},
)
EBHI = Plan(
    "ebhi",
    "ebhi",
    range(3),
    settings={
        "data.size": 96,
        "views.count": 4,
        "teacher.training.stages": stages("conv5_block1_preact_bn", 5, 4),
        "training.stages": stages("head", 5, 8),
    },
    without={**FROM_NOTHING, "teacher.training.stages": everything(9), "training.stages": everything(13)},
    note=(
        "Cut to what 2 cores do in an hour: images of 96 px in place of 224, 4 views in place of 8; the "
        "teacher's last block and head are trained for 5 epochs on frozen layers and then all of it for 4 (its "
        "ImageNet weights end before that block, which starts fresh), the student's head for 5 and all of it for 8; "
        "without transfer learning all layers for as many epochs. The paper has 10 and 25."
    ),
)
QUICK = Plan(
    "quick",
    "mhist",
    range(1),
    settings={
        "data.size": 96,
        "views.count": 4,
        "teacher.training.stages": stages("conv5_block1_preact_bn", 4, 3),
        "training.stages": stages("head", 4, 8),
    },
    transfer=False,
    synthetic=900,
    note="Drawn images of 96 px, one seed: it shows that the parts work, not how well they do on tissue.",
)
FROM_RANDOM = {**FROM_NOTHING, "teacher.training.stages": everything(6), "training.stages": everything(12)}


def listener() -> Any:
    """Says what takes minutes, and nothing of single epochs."""
    from kdcompress.progress import Progress

    class Short(Progress):
        def note(self, text: str) -> None:
            print(f"    {text}", flush=True)

    return Short()


def weights() -> dict[str, str]:
    """ImageNet weights that lie in KDCOMPRESS_DATA_DIR/weights; without them, Keras downloads its own."""
    folder = Path(os.environ.get("KDCOMPRESS_DATA_DIR", "")) / "weights"
    return {f"{role}.pretrained": str(folder / name) for role, name in WEIGHTS.items() if (folder / name).is_file()}


def quick() -> Plan:
    """From ImageNet weights if they are at hand, for a download would take longer than the rest; else from nothing."""
    from kdcompress.models import mobilenetv2, resnet50v2

    found, models = weights(), {"teacher": resnet50v2, "student": mobilenetv2}
    at_hand = [
        f"{role}.pretrained" in found or model.published((96, 96, 3)).path.is_file() for role, model in models.items()
    ]
    if all(at_hand):
        return QUICK
    random = "No ImageNet weights were at hand: from random ones, networks of this size learn little of so few images."
    return replace(QUICK, settings={**QUICK.settings, **FROM_RANDOM}, note=f"{QUICK.note} {random}")


def distill(plan: Plan, name: str, seed: int, data_dir: Path | None, **choices: Any) -> dict[str, Any]:
    """The result of one run, made now or before, and what verify measured of it; a seed is of teacher and student."""
    import kdcompress

    out = plan.work / "runs" / f"{name}-s{seed}"
    start = time.perf_counter()
    settings = {**weights(), **plan.settings, **choices.pop("settings", {}), "teacher.seed": seed}
    run = kdcompress.distill(
        choices.pop("recipe", plan.recipe),
        out=out,
        seed=seed,
        data_dir=data_dir,
        settings=settings,
        progress=listener(),
        **choices,
    )
    known = out / "verify.json"
    verdict = json.loads(known.read_text()) if known.exists() else kdcompress.verify(run)
    found = {role: verdict[role]["metrics"]["auc"] for role in ("teacher", "student", "baseline") if role in verdict}
    shown = ", ".join(f"{role} {100 * value:.2f}" for role, value in found.items())
    print(f"{out.name}: AUC {shown}  ({time.perf_counter() - start:.0f} s)", flush=True)
    return {"out": out, "verify": verdict, **run.result}


def rows(plan: Plan, data_dir: Path | None) -> dict[Row, list[dict[str, Any]]]:
    """By row of table 5, what verify measured of its model, seed by seed."""
    found: dict[Row, list[dict[str, Any]]] = {}

    def add(row: Row, result: dict[str, Any], role: str) -> None:
        found.setdefault(row, []).append(result["verify"][role]["metrics"])

    for seed in plan.seeds:
        plain = distill(plan, "kd", seed, data_dir)
        for row, role in ((Row.TEACHER, "teacher"), (Row.KD, "student"), (Row.ALONE, "baseline")):
            add(row, plain, role)
        if plan.transfer:
            finer = distill(plan, "subclass", seed, data_dir, recipe=f"{plan.recipe}-subclass", baseline=False)
            add(Row.TEACHER_SUBCLASS, finer, "teacher")
            add(Row.SUBCLASS, finer, "student")
            scratch = distill(plan, "scratch", seed, data_dir, settings=plan.without, baseline=False)
            add(Row.TEACHER_SCRATCH, scratch, "teacher")
            add(Row.KD_SCRATCH, scratch, "student")
    return found


def counted() -> dict[str, dict[str, Any]]:
    """Parameters, MACs and FLOPs of the paper's pair at 224 px."""
    import kdcompress
    from kdcompress.models import load_model

    pair = {"teacher": "resnet50v2", "student": "mobilenetv2"}
    return {role: kdcompress.verify(load_model(name, (224, 224, 3), 2, role))["model"] for role, name in pair.items()}


def draw(plan: Plan, data_dir: Path | None) -> Path | None:
    """The folder of the images: that which was named, or one of drawn images."""
    if not plan.synthetic:
        return data_dir
    from kdcompress.data.synthetic._base import make_synthetic
    from kdcompress.progress import Progress

    folder = plan.work / "images"
    if not folder.exists():
        make_synthetic("mhist", folder, Progress(), count=plan.synthetic, size=96, seed=0)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="drawn images, minutes")
    which.add_argument("--ebhi", action="store_true", help="EBHI-Seg, an hour on 2 cores")
    parser.add_argument("--data-dir", type=Path, help="the folder of MHIST, or of EBHI-Seg")
    asked = parser.parse_args()
    plan = quick() if asked.quick else EBHI if asked.ebhi else FULL
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(plan.work / "cache"))
    with counting(plan.work):
        found = rows(plan, draw(plan, asked.data_dir))
    facts = json.loads((plan.work / "runs" / f"kd-s{plan.seeds[0]}" / "metrics.json").read_text())
    write_results(plan, found, counted(), facts["dataset"], seconds_of(plan.work))
    print(plan.results)


if __name__ == "__main__":
    main()
