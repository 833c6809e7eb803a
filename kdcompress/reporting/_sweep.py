"""The page of a sweep: the gain, the curves over temperature and alpha with their intervals, and every trial."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.errors import RunError
from kdcompress.files import write_text
from kdcompress.metrics.classification import METRIC_NAMES
from kdcompress.reporting import _page
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._svg import BAD, COLOURS, INK, draw, legend, plain_ticks
from kdcompress.reporting._words import MISSING, clean, percent, points, whole
from kdcompress.runs.documents import read_checked
from kdcompress.verification.origin import synthetic_notice

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = "report.html"
RESULT = "sweep.json"
_NAMES = {"temperature": "T", "alpha": "alpha"}
_SHADES = (COLOURS["student"], COLOURS["teacher"], COLOURS["baseline"], INK, BAD)
_DOTS = "o^sDv"


def report_sweep(folder: Path, out: Path) -> dict[str, Any]:
    """Write the page of a finished sweep into `out`; the document that `kdcompress report --json` prints.

    Errors: RunError for a sweep that is not finished.
    """
    path = folder / RESULT
    if not path.exists():
        raise RunError(f"sweep {folder} is not finished; give its `kdcompress sweep` command again")
    result = read_checked(path, "give its `kdcompress sweep` command again")
    write_text(out / PAGE, render(folder.name, result))
    return {"sweep": str(folder), "report": str(out / PAGE), "gain": result["gain"], "best": result["best"]}


def render(name: str, result: dict[str, Any]) -> str:
    """The page, one HTML document; the same sweep gives the same bytes."""
    curves = [curve for key in _NAMES if (curve := _curve(result, key)) is not None]
    data, space = result["dataset"], result["space"]
    seeds = f"{len(space['seeds'])} seed{'s' if len(space['seeds']) != 1 else ''}"
    lead = (
        f"A sweep around the recipe {result['recipe']} on {data['name']}, {seeds} for every setting. "
        f"{data['n_train']:,} images to train on, {data['n_val']:,} to choose by, "
        f"{data['n_test']:,} to test the chosen setting on."
    )
    return _page.page(
        title=clean(name),
        lead=clean(lead),
        notice=synthetic_notice(data),
        warnings=[clean(text) for text in result["warnings"]],
        tiles=[],
        verdict=clean(f"Chosen on validation: {_said(result['best'])}. {_capital(result['sentence'])}."),
        summary=_summary(result),
        sections=[*curves, _gain(result), _settings(result), _trials(result)],
    )


def _summary(result: dict[str, Any]) -> Table:
    rows = [["teacher", percent(result["teacher"]["test"]), "", ""]]
    for role, label in (("student", "student, chosen setting"), ("baseline", "the same without teacher")):
        found = result[role]["test"]
        rows.append([label, percent(found["mean"]), _range(found), str(found["n"])])
    return Table(f"{_metric(result)} on test", ["", "mean", "95 % interval", "seeds"], rows)


def _curve(result: dict[str, Any], key: str) -> Section | None:
    """The metric over one setting, a line for each value of the other and each method; None where it does not vary."""
    known = [one for one in result["settings"] if one[key] is not None and one["val"] is not None]
    if len({one[key] for one in known}) < 2:
        return None
    lines: dict[tuple[str, Any], list[dict[str, Any]]] = {}
    other = next(name for name in _NAMES if name != key)
    for one in known:
        lines.setdefault((one["method"], one[other]), []).append(one)

    def paint(axes: Axes) -> None:
        for place, ((method, value), of_it) in enumerate(lines.items()):
            of_it = sorted(of_it, key=lambda one: one[key])
            at, mean = [one[key] for one in of_it], [100 * one["val"]["mean"] for one in of_it]
            colour, dot = _SHADES[place % len(_SHADES)], _DOTS[place % len(_DOTS)]
            label = method if value is None else f"{method}, {_NAMES[other]} {value:g}"
            spread = [_bars(one["val"]) for one in of_it]
            below, above = zip(*spread, strict=True)
            look = {"color": colour, "marker": dot, "markersize": 4.5, "linewidth": 1.6, "capsize": 3}
            axes.errorbar(at, mean, [below, above], label=label, **look)
        axes.set_xlabel(_NAMES[key])
        if key == "temperature":
            axes.set_xscale("log")
            plain_ticks(axes.xaxis, sorted({one[key] for one in known}))
        axes.set_ylabel(f"{_metric(result)} on validation, in %")
        legend(axes, 2)

    title = f"{_metric(result)} on validation over {_NAMES[key]}"
    caption = "Means over seeds; bars are their 95 % intervals (Student's t). Where bars overlap widely, noise decides."
    return Section(f"over-{key}", title, figures=[Figure(draw(f"over-{key}", title, 260, paint), caption)])


def _metric(result: dict[str, Any]) -> str:
    """The metric at the beginning of a sentence; sweeps of before there was a choice went by accuracy."""
    return _capital(METRIC_NAMES[result.get("metric", "accuracy")])


def _bars(found: dict[str, Any]) -> tuple[float, float]:
    """How far an interval reaches below and above its mean, in points, and not above 100 %."""
    if found["low"] is None:
        return 0.0, 0.0
    return 100 * (found["mean"] - max(0.0, found["low"])), 100 * (min(1.0, found["high"]) - found["mean"])


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
        f"Student and baseline begin with the same weights and meet {images}, seed by seed: what both share through a "
        "seed cancels out in the difference."
    ]
    table = Table("On test, seed by seed", ["seed", "student", "without teacher", "difference, points"], rows)
    return Section("gain", "What the teacher brings", text, tables=[table])


def _settings(result: dict[str, Any]) -> Section:
    rows = []
    for one in result["settings"]:
        found = one["val"]
        shown = [MISSING, one["reason"] or ""] if found is None else [percent(found["mean"]), _range(found)]
        mark = "chosen" if _said(one) == _said(result["best"]) else ""
        rows.append([clean(one["method"]), *_tuned(one), *(clean(text) for text in shown), mark])
    head = ["method", "T", "alpha", "validation", "95 % interval", ""]
    return Section(
        "settings", "Every setting", tables=[Table(f"{_metric(result)} on validation, means over seeds", head, rows)]
    )


def _trials(result: dict[str, Any]) -> Section:
    rows = []
    for one in result["trials"]:
        test = MISSING if one["test"] is None else percent(one["test"])
        val = MISSING if one["val"] is None else percent(one["val"])
        epoch = MISSING if one["best_epoch"] is None else whole(one["best_epoch"])
        rows.append([clean(one["method"]), *_tuned(one), str(one["seed"]), val, test, epoch, f"{one['seconds']:.1f}"])
    head = ["method", "T", "alpha", "seed", "validation", "test", "best epoch", "seconds"]
    text = ["Test was looked at for the chosen setting alone."]
    return Section("trials", "Every trial", text, tables=[Table(f"{_metric(result)} of every trial", head, rows)])


def _tuned(one: dict[str, Any]) -> Sequence[str]:
    return [MISSING if one[key] is None else f"{one[key]:g}" for key in _NAMES]


def _said(one: dict[str, Any]) -> str:
    tuned = [f"{name} {one[key]:g}" for key, name in _NAMES.items() if one[key] is not None]
    return " ".join([one["method"], *tuned])


def _range(found: dict[str, Any]) -> str:
    if found["low"] is None:
        return MISSING
    return f"{100 * max(0.0, found['low']):.2f} to {100 * min(1.0, found['high']):.2f} %"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
