"""`report`: the page of a run or a sweep, or a comparison of several runs."""

from __future__ import annotations

from pathlib import Path

from kdcompress.api._source import Run, resolve_source
from kdcompress.api._verb import verb
from kdcompress.errors import UsageError
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Report
from kdcompress.urls import check_local


@verb
def report(*sources: str | Path | Run, out: str | Path | None = None, progress: Progress | None = None) -> Report:
    """Write report.html and MODEL_CARD.md of a run; of several runs, comparison.html; of a sweep, its report.html.

    Args:
        *sources: A run, several runs, or the folder of a sweep.
        out: Output folder; by default the run folder, or the current folder for several runs. With `out`, a run is only
            read, so that it may still be training.
        progress: Listener of progress, notes and warnings.

    Returns:
        The written files and their content, as `kdcompress report --json` prints it.

    Raises:
        UsageError: A source is not a run.
        RunError: A run has been changed, or one of several is not finished.
    """
    from kdcompress.reporting._compare import report_runs

    if out is not None:
        check_local(Path(out), "--out", UsageError)
    if len(sources) == 1 and isinstance(sources[0], str | Path) and is_sweep(Path(sources[0])):
        from kdcompress.reporting._sweep import report_sweep

        return Report.of(report_sweep(Path(sources[0]), Path(out or sources[0])))
    runs = [_resolve_run(source) for source in sources]
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
    """Whether a folder belongs to a sweep.

    Args:
        folder: The folder.
    """
    return (folder / "sweep.toml").is_file() and (folder / "space.json").is_file()


def _resolve_run(source: str | Path | Run) -> RunFolder:
    run = resolve_source(source, judged=False)  # its page has a section on its compressed students
    if not isinstance(run, RunFolder):
        raise UsageError(f"report takes run folders, and {source} is none; `kdcompress distill` makes one")
    return run
