"""Printing of which layers of int8 files pay."""

from __future__ import annotations

from typing import Any

from kdcompress.cli._terminal import Terminal
from kdcompress.formatting import percent, points
from kdcompress.runs.names import EXPLANATION
from kdcompress.runs.schemas import ExplainedFormat, decibels

_ALL = "all in int8"


def print_explanation(result: dict[str, Any], folder: str, terminal: Terminal) -> None:
    """Print a ranked table of the layers of each int8 file, and three files to choose from.

    Args:
        result: The explanation.
        folder: Folder of the run, in which it is saved.
        terminal: Where it is printed.
    """
    for entry in result["formats"]:
        _print_layers(entry, result["metric"] or "metric", terminal)
        terminal.result("")
        _print_picks(entry, terminal)
        if hint := ExplainedFormat.of(entry).hint:
            terminal.result(hint)
        terminal.result("")
    n, source = f"{result['n']:,}", result["source"]
    terminal.result(f"{folder}/{EXPLANATION}: on {n} images of {source}; dB: signal-to-noise ratio of the logits")


def _print_layers(entry: dict[str, Any], metric: str, terminal: Terminal) -> None:
    width = max(len(_ALL), *(len(layer["name"]) for layer in entry["layers"]))
    columns = f"{'dB':>6}  {'top-1 equal':>11}  {metric:>8}"
    terminal.result(f"{entry['format']} int8")
    terminal.result(f"{'':<{width}}  {'it alone in int8':^29}    {'it alone in float':^29}")
    terminal.result(f"{'layer':<{width}}  {columns}    {columns}        MB")
    for layer in entry["layers"]:
        terminal.result(f"{layer['name']:<{width}}  {_figures(layer['alone'])}    {_sized(layer['in_float'])}")
    for name, key in ((_ALL, "int8"), ("all in float", "float32")):
        terminal.result(f"{name:<{width}}  {'':29}    {_sized(entry[key])}")


def _sized(effect: dict[str, Any]) -> str:
    return f"{_figures(effect)}  {effect['bytes'] / 1e6:8.3f}"


def _figures(effect: dict[str, Any]) -> str:
    """The noise in dB, the images with the same top-1 class, and the change of the metric in percentage points."""
    change = points(None if effect["metric_drop"] is None else -effect["metric_drop"])
    return f"{decibels(effect['snr_db']):>6}  {percent(effect['agreement']):>11}  {change:>8}"


def _print_picks(entry: dict[str, Any], terminal: Terminal) -> None:
    for name, pick in entry["picks"].items():
        terminal.result(f"{name:<9} {_sized(pick)}  {pick['command']}")
    if kept := entry.get("kept"):
        terminal.result(f"{'kept':<9} {_sized(kept)}  in float: {', '.join(kept['float_layers']) or 'none'}")
