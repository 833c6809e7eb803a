"""Parity and gates: whether the files compute what the model does, and whether the limits were kept."""

from __future__ import annotations

from typing import Any

from kdcompress.reporting._facts import Facts
from kdcompress.reporting._parts import Section, Table
from kdcompress.reporting._words import MISSING, clean, digits, percent, points, short, size, whole


def section(facts: Facts) -> Section:
    """A row for every exported file, and for every limit that verify or bench was given."""
    tables, missing = [], []
    if facts.exports:
        tables.append(_exports(facts.exports))
    else:
        command = f"`kdcompress export {facts.folder}`"
        missing.append(f"Nothing has been exported yet: {command} writes files and compares them with the model.")
    gates = [gate for document in (facts.verified, facts.bench) for gate in (document or {}).get("gates", [])]
    if gates:
        tables.append(_gates(gates))
    elif facts.verified:
        missing.append("No limit was set: `kdcompress verify --max-metric-drop 0.01` and its like set one.")
    failed = [entry for entry in facts.exports if not entry["passed"]]
    text = [f"{clean(entry['path'])} FAILED: {clean('; '.join(entry['reasons']))}." for entry in failed]
    if facts.exports and not failed:
        text = [f"All {len(facts.exports)} exported files passed their comparison with the Keras model."]
    return Section("parity", "Parity and gates", text, tables=tables, missing=missing)


def _exports(entries: list[dict[str, Any]]) -> Table:
    rows = []
    for entry in entries:
        parity = entry["parity"]
        n, flipped = parity["n"], len(parity["flipped"])
        gap = "not finite" if parity["max_abs_diff"] is None else digits(parity["max_abs_diff"], 2)
        drop = entry["metric_drop"]
        metric = percent(entry["metrics"][entry["metric"]]) if entry["metrics"] else MISSING
        name = entry["path"].rsplit("/", 1)[-1]
        change = points(None if drop is None else -drop)
        verdict = "passed" if entry["passed"] else "FAILED"
        rows.append(
            [short(name, 40), verdict, size(entry["bytes"]), f"{whole(n - flipped)}/{whole(n)}", gap, metric, change]
        )
    head = ["file", "parity", "size", "top-1 equal", "largest difference", "metric", "change, points"]
    return Table("Exported files against the Keras model", head, rows, names=2)


def _gates(gates: list[dict[str, Any]]) -> Table:
    rows = []
    for gate in gates:
        value = "not measurable" if gate["value"] is None else digits(gate["value"], 4)
        rows.append([clean(gate["name"]), "passed" if gate["passed"] else "FAILED", value, digits(gate["limit"], 4)])
    return Table("Limits that were set", ["gate", "verdict", "value", "at most"], rows, names=2)
