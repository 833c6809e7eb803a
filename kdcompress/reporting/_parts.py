"""What a page is made of: sections, each with its figures and their tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """An SVG of our own making (its text is escaped already) and what it shows."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows of text; the first `names` columns are words, the others numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int = 1


@dataclass(frozen=True)
class Picture:
    """An image of the data set as a data URI, `tiny` if its pixels are to be seen, and what is said of it."""

    uri: str
    tiny: bool
    name: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Section:
    """A part of the page; `missing` says what is not there yet and which command brings it."""

    key: str
    title: str
    text: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    listings: Sequence[tuple[str, str]] = ()
    missing: Sequence[str] = field(default_factory=tuple)
