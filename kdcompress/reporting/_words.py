"""Numbers and names as people read them; files keep fractions and plain units."""

from __future__ import annotations

import math
import unicodedata

MISSING = "–"
_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_COUNTS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def clean(text: object) -> str:
    """`text` without the control characters that neither XML nor HTML can hold."""
    return "".join("\ufffd" if unicodedata.category(one) in ("Cc", "Cs") else one for one in str(text))


def short(text: object, most: int) -> str:
    """`text` in at most `most` characters, cut in the middle: names differ at both ends."""
    whole = clean(text)
    if len(whole) <= most:
        return whole
    head = (most - 1) // 2
    return f"{whole[:head]}…{whole[head + 1 - most :]}"


def percent(fraction: float | None) -> str:
    """0.958 as 95.80 %."""
    return MISSING if fraction is None else f"{100 * fraction:.2f} %"


def points(change: float | None) -> str:
    """A change of a fraction in points, with its sign: 0.006 as +0.60."""
    return MISSING if change is None else signed(100 * change, 2)


def signed(value: float, digits: int) -> str:
    """A number with its sign, a true minus among them; what rounds to zero has none."""
    rounded = round(value, digits)
    sign = "" if rounded == 0 else "+" if rounded > 0 else "−"
    return f"{sign}{abs(rounded):.{digits}f}"


def whole(value: float | None) -> str:
    """1011466 as 1,011,466."""
    return MISSING if value is None else f"{value:,.0f}"


def brief(value: float | None) -> str:
    """1011466 as 1.01 M."""
    return MISSING if value is None else _scaled(value, _COUNTS, "")


def size(count: float | None) -> str:
    """Bytes as kB, MB or GB, of 1000 each."""
    return MISSING if count is None else _scaled(count, _BYTES, "B")


def ms(value: float | None) -> str:
    """Milliseconds in three digits, without the unit."""
    return MISSING if value is None else digits(value)


def digits(value: float, count: int = 3) -> str:
    """A number in `count` significant digits, never in powers of ten between 0.0001 and a million."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(abs(value)))
    if not -5 < exponent < 6:
        return f"{value:.{count - 1}e}"
    return f"{value:,.{max(0, count - 1 - exponent)}f}"


def listed(names: list[str]) -> str:
    """a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _scaled(value: float, steps: tuple[tuple[float, str], ...], unit: str) -> str:
    for step, name in steps:
        if abs(value) >= step:
            return f"{digits(value / step)} {name}"
    return f"{value:,.0f} {unit}".rstrip()
