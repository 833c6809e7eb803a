"""MNIST-2x5 of Mueller, Kornblith and Hinton 2020: digits 0 to 4 against 5 to 9, each divided by the teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from literature_runs import Study, dataset_facts, test_errors
from numpy.typing import NDArray

EPOCHS = 12
CLASSES = {"low": ["0", "1", "2", "3", "4"], "high": ["5", "6", "7", "8", "9"]}
PUBLISHED = {
    "teacher": (0.73, 0.09),
    "student alone": (1.57, 0.06),
    "KD": (1.23, 0.04),
    "subclass KD": (0.93, 0.06),
    "subclass KD, no labels": (2.06, 0.18),
}
"""Test error in per cent, and what the paper gives behind +-."""


def measure(study: Study, seed: int, progress: Any) -> dict[str, dict[str, Any]]:
    """Make a seed's three runs, each with a teacher of that seed.

    Returns:
        What was measured: `kd`, `subclass` and `no labels`, with test errors as fractions.
    """

    def run(name: str, method: dict[str, Any], baseline: bool) -> Any:
        epochs = {"training.epochs": study.epochs or EPOCHS}
        settings = {"superclasses": CLASSES, "teacher.seed": seed, **epochs, **method}
        folder = f"2x5-{name.replace(' ', '-')}-s{seed}"
        return study.distill(folder, progress, settings, seed=seed, baseline=baseline)

    def kd() -> dict[str, Any]:
        made = run("kd", {"method.name": "hinton"}, baseline=True)
        errors = {role: test_errors(made, role) for role in ("teacher", "student", "baseline")}
        return {**errors, "dataset": dataset_facts(made)}

    def subclass(name: str, **method: Any) -> dict[str, Any]:
        chosen = {"method.name": "subclass", "method.subclasses": 5} | {f"method.{k}": v for k, v in method.items()}
        made = run(name, chosen, baseline=False)
        return {role: test_errors(made, role) for role in ("teacher", "student")} | _invented(made.path)

    made = {
        "kd": study.once(f"2x5 kd s{seed}", kd),
        "subclass": study.once(f"2x5 subclass s{seed}", lambda: subclass("subclass")),
    }
    unlabelled = {"alpha": 1.0, "intra_class": True}
    made["no labels"] = study.once(f"2x5 no labels s{seed}", lambda: subclass("no labels", **unlabelled))
    return made


def _invented(path: Path) -> dict[str, Any]:
    """How a teacher's subclasses match the digits: test images by digit and subclass, and the share in agreement."""
    from kdcompress.metrics.subclasses import subclass_usage
    from kdcompress.pipeline.subclass_outputs import read_subclass_outputs
    from kdcompress.runs.folder import RunFolder

    outputs = read_subclass_outputs(RunFolder(path))
    assert outputs is not None and outputs.known is not None, "the classes are merged, so that digits are known"
    usage = subclass_usage(outputs.teacher, outputs.sizes, outputs.known)
    count = int(outputs.sizes.sum())
    counts = np.bincount(outputs.known * count + outputs.teacher, minlength=count**2).reshape(count, count)
    return {"counts": counts.tolist(), "agreement": usage["agreement"], "unused": len(usage["died"])}


def rows(found: list[dict[str, dict[str, Any]]]) -> dict[str, list[float]]:
    """The test errors by row of the table, seed by seed, as fractions.

    Args:
        found: Results of `measure` by seed.
    """

    def errors(run: str, role: str) -> list[float]:
        return [one[run][role] for one in found]

    return {
        "teacher": errors("subclass", "teacher"),
        "student alone": errors("kd", "baseline"),
        "KD": errors("kd", "student"),
        "subclass KD": errors("subclass", "student"),
        "subclass KD, no labels": errors("no labels", "student"),
    }


def draw(counts: list[list[int]], path: Path) -> None:
    """Draw the share of each digit's test images in each invented subclass, the subclasses sorted along the diagonal.

    Args:
        counts: Test images by digit and subclass.
        path: PNG file.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    table = np.asarray(counts)
    order = _sorted(table)
    shares = 100 * table[:, order] / table.sum(axis=1, keepdims=True)
    figure, axes = pyplot.subplots(figsize=(6.4, 5.6), layout="constrained")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for (digit, place), share in np.ndenumerate(shares):
        if share >= 0.5:
            axes.text(place, digit, f"{share:.0f}", ha="center", va="center", color="w" if share > 55 else "k")
    axes.axhline(4.5, color="k", linewidth=1)
    axes.axvline(4.5, color="k", linewidth=1)
    names = [f"{'low' if index < 5 else 'high'} {index % 5 + 1}" for index in order]
    axes.set_xticks(range(len(order)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(table)), [str(digit) for digit in range(len(table))])
    axes.set(xlabel="subclass that the teacher invented", ylabel="digit, which it never saw as a label")
    axes.set_title("Test images of each digit in each subclass, %")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _sorted(table: NDArray[np.int64]) -> list[int]:
    """The subclasses in the order of the digits that they match best, one to one."""
    from scipy.optimize import linear_sum_assignment

    return [int(column) for column in linear_sum_assignment(-table)[1]]
