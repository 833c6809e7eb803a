"""`report`: what a run holds, on one page; or several runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.api._document import document
from kdcompress.api._source import Run, source_of
from kdcompress.errors import UsageError
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder


@document
def report(
    *sources: str | Path | Run,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write report.html and MODEL_CARD.md of a run; of several runs, comparison.html; of a sweep, its report.html.

    Without `out`, a folder, a run's report goes into the run and its manifest, and a comparison into the current
    folder. With `out` the run is only read, so that one still training can be looked at. Returns the document that
    `kdcompress report --json` prints. Errors: KDCompressError.
    """
    from kdcompress.reporting._compare import report_runs
    from kdcompress.reporting._facts import PAGE
    from kdcompress.reporting._report import report_run

    if len(sources) == 1 and isinstance(sources[0], str | Path) and is_sweep(Path(sources[0])):
        from kdcompress.reporting._sweep import report_sweep

        return report_sweep(Path(sources[0]), Path(out or sources[0]))
    runs = [_run_of(source) for source in sources]
    listener = progress or Progress()
    if not runs:
        raise UsageError("report takes at least one run folder, got none")
    if len(runs) > 1:
        return report_runs(runs, Path(out or "."))
    if out is not None:
        return report_run(runs[0], Path(out), listener)
    with runs[0].lock():
        result = report_run(runs[0], runs[0].path, listener)
        runs[0].commit(PAGE)
    return result


def is_sweep(folder: Path) -> bool:
    """Whether a folder is a sweep's."""
    return (folder / "sweep.toml").is_file() and (folder / "space.json").is_file()


def _run_of(source: str | Path | Run) -> RunFolder:
    given = source_of(source)
    if not isinstance(given, RunFolder):
        raise UsageError(f"report takes run folders, and {source} is none; `kdcompress distill` makes one")
    return given
