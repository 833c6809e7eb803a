"""The result of a benchmark as text, for the command line and for devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = (
    ("p50 ms", "p50_ms", 9, "{:.3f}"),
    ("p90", "p90_ms", 8, "{:.3f}"),
    ("p99", "p99_ms", 8, "{:.3f}"),
    ("max", "max_ms", 8, "{:.2f}"),
    ("images/s", "throughput_per_s", 9, "{:,.0f}"),
    ("load ms", "load_ms", 8, "{:.1f}"),
    ("first ms", "first_ms", 9, "{:.2f}"),
    ("peak MB", "peak_rss_mb", 8, "{:.0f}"),
    ("n", "n", 8, "{:,}"),
)


def result_lines(result: Mapping[str, Any]) -> list[str]:
    """Format the result of a benchmark as lines of text.

    Args:
        result: The document that `kdcompress bench --json` prints.

    Returns:
        Lines without their ends: a table for each setting, the comparisons, gates, and the machine.
    """
    lines = [*_time_lines(result["models"]), ""]
    lines += [_sentence(pair) for pair in result["comparisons"]]
    lines += [_slow(slow) for slow in result["slower_than_fp32"]]
    lines += [_verdict(gate) for gate in result["gates"]]
    return [*lines, _conditions(result)]


def _time_lines(models: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    width = max((len(_name(model)) for model in models), default=0)
    setting = None
    for model in models:
        if (model_setting := _setting(model)) != setting:
            head = "".join(f"{title:>{size}}" for title, _, size, _ in _COLUMNS)
            lines += [*([""] if setting is not None else []), model_setting, f"{'':<{width}}{head}  file MB"]
            setting = model_setting
        values = "".join(_cell(model[key], form, size) for _, key, size, form in _COLUMNS)
        megabytes = model["bytes"] / 1e6 if model["bytes"] is not None else None
        lines.append(f"{_name(model):<{width}}{values}  {_cell(megabytes, '{:.3f}', 7)}")
        if files := model["end_to_end"]:
            times = "".join(_cell(files[key], form, size) for _, key, size, form in _COLUMNS[:5])
            lines.append(f"{'  from file':<{width}}{times}")
    return lines


def _cell(value: float | None, form: str, size: int) -> str:
    """A figure; a result from elsewhere may lack one."""
    return f"{'-' if value is None else form.format(value):>{size}}"


def _verdict(gate: Mapping[str, Any]) -> str:
    across = ", across runtimes" if gate.get("across_runtimes") else ""
    return f"gate {gate['name']} {_pair(gate)}: {_slowdown(gate)}{across}: {'passed' if gate['passed'] else 'FAILED'}"


def failed_gate(gate: Mapping[str, Any]) -> str:
    """Describe a gate that was not kept.

    Args:
        gate: Entry of `gates`.

    Returns:
        A sentence.
    """
    return f"gate {gate['name']} fails: {_pair(gate)} takes {_slowdown(gate)}"


def _slowdown(gate: Mapping[str, Any]) -> str:
    value = f"{gate['value']:.3g} times" if gate["value"] else "an unknown number of times"
    teacher = "the teacher" if gate["teacher"] in (None, "teacher") else gate["teacher"]
    return f"{value} the time of {teacher}, at most {gate['limit']:g} allowed"


def _conditions(result: Mapping[str, Any]) -> str:
    machine, settings = result["machine"], result["settings"]
    sets = (
        ", ".join(name for name, supported in machine["instruction_sets"].items() if supported) or "no known extension"
    )
    name = ", ".join(filter(None, (machine["board"], machine["cpu"]))) or "unknown CPU"
    parts = [f"{name}, {machine['usable_cores'] or '?'} cores, {sets}"]
    if "inputs" in settings:
        parts.append(f"inputs: {settings['inputs']}")
    if isinstance(settings.get("turn_ms"), (int, float)):
        parts.append(f"{settings.get('rounds')} turns of {settings['turn_ms']:.0f} ms each")
    if result["seconds"] is not None:
        parts.append(f"{result['seconds']:.0f} s")
    return "; ".join(parts)


def _name(model: Mapping[str, Any]) -> str:
    return _label(model["name"], model["precision"])


def _label(name: str, precision: str | None) -> str:
    """The name with its precision, which it may already end in."""
    return f"{name.removesuffix(f'-{precision}')} {precision}" if precision else name


def _setting(model: Mapping[str, Any]) -> str:
    return f"{model['runtime']}, {_threads(model['threads'])}, batch {model['batch_size']}"


def _threads(n: int) -> str:
    return f"{n} thread{'' if n == 1 else 's'}"


def _pair(pair: Mapping[str, Any]) -> str:
    name = _label(pair["student"], pair["precision"])
    return f"{name} on {pair['runtime']}, {_threads(pair['threads'])}, batch {pair['batch_size']}"


def _sentence(pair: Mapping[str, Any]) -> str:
    """`student int8 on onnxruntime, 1 thread, batch 1: 4.6 times as fast as the teacher (95 % 4.4 to 4.9)`."""
    teacher = _label(pair["teacher"], pair["teacher_precision"])
    reference = "the teacher" if pair["teacher"] == "teacher" else teacher
    if pair["teacher_runtime"] != pair["runtime"]:
        reference += f" on {pair['teacher_runtime']}"
    text = f"{_pair(pair)}: {_speed(pair, reference)}"
    if pair.get("across_runtimes"):
        text += ", across runtimes"
    if files := pair["end_to_end"]:
        text += f"; from file to answer {_digits(files['speedup'])} times as fast"
    return text


def _speed(pair: Mapping[str, Any], reference: str) -> str:
    value, low, high = pair["speedup"], pair["speedup_low"], pair["speedup_high"]
    if low is None:
        return f"{_digits(value)} times as fast as {reference} (too few rounds for an interval)"
    interval = f"(95 % {_digits(low)} to {_digits(high)})"
    if not pair["distinguishable"]:
        return f"not distinguishable from {reference}: {_digits(value)} times as fast {interval}"
    slower = "" if value > 1 else f": SLOWER, a call takes {_digits(1 / value)} times as long"
    return f"{_digits(value)} times as fast as {reference} {interval}{slower}"


def _digits(value: float) -> str:
    """A number with three significant digits, including zeros."""
    return f"{value:#.3g}".rstrip(".")


def _slow(slow: Mapping[str, Any]) -> str:
    text = (
        f"{slow['name']} int8 on {slow['runtime']}, {_threads(slow['threads'])}, batch {slow['batch_size']} takes "
        f"{slow['slowdown']:.3g} times as long as fp32; likely because {'; '.join(slow['reasons'])}"
    )
    if slow["operators"]:
        text += "; its time: " + ", ".join(
            f"{operator['operator']} {100 * operator['share']:.0f} %" for operator in slow["operators"]
        )
    return text
