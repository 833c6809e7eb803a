"""HTML page of a sweep: the gain, curves over temperature and alpha with their intervals, and every trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.errors import RunError
from kdcompress.files import write_text
from kdcompress.formatting import MISSING, clean, integer, percent, points, sentence
from kdcompress.metrics.classification import METRIC_NAMES
from kdcompress.reporting import _page
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._svg import BAD, COLOURS, INK, draw, legend, plain_ticks
from kdcompress.reporting._sweep_comparison import comparison, describe_setting
from kdcompress.runs.documents import read_checked
from kdcompress.sweeping._worth import judge_worth
from kdcompress.verification.origin import synthetic_notice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = "report.html"
RESULT = "sweep.json"
_NAMES = {"temperature": "T", "alpha": "alpha"}
_LINE_COLOURS = (COLOURS["student"], COLOURS["teacher"], COLOURS["baseline"], INK, BAD)
_LINE_MARKERS = "o^sDv"


def report_sweep(folder: Path, out: Path) -> dict[str, Any]:
    """Write the page of a finished sweep.

    Args:
        folder: Folder of the sweep.
        out: Folder to write into.

    Returns:
        The document that `kdcompress report --json` prints.

    Raises:
        RunError: The sweep is not finished.
    """
    path = folder / RESULT
    if not path.exists():
        raise RunError(f"sweep {folder} is not finished; give its `kdcompress sweep` command again")
    result = read_checked(path, "give its `kdcompress sweep` command again")
    write_text(out / PAGE, render(folder.name, result))
    found = {"gain": result["gain"], "best": result["best"], "worth": judge_worth(result)}
    return {"sweep": str(folder), "report": str(out / PAGE), **found}


def render(name: str, result: dict[str, Any]) -> str:
    """Render the page of a sweep.

    Args:
        name: Title.
        result: `sweep.json`.

    Returns:
        One HTML document; equal sweeps give equal bytes.
    """
    curves = [curve for key in _NAMES if (curve := _curve(result, key)) is not None]
    compared = comparison(result)
    data, space = result["dataset"], result["space"]
    seeds = f"{len(space['seeds'])} seed{'s' if len(space['seeds']) != 1 else ''}"
    lead = (
        f"A sweep around the recipe {Path(result['recipe']).name} on {data['name']}, {seeds} for every setting. "
        f"{_page.training_images(data)}, {data['n_val']:,} to choose by, "
        f"{data['n_test']:,} to test the chosen setting on."
    )
    return _page.render_page(
        title=clean(name),
        lead=clean(lead),
        notice=synthetic_notice(data),
        warnings=[sentence(text) for text in result["warnings"]],
        tiles=[],
        verdict=clean(f"{_capitalize(judge_worth(result)['sentence'])}."),
        summary=_summary(result),
        sections=[*curves, *([compared] if compared else []), _gain(result), _settings(result), _trials(result)],
    )


def _summary(result: dict[str, Any]) -> Table:
    rows = [["teacher", percent(result["teacher"]["test"]), "", ""]]
    for role, label in (("student", "student, chosen setting"), ("baseline", "the same without teacher")):
        summary = result[role]["test"]
        rows.append([label, percent(summary["mean"]), _interval(summary), str(summary["n"])])
    return Table(f"{_metric(result)} on test", ["", "mean", "95 % interval", "seeds"], rows)


def _curve(result: dict[str, Any], key: str) -> Section | None:
    """Plot the metric over one setting, a line for each method and value of the other; None if it does not vary."""
    settings = [setting for setting in result["settings"] if setting[key] is not None and setting["val"] is not None]
    if len({setting[key] for setting in settings}) < 2:
        return None
    lines: dict[tuple[str, Any], list[dict[str, Any]]] = {}
    other_key = next(name for name in _NAMES if name != key)
    for setting in settings:
        lines.setdefault((setting["method"], setting[other_key]), []).append(setting)

    def paint(axes: Axes) -> None:
        for index, ((method, value), members) in enumerate(lines.items()):
            members = sorted(members, key=lambda setting: setting[key])
            x, mean = [setting[key] for setting in members], [100 * setting["val"]["mean"] for setting in members]
            below, above = zip(*(_error_bar(setting["val"]) for setting in members), strict=True)
            axes.errorbar(
                x,
                mean,
                [below, above],
                label=method if value is None else f"{method}, {_NAMES[other_key]} {value:g}",
                color=_LINE_COLOURS[index % len(_LINE_COLOURS)],
                marker=_LINE_MARKERS[index % len(_LINE_MARKERS)],
                markersize=4.5,
                linewidth=1.6,
                capsize=3,
            )
        axes.set_xlabel(_NAMES[key])
        if key == "temperature":
            axes.set_xscale("log")
            plain_ticks(axes.xaxis, sorted({setting[key] for setting in settings}))
        axes.set_ylabel(f"{_metric(result)} on validation, in %")
        legend(axes, 2)

    title = f"{_metric(result)} on validation over {_NAMES[key]}"
    caption = "Means over seeds with 95 % intervals (Student's t). Where intervals overlap widely, noise decides."
    return Section(f"over-{key}", title, figures=[Figure(draw(f"over-{key}", title, 260, paint), caption)])


def _metric(result: dict[str, Any]) -> str:
    """Return the capitalized name of the metric; documents of earlier versions lack the key and used accuracy."""
    return _capitalize(METRIC_NAMES[result.get("metric", "accuracy")])


def _error_bar(summary: dict[str, Any]) -> tuple[float, float]:
    """Compute how far an interval, clipped to [0, 1], extends below and above its mean, in points."""
    if summary["low"] is None:
        return 0.0, 0.0
    return 100 * (summary["mean"] - max(0.0, summary["low"])), 100 * (min(1.0, summary["high"]) - summary["mean"])


def _gain(result: dict[str, Any]) -> Section:
    rows = []
    seeds, gain = result["space"]["seeds"], result["gain"]
    triples = zip(seeds, result["student"]["by_seed"], result["baseline"]["by_seed"], gain["by_seed"], strict=True)
    for seed, student, baseline, difference in triples:
        rows.append([str(seed), percent(student), percent(baseline), points(difference)])
    images = "the same images in the same order"
    if "n_unlabelled" in result["dataset"]:
        images = "as many images, the baseline without those that have no label"
    text = [
        f"For each seed, student and baseline start from the same weights and see {images}: the noise that they share "
        "through a seed cancels out in the difference."
    ]
    table = Table("On test, seed by seed", ["seed", "student", "without teacher", "difference, points"], rows)
    return Section("gain", "Gain from the teacher", text, tables=[table])


def _settings(result: dict[str, Any]) -> Section:
    rows = []
    for setting in result["settings"]:
        val = setting["val"]
        cells = [MISSING, setting["reason"] or ""] if val is None else [percent(val["mean"]), _interval(val)]
        mark = "chosen" if describe_setting(setting) == describe_setting(result["best"]) else ""
        rows.append([clean(setting["method"]), *_hyperparameters(setting), *(clean(cell) for cell in cells), mark])
    head = ["method", "T", "alpha", "validation", "95 % interval", ""]
    return Section(
        "settings", "Every setting", tables=[Table(f"{_metric(result)} on validation, means over seeds", head, rows)]
    )


def _trials(result: dict[str, Any]) -> Section:
    rows = []
    for trial in result["trials"]:
        cells = [str(trial["seed"]), percent(trial["val"]), percent(trial["test"]), integer(trial["best_epoch"])]
        rows.append([clean(trial["method"]), *_hyperparameters(trial), *cells, f"{trial['seconds']:.1f}"])
    head = ["method", "T", "alpha", "seed", "validation", "test", "best epoch", "seconds"]
    text = ["Only the chosen setting was evaluated on test."]
    return Section("trials", "Every trial", text, tables=[Table(f"{_metric(result)} of every trial", head, rows)])


def _hyperparameters(setting: dict[str, Any]) -> Sequence[str]:
    return [MISSING if setting[key] is None else f"{setting[key]:g}" for key in _NAMES]


def _interval(summary: dict[str, Any]) -> str:
    if summary["low"] is None:
        return MISSING
    return f"{100 * max(0.0, summary['low']):.2f} to {100 * min(1.0, summary['high']):.2f} %"


def _capitalize(text: str) -> str:
    return text[0].upper() + text[1:]
