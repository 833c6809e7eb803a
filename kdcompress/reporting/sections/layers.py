"""Which layer pays: what quantising each layer of the int8 files does, from `explain.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kdcompress.formatting import clean, percent, points, size, truncate
from kdcompress.reporting._parts import Figure, Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting._svg import COLOURS, MUTED, draw, legend
from kdcompress.runs.schemas import ExplainedFormat, decibels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW, _MAX_ROWS = 19, 40  # units, layers of a figure
_SPAN = 30.0  # dB of a figure: a layer that is quieter by that adds a thousandth of the noise


def section(run: RunData) -> Section | None:
    """Build the section: a figure of the noise of each layer, and tables of the layers and of the files to choose."""
    if run.explanation is None:
        return None
    explanation = run.explanation
    figures = [_figure(entry) for entry in explanation["formats"]]
    tables = [table for entry in explanation["formats"] for table in (_layers(entry), _picks(entry))]
    text = (
        f"Each layer of the int8 files was quantized alone, and left alone in float, on {explanation['n']:,} images of "
        f"{explanation['source']}. The fewer dB of signal-to-noise ratio its outputs leave, the more it costs."
    )
    hints = [f"{hint}." for entry in explanation["formats"] if (hint := ExplainedFormat.of(entry).hint)]
    return Section("layers", "Which layer pays", [text, *hints], figures=figures, tables=tables)


def _figure(entry: dict[str, Any]) -> Figure:
    layers = entry["layers"][:_MAX_ROWS]
    whole = entry["int8"]["snr_db"]
    edge = float("inf") if whole is None else whole + _SPAN

    def paint(axes: Axes) -> None:
        for key, label, colour, marker in (
            ("alone", "alone in int8", COLOURS["student"], "o"),
            ("in_float", "alone in float", COLOURS["teacher"], "s"),
        ):
            known = [(layer[key]["snr_db"], -row) for row, layer in enumerate(layers)]
            ratios = [edge if ratio is None else min(ratio, edge) for ratio, _ in known]
            axes.plot(ratios, [row for _, row in known], marker, color=colour, markersize=5.5, label=label)
        if whole is not None:
            axes.axvline(whole, color=MUTED, linewidth=1)
        axes.set_yticks([-row for row in range(len(layers))], [truncate(layer["name"], 18) for layer in layers])
        axes.set_ylim(0.6 - len(layers), 0.6)
        axes.set_xlabel("signal-to-noise ratio of the logits, dB")
        legend(axes)

    name = entry["format"]
    title = f"Noise of the layers of the int8 {name} file"
    left_out = len(entry["layers"]) - len(layers)
    more = f" {left_out} quieter layers are in the table." if left_out else ""
    caption = f"{name}: dots further left are noisier; at {_SPAN:g} dB from the line, or more, a layer costs nothing."
    caption += f" Line: all layers in int8.{more}"
    return Figure(draw(f"layers-{name}", title, 64 + _ROW * len(layers), paint), caption)


def _layers(entry: dict[str, Any]) -> Table:
    rows = [
        [truncate(layer["name"], 40), *_cells(layer["alone"])[:3], *_cells(layer["in_float"])]
        for layer in entry["layers"]
    ]
    for name, key in (("all in int8", "int8"), ("all in float", "float32")):
        rows.append([name, "", "", "", *_cells(entry[key])])
    columns = ("dB", "top-1 equal", "change, points")
    head = ["layer", *(f"in int8: {column}" for column in columns), *(f"in float: {column}" for column in columns)]
    return Table(f"Layers of the int8 file, {entry['format']}, the noisiest first", [*head, "size"], rows)


def _picks(entry: dict[str, Any]) -> Table:
    picks = {**entry["picks"], **({"kept": entry["kept"]} if entry.get("kept") else {})}
    rows = [[name, clean(pick["command"]), *_cells(pick)] for name, pick in picks.items()]
    head = ["file", "command", "dB", "top-1 equal", "change, points", "size"]
    return Table(f"Files to choose from, {entry['format']}", head, rows, names=2)


def _cells(effect: dict[str, Any]) -> list[str]:
    drop = effect["metric_drop"]
    change = points(None if drop is None else -drop)
    return [decibels(effect["snr_db"]), percent(effect["agreement"]), change, size(effect["bytes"])]
