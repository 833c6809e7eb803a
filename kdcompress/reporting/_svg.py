"""SVG figures that take their colours and font from the page, so that they suit both light and dark themes.

Matplotlib draws with placeholder colours, each of which is replaced by the CSS variable of the page; text stays text.
Figures are drawn 360 units wide, the width of a phone, so that their text is readable there, and scale up from that.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from kdcompress.formatting import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

INK, MUTED, GRID, PAPER = "#00fe01", "#00fe02", "#00fe03", "#00fe04"
COLOURS = {"teacher": "#00fe05", "student": "#00fe06", "baseline": "#00fe07"}
GOOD, BAD = "#00fe08", "#00fe09"
_VARIABLES = {
    INK: "ink", MUTED: "muted", GRID: "grid", PAPER: "paper", GOOD: "good", BAD: "bad",
    **{colour: role for role, colour in COLOURS.items()},
}  # fmt: skip
# Each role also has a shape, for colour-blind readers and black-and-white print
MARKERS = {"teacher": "s", "student": "o", "baseline": "^"}
LINES = {"teacher": "--", "student": "-", "baseline": ":"}
WIDTH = 360.0
_DPI = 72
_STYLE = {
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "kdcompress",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}


def draw(name: str, title: str, height: float, paint: Callable[[Axes], None]) -> str:
    """Draw a figure.

    Args:
        name: Prefix of the SVG's ids, unique on the page.
        title: Accessible title, read aloud by screen readers.
        height: Height in units; the width is `WIDTH`.
        paint: Draws on the axes it is passed.

    Returns:
        The SVG; equal input gives equal bytes.
    """
    import matplotlib
    from matplotlib.figure import Figure

    out = io.StringIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # class names with glyphs that the layout font lacks: browsers have them
        # The user's style must not show; the backend is left alone, since rc_context does not restore it
        defaults = {key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")}
        matplotlib.rcParams.update({**defaults, **_STYLE})
        figure = Figure(figsize=(WIDTH / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
        paint(figure.add_subplot())
        figure.savefig(out, format="svg", metadata={"Date": None})
    return _themed(out.getvalue(), name, title)


def legend(axes: Axes, columns: int = 3) -> None:
    """Add a legend above the plot, where it covers nothing.

    Args:
        axes: Axes with labelled artists.
        columns: Number of columns.
    """
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, handlelength=1.8, columnspacing=1.2)


def plain_ticks(axis: Axis, positions: Sequence[float] | None = None) -> None:
    """Label a logarithmic axis with plain numbers.

    Args:
        axis: Axis with a logarithmic scale.
        positions: Tick positions; by default 1, 2, 5 times powers of ten, or powers of ten on a wide range.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    locator = FixedLocator(positions) if positions else LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,))
    axis.set_major_locator(locator)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _themed(svg: str, name: str, title: str) -> str:
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    used = set(re.findall(r"""(?:href="#|url\(#)([^")]+)""", svg))
    # Only tags are changed: the name of a class may contain any text
    svg = re.sub(r"<[^>]+>", lambda match: _themed_tag(match[0], name, used), svg)
    text = escape(clean(title), {'"': "&quot;"})
    height = float(re.findall(r'viewBox="0 0 [0-9.]+ ([0-9.]+)"', svg)[0])
    head = f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{text}"><title>{text}</title>'
    return re.sub(r"<svg[^>]*>", lambda match: head, svg, count=1)


def _themed_tag(tag: str, name: str, used: set[str]) -> str:
    """Give a tag the page's colours and font and ids that are unique on the page; drop ids that are not referenced."""
    tag = tag.replace("xlink:href", "href").replace("font-family: 'DejaVu Sans'; ", "")
    tag = re.sub(r"""font: ([0-9.]+)px 'DejaVu Sans'[^;"]*""", r"font-size: \1px", tag)  # Matplotlib 3.9 writes this
    tag = re.sub(r' id="([^"]*)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", tag)
    tag = re.sub(r"""(href="#|url\(#)""", rf"\g<1>{name}-", tag)
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, f"var(--{variable})")
    return re.sub(r"\s+", " ", tag)
