"""What the runs behind LITERATURE.md and CAUSES.md share: how much is done, where, and nothing is measured twice."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tabling import write_figures

HERE = Path(__file__).resolve().parent
FACTS = ("name", "n_train", "n_val", "n_test", "fingerprint")


@dataclass(frozen=True)
class Study:
    """How much of the literature is done, and where it lies.

    Attributes:
        recipe: Name of the recipe with MNIST's data.
        seeds: Seeds of the students, and of the teachers where each student has one of its own.
        work: Folder of the runs.
        figures: JSON file of what was measured; what it has is not measured again.
        epochs: Epochs of every training; those of each experiment by default.
        settings: Values by dotted key that every run has.
    """

    recipe: str
    seeds: range
    work: Path
    figures: Path
    epochs: int | None = None
    settings: Mapping[str, Any] | None = None

    @property
    def command(self) -> str:
        """The script and its options, as they stand behind `python`."""
        quick = "" if self.recipe == "mnist" else " --quick"
        return f"{self.figures.stem}.py{quick} --seeds {len(self.seeds)}"

    def write(self, text: str) -> None:
        """Write the page beside the figures, and print its path.

        Args:
            text: The page in Markdown.
        """
        path = self.figures.with_name(f"{self.figures.stem.upper()}.md")
        path.write_text(text, encoding="utf-8")
        print(path)

    @property
    def known(self) -> dict[str, Any]:
        """What was measured so far, by name."""
        return dict(json.loads(self.figures.read_text())) if self.figures.exists() else {}

    def once(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what was measured under a name, now or before.

        Args:
            name: Name of a run.
            measure: Makes the run and measures it, with values for JSON.
        """
        known = self.known
        if name not in known:
            start = time.perf_counter()
            measured = measure()
            known = self.known | {name: {**measured, "seconds": round(time.perf_counter() - start)}}
            write_figures(self.figures, known)
            print(f"{name}: {known[name]['seconds']} s", flush=True)
        return dict(known[name])

    def distill(self, name: str, progress: Any, settings: Mapping[str, Any], **choices: Any) -> Any:
        """Make a run, or read the one that is there.

        Args:
            name: Name of its folder.
            progress: Listener.
            settings: Values by dotted key; those of the study override them.
            **choices: Further arguments of `kdcompress.distill`.
        """
        import kdcompress

        return kdcompress.distill(
            choices.pop("recipe", self.recipe),
            out=self.work / name,
            progress=progress,
            epochs=self.epochs,
            settings={**settings, **(self.settings or {})},
            **choices,
        )


def study_of_command(name: str, doc: str | None, seeds: int, quick_seeds: int, quick_epochs: int | None) -> Study:
    """Read --quick and --seeds from the command line.

    Args:
        name: Name of the script without its ending, and of its JSON file.
        doc: Its docstring, whose first line `--help` shows.
        seeds: Default number of seeds.
        quick_seeds: The same with --quick.
        quick_epochs: Epochs of every training with --quick; None for those of the whole.
    """
    parser = argparse.ArgumentParser(description=(doc or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="embedded digits, minutes")
    parser.add_argument("--seeds", type=int, help=f"number of seeds: {seeds}, quick {quick_seeds}")
    arguments = parser.parse_args()
    work = HERE / ("work-quick" if arguments.quick else "work")
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(work / "cache"))
    if arguments.quick:
        chosen = range(arguments.seeds or quick_seeds)
        return Study("mnist-demo", chosen, work / name, work / name / f"{name}.json", quick_epochs)
    return Study("mnist", range(arguments.seeds or seeds), work / name, HERE / f"{name}.json")


def test_errors(run: Any, role: str) -> float:
    """The fraction of test images that a run's teacher, student or baseline gets wrong."""
    return 1.0 - float(run.result[role]["metrics"]["accuracy"])


def dataset_facts(run: Any) -> dict[str, Any]:
    """Name, sizes and fingerprint of a run's data, without its place."""
    return {key: run.result["dataset"][key] for key in FACTS}
