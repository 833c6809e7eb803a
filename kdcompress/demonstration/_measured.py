"""What a page says was measured: of each model, and in tables."""

from __future__ import annotations

from typing import Any

from kdcompress.demonstration._models import PageModel
from kdcompress.exporting._base import INT8
from kdcompress.formatting import MISSING, digits, integer, ms, percent, size
from kdcompress.reporting._headline import tiles
from kdcompress.reporting._names import runtime_name
from kdcompress.reporting._parts import Table, Tile
from kdcompress.reporting._run_data import RunData


def model_facts(model: PageModel, run: RunData, entries: dict[str, dict[str, Any]]) -> tuple[tuple[str, str], ...]:
    """List what people read of a model beside its answers.

    Args:
        model: The model.
        run: The run.
        entries: Entries of exports.json by precision.

    Returns:
        (name, value) pairs.
    """
    metrics: dict[str, Any] = run.test_metrics.get(model.role) or {}
    if model.precision == INT8 and model.role == "student":
        metrics = entries[INT8]["metrics"] or {}
    metric = "AUC" if run.metric == "auc" else run.metric
    facts = [("file", size(model.bytes)), ("parameters", integer(run.costs(model.role).get("params")))]
    return (*facts, (f"{metric} on test", percent(metrics.get(run.metric))))


def known_tiles(run: RunData) -> list[Tile]:
    """Build the report's tiles of what is known.

    Args:
        run: The run.
    """
    return [tile for tile in tiles(run) if tile.mood != "unknown"]


def desk_times(run: RunData) -> Table | None:
    """Build the table of the times that `bench` took on another machine than the page's reader has.

    Args:
        run: The run.

    Returns:
        The table; None before `bench`.
    """
    bench = run.bench or {"models": [], "machine": {}}
    rows = []
    for row in bench["models"]:
        if row["batch_size"] == 1:
            setting = [row["name"], row["precision"] or MISSING, runtime_name(row["runtime"]), str(row["threads"])]
            rows.append([*setting, ms(row["p50_ms"]), ms(row["p90_ms"]), _speedup(bench, row)])
    if not rows:
        return None
    head = ["model", "precision", "runtime", "threads", "median, ms", "90 %, ms", "speedup"]
    machine = bench["machine"].get("cpu") or "unknown CPU"
    return Table(f"One image at a time on {machine}", head, rows, names=3)


def _speedup(bench: dict[str, Any], row: dict[str, Any]) -> str:
    keys = ("runtime", "precision", "threads", "batch_size")
    for pair in bench.get("comparisons", []):
        if pair["student"] == row["name"] and all(pair[key] == row[key] for key in keys):
            return f"{digits(pair['speedup'])}×"
    return MISSING
