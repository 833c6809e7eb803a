"""Parity and gates: whether exported files agree with the model, and whether limits were met."""

from __future__ import annotations

from typing import Any

from kdcompress.formatting import MISSING, clean, digits, integer, percent, points, size, truncate
from kdcompress.reporting._parts import Section, Table
from kdcompress.reporting._run_data import RunData
from kdcompress.verification.gates import format_limit


def section(run: RunData) -> Section:
    """Build the section: a row for every exported file and for every gate of `verify` and `bench`."""
    tables, missing = [], []
    if run.exports:
        tables.append(_exports(run.exports))
    else:
        command = f"`kdcompress export {run.folder}`"
        missing.append(f"Nothing has been exported yet: {command} writes files and compares them with the model.")
    gates = [gate for document in (run.verified, run.bench) for gate in (document or {}).get("gates", [])]
    if gates:
        tables.append(_gates(gates))
    elif run.verified:
        missing.append("No limit was set; options such as `kdcompress verify --max-metric-drop 0.01` set one.")
    failed = [entry for entry in run.exports if not entry["passed"]]
    text = [f"{clean(entry['path'])} FAILED: {clean('; '.join(entry['reasons']))}." for entry in failed]
    if run.exports and not failed:
        text = [f"All {len(run.exports)} exported files passed their comparison with the Keras model."]
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
        equal = f"{integer(n - flipped)}/{integer(n)}"
        sizes = size(entry["bytes"]), size(entry.get("gzip_bytes"))
        rows.append([truncate(name, 40), verdict, *sizes, equal, gap, metric, change])
    head = ["file", "parity", "size", "gzip", "top-1 equal", "largest difference", "metric", "change, points"]
    return Table("Exported files against the Keras model", head, rows, names=2)


def _gates(gates: list[dict[str, Any]]) -> Table:
    rows = []
    for gate in gates:
        value = "not measurable" if gate["value"] is None else digits(gate["value"], 4)
        limit = format_limit(gate["name"], digits(gate["limit"], 4))
        rows.append([clean(gate["name"]), "passed" if gate["passed"] else "FAILED", value, limit])
    return Table("Limits that were set", ["gate", "verdict", "value", "limit"], rows, names=2)
