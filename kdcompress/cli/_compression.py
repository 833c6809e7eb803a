"""Text about compressions, for `compress` and `distill`."""

from __future__ import annotations

from typing import Any

from kdcompress.cli._terminal import Terminal

_COSTS = (("parameters", "params"), ("FLOPs", "flops"), ("bytes of weights", "weight_bytes"), ("  gzip", "gzip_bytes"))
_NO_SPEED = "zeros and equal values make files smaller by gzip, not faster: no CPU runtime skips them (--channels does)"


def describe_step(step: dict[str, Any]) -> str:
    """Describe a planned step in a line.

    Args:
        step: Entry of `steps` in the plan.
    """
    return f"{step['todo']}; {step['epochs']} epochs, learning rate {step['learning_rate']:g}"


def print_compression(result: dict[str, Any], terminal: Terminal) -> None:
    """Print what a compression did.

    Args:
        result: Its result.
        terminal: The terminal.
    """
    from kdcompress.metrics.classification import METRIC_NAMES

    before, after = result["before"], result["after"]
    terminal.result(f"{'':<18} {'before':>14} {'after':>14} {'after / before':>15}")
    for title, key in _COSTS:
        if before[key] is not None and after[key] is not None:
            ratio = f"{after[key] / before[key]:.3g}" if before[key] else ""
            terminal.result(f"{title:<18} {before[key]:>14,} {after[key]:>14,} {ratio:>15}")
    for key in ("auc", "accuracy"):
        values = [part["metrics"].get(key) for part in (before, after, result["teacher"])]
        if None not in values:
            was, now, teacher = (f"{100 * value:.2f} %" for value in values)
            title = f"test {METRIC_NAMES[key]}"
            terminal.result(f"{title:<18} {was:>14} {now:>14} {'':>15}  (teacher {teacher})")
    for step, facts in result["steps"].items():
        if summary := facts.get("summary"):
            terminal.result(f"{step:<18} {summary}")
    for entry in result["shipped"]:
        quality = entry["metrics"] and entry["metrics"].get("accuracy")
        accuracy = "" if quality is None else f", accuracy {100 * quality:.2f} %"
        terminal.result(f"{'file':<18} {result['run']}/{entry['path']}: {entry['bytes']:,} bytes{accuracy}")
    if {"prune", "cluster"} & set(result["steps"]):
        terminal.result(f"{'note':<18} {_NO_SPEED}")
    terminal.result(f"{'student':<18} {result['run']}  ({result['seconds']:.0f} s)")
