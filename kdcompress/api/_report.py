"""`report`: what a run holds, on one page; or several runs beside each other."""

from __future__ import annotations

from pathlib import Path

from kdcompress.api._source import Run, source_of
from kdcompress.errors import UsageError
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Report


def report(*sources: str | Path | Run, out: str | Path | None = None, progress: Progress | None = None) -> Report:
    """Write report.html and MODEL_CARD.md of a run; of several runs, comparison.html; of a sweep, its report.html.

    Args:
        *sources: A run, several runs, or the folder of a sweep.
        out: The folder to write into; by default the run itself (and its manifest), of several runs the current folder.
            With `out` a run is only read, so that one still training can be looked at.
        progress: Hears what is being done.

    Returns:
        What was written and what it says, as `kdcompress report --json` prints it.

    Raises:
        UsageError: A source is no run.
        RunError: A run is not as it was written, or one of several is not finished.
    """
    from kdcompress.reporting._compare import report_runs

    if len(sources) == 1 and isinstance(sources[0], str | Path) and is_sweep(Path(sources[0])):
        from kdcompress.reporting._sweep import report_sweep

        return Report.of(report_sweep(Path(sources[0]), Path(out or sources[0])))
    runs = [_run_of(source) for source in sources]
    if not runs:
        raise UsageError("report takes at least one run folder, got none")
    if len(runs) > 1:
        return Report.of(report_runs(runs, Path(out or ".")))
    return _report_run(runs[0], Path(out) if out is not None else None, progress or Progress())


def _report_run(run: RunFolder, out: Path | None, progress: Progress) -> Report:
    from kdcompress.reporting._report import report_run
    from kdcompress.reporting._run_data import PAGE

    if out is not None:
        return Report.of(report_run(run, out, progress))
    with run.lock():
        result = report_run(run, run.path, progress)
        run.commit(PAGE)
    return Report.of(result)


def is_sweep(folder: Path) -> bool:
    """Whether a folder is a sweep's."""
    return (folder / "sweep.toml").is_file() and (folder / "space.json").is_file()


def _run_of(source: str | Path | Run) -> RunFolder:
    given = source_of(source)
    if not isinstance(given, RunFolder):
        raise UsageError(f"report takes run folders, and {source} is none; `kdcompress distill` makes one")
    return given
