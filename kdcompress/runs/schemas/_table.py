"""Tables as which notebooks show results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from kdcompress.formatting import truncate

MAX_ROWS = 15
_MAX_LINES, _LONGEST, _WIDEST_LINE = 10, 60, 400  # notes or warnings; characters of a cell, and of a line
_LINE = 'style="margin-top:4px"'
_WARNING = 'style="border-left:4px solid #e69f00;padding-left:8px;margin-top:4px"'


@dataclass(frozen=True)
class Table:
    """A small table with lines under it; all of it is plain text, which is escaped where it becomes HTML.

    Attributes:
        title: Its first line.
        head: The heads of the columns.
        rows: Cells by row; at most `MAX_ROWS` of them are shown.
        notes: Lines under it.
        failures: Lines under it that stand out, such as gates that failed.
        warnings: Further lines that stand out.
        page: Path of a file that it links to.
    """

    title: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    failures: Sequence[str] = ()
    warnings: Sequence[str] = ()
    page: str | None = None

    def html(self) -> str:
        """The table as HTML without scripts and style sheets."""
        left_out = len(self.rows) - MAX_ROWS
        notes = [*([f"and {left_out:,} more rows"] if left_out > 0 else []), *_shown(self.notes)]
        lines = [
            *([_link(self.page)] if self.page else []),
            *(f"<div {_LINE}>{_text(note, _WIDEST_LINE)}</div>" for note in notes),
            *_outstanding("Failed", self.failures),
            *_outstanding("Warning", self.warnings),
        ]
        return f"<div><div><b>{_text(self.title)}</b></div>{self._rows()}{''.join(lines)}</div>"

    def _rows(self) -> str:
        if not self.rows:
            return ""
        rows = [_row("td", row) for row in self.rows[:MAX_ROWS]]
        head = f"<thead>{_row('th', self.head)}</thead>" if self.head else ""
        return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"


def _row(tag: str, cells: Sequence[str]) -> str:
    first, *others = [_text(cell) for cell in cells]
    aligned = [f'<{tag} style="text-align:right">{cell}</{tag}>' for cell in others]
    return f'<tr><{tag} style="text-align:left">{first}</{tag}>{"".join(aligned)}</tr>'


def _text(text: str, longest: int = _LONGEST) -> str:
    return escape(truncate(text, longest))


def _shown(lines: Sequence[str]) -> list[str]:
    left_out = len(lines) - _MAX_LINES
    return [*lines[:_MAX_LINES], *([f"and {left_out:,} more"] if left_out > 0 else [])]


def _outstanding(kind: str, lines: Sequence[str]) -> list[str]:
    return [f"<div {_WARNING}><b>{kind}:</b> {_text(line, _WIDEST_LINE)}</div>" for line in _shown(lines)]


def _link(path: str) -> str:
    """A link relative to the working directory, which is that of the notebook; a colon in it makes no scheme."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        relative = path
    address = "/".join(quote(part, errors="replace") for part in relative.replace(os.sep, "/").split("/"))
    return f'<div {_LINE}><a href="./{address}" target="_blank" rel="noopener">{_text(path)}</a></div>'
