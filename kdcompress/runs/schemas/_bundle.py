"""What bundle writes, and what a device measures with it."""

from __future__ import annotations

from kdcompress.formatting import MISSING, size
from kdcompress.runs.schemas._parts import Count
from kdcompress.runs.schemas._result import Kept, Result, brief, made
from kdcompress.runs.schemas._table import Table


class BundledModel(Result):
    """A model file in a bundle."""

    name: str
    path: str
    precision: str | None
    bytes: Count


class Bundle(Kept):
    """What `bundle` wrote.

    Attributes:
        run: The run folder.
        bundle: The path of the bundle.
        bytes: Its size.
        sha256: Its SHA-256.
        images: The number of test images in it.
        runtimes: The runtimes that its files are for.
        files: The model files in it.
        skipped: What is not in it, and why.
    """

    run: str
    bundle: str
    bytes: Count
    sha256: str
    images: Count
    runtimes: list[str] = made(list)
    files: list[BundledModel]
    skipped: list[str] = made(list)

    def _parts(self) -> list[str]:
        return [brief(self.bundle), f"{len(self.files)} files", size(self.bytes)]

    def _table(self) -> Table:
        rows = [[file.name, file.precision or MISSING, size(file.bytes)] for file in self.files]
        return Table(f"{self.bundle}, {size(self.bytes)}", ["model", "precision", "size"], rows, self.skipped)
