"""Formatting of numbers and names for people; files keep fractions and plain units."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping

MISSING = "–"
_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def clean(text: object) -> str:
    """Replace the control characters that neither XML nor HTML can hold.

    Args:
        text: Converted to a string.

    Returns:
        The string with U+FFFD in place of each control character and surrogate.
    """
    return "".join("\ufffd" if unicodedata.category(char) in ("Cc", "Cs") else char for char in str(text))


def truncate(text: object, max_length: int) -> str:
    """Shorten text by cutting out its middle, since names differ at both ends.

    Args:
        text: Converted to a string and cleaned.
        max_length: Maximum number of characters, the ellipsis included.

    Returns:
        The shortened text.
    """
    cleaned = clean(text)
    if len(cleaned) <= max_length:
        return cleaned
    head = (max_length - 1) // 2
    return f"{cleaned[:head]}…{cleaned[head + 1 - max_length :]}"


def percent(fraction: float | None) -> str:
    """Format a fraction as a percentage: 0.958 as 95.80 %."""
    return MISSING if fraction is None else f"{100 * fraction:.2f} %"


def points(change: float | None) -> str:
    """Format a change of a fraction in signed percentage points: 0.006 as +0.60."""
    return MISSING if change is None else signed(100 * change, 2)


def signed(value: float, decimals: int) -> str:
    """Format a number with its sign (a true minus); a value that rounds to zero has none.

    Args:
        value: Finite number.
        decimals: Digits after the decimal point.

    Returns:
        The formatted number.
    """
    rounded = round(value, decimals)
    sign = "" if rounded == 0 else "+" if rounded > 0 else "−"
    return f"{sign}{abs(rounded):.{decimals}f}"


def integer(value: float | None) -> str:
    """Format a count with thousands separators: 1011466 as 1,011,466."""
    return MISSING if value is None else f"{value:,.0f}"


def abbreviate(value: float | None) -> str:
    """Format a count with a metric prefix: 1011466 as 1.01 M."""
    return MISSING if value is None else _scaled(value, _COUNTS, "")


def size(count: float | None) -> str:
    """Format a number of bytes in kB, MB or GB of 1000 each."""
    return MISSING if count is None else _scaled(count, _BYTES, "B")


def ms(value: float | None) -> str:
    """Format milliseconds to three significant digits, without the unit."""
    return MISSING if value is None else digits(value)


def grew(ratio: float | None) -> bool:
    """Return whether a ratio of sizes is above 1 by more than three digits round away, as a file's metadata is not.

    Args:
        ratio: Student / teacher; None if it is unknown.
    """
    return ratio is not None and ratio >= 1.005


def digits(value: float, count: int = 3) -> str:
    """Format a number to a number of significant digits.

    Args:
        value: Any number.
        count: Significant digits.

    Returns:
        The formatted number, in scientific notation only outside 0.0001 to a million.
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)))
    if not -5 < exponent < 6:
        return f"{value:.{count - 1}e}"
    return f"{value:,.{max(0, count - 1 - exponent)}f}"


def duration(seconds: float) -> str:
    """Format a duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def losses(figures: Mapping[str, float]) -> str:
    """Format the running losses of a training, or counts, in a few characters: label 0.123 targets 0.456.

    Args:
        figures: Running means, or whole numbers, by name; the accuracy is left out.
    """
    parts = {name: value for name, value in figures.items() if name != "accuracy"}
    shown = {name: str(value) if isinstance(value, int) else f"{value:.3f}" for name, value in parts.items()}
    return " ".join(f"{name.removesuffix('_loss').split('_')[0]} {text}" for name, text in shown.items())


def epoch_metrics(metrics: Mapping[str, float]) -> str:
    """Format the metrics of an epoch in one line.

    Args:
        metrics: As in `EpochEnded`.
    """
    names = [name for name in metrics if name.endswith("_loss") and not name.startswith("val_")]
    parts = ", ".join(f"{name.removesuffix('_loss')} {metrics[name]:.4f}" for name in names)
    auc = f", AUC {100 * metrics['val_auc']:.2f} %" if "val_auc" in metrics else ""
    return (
        f"loss {metrics['loss']:.4f} ({parts})  val accuracy {100 * metrics['val_accuracy']:.2f} %{auc}  "
        f"{metrics['seconds']:.1f} s"
    )


def join_names(names: list[str]) -> str:
    """Join names as in a sentence: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def sentence(text: object) -> str:
    """Begin a message with a capital letter, unless it begins with a name such as `t.onnx` or `int8`.

    Args:
        text: Converted to a string and cleaned.
    """
    cleaned = clean(text)
    word = cleaned.partition(" ")[0].rstrip(":,")
    return cleaned[0].upper() + cleaned[1:] if word.isalpha() and word.islower() else cleaned


def _scaled(value: float, steps: tuple[tuple[float, str], ...], unit: str) -> str:
    for step, prefix in steps:
        if abs(value) >= step:
            return f"{digits(value / step)} {prefix}"
    return f"{value:,.0f} {unit}".rstrip()


def plural(n: int, word: str) -> str:
    """Format a count with its noun.

    Args:
        n: The count.
        word: Noun in the singular, whose plural ends in s.

    Returns:
        Text such as "1 thread" or "2 threads".
    """
    return f"{n} {word}{'' if n == 1 else 's'}"
