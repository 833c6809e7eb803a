"""What demo writes."""

from __future__ import annotations

from kdcompress.formatting import MISSING, size
from kdcompress.runs.schemas._parts import Count
from kdcompress.runs.schemas._result import Kept, Result, brief
from kdcompress.runs.schemas._table import Table


class PageRuntime(Result):
    """What runs the models on the page: the version of onnxruntime-web, and the folder or address of its files."""

    version: str
    address: str


class PageFile(Result):
    """A model on the page; `path` is relative to its folder."""

    name: str
    role: str
    precision: str | None
    path: str
    bytes: Count
    sha256: str


class Demo(Kept):
    """What `demo` wrote.

    Attributes:
        run: The run folder.
        out: The folder of the page.
        page: The path of its index.html.
        runtime: What runs the models there.
        models: The student's files, and the teacher's.
        no_teacher: Why the page shows the student alone; None if the teacher is there.
        samples: How many test images the page holds.
        bytes: Size of all its files.
        seconds: How long it took.
    """

    run: str
    out: str
    page: str
    runtime: PageRuntime
    models: list[PageFile]
    no_teacher: str | None
    samples: Count
    bytes: Count
    seconds: float

    def _parts(self) -> list[str]:
        return [brief(self.page), f"{len(self.models)} models", f"samples={self.samples}"]

    def _table(self) -> Table:
        rows = [[one.name, one.precision or MISSING, size(one.bytes)] for one in self.models]
        notes = [f"python -m http.server --directory {self.out}, then open http://localhost:8000"]
        warnings = [f"the student alone: {self.no_teacher}"] if self.no_teacher else []
        title, head = f"Page in {self.out}, {size(self.bytes)}", ["model", "precision", "file"]
        return Table(title, head, rows, notes, warnings=warnings)
