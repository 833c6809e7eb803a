"""Elements of a page: sections with their text, figures, tables and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A plot.

    Attributes:
        svg: SVG drawn by this package; its text is already escaped.
        caption: Plain text.
    """

    svg: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows of text.

    Attributes:
        caption: Plain text.
        head: Column titles.
        rows: Cells, one row per line.
        names: Number of leading columns that hold words; the others hold numbers.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1


@dataclass(frozen=True)
class Picture:
    """An image of the data set.

    Attributes:
        uri: Data URI.
        tiny: Whether single pixels are to stay visible when it is enlarged.
        name: ID of the sample.
        lines: Caption, line by line.
    """

    uri: str
    tiny: bool
    name: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Tile:
    """A number at the top of the page.

    Attributes:
        label: Quantity.
        big: The number.
        verdict: What it means, in a few words.
        detail: Values that it was computed from.
        mood: "good", "bad", "same" or "unknown"; a CSS class.
    """

    label: str
    big: str
    verdict: str
    detail: str
    mood: str


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        key: HTML id, unique on the page.
        title: Heading.
        text: Paragraphs.
        figures: Plots.
        tables: Tables, after the figures.
        pictures: Images of the data set.
        listings: (caption, code) pairs.
        missing: What is not available, and why, or which command creates it.
        warnings: What to know before a figure is quoted, as sentences.
    """

    key: str
    title: str
    text: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    listings: Sequence[tuple[str, str]] = ()
    missing: Sequence[str] = ()
    warnings: Sequence[str] = ()
