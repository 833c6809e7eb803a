"""`demo`: a page that runs student and teacher in the browser."""

from __future__ import annotations

from pathlib import Path

from kdcompress.api._source import Run, data_folder, resolve_source
from kdcompress.api._verb import verb
from kdcompress.errors import MissingExtraError, UsageError
from kdcompress.missing import is_installed, remedy_for
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import is_student, named
from kdcompress.runs.schemas import Demo
from kdcompress.trust import trusting_code
from kdcompress.urls import check_local


@verb
def demo(
    source: str | Path | Run,
    *,
    out: str | Path | None = None,
    ort_web: str | Path | None = None,
    samples: int = 12,
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Demo:
    """Write a static page that runs a run's student beside its teacher in the browser.

    Args:
        source: A run, or RUN:NAME of a compressed student.
        out: Folder of the page; by default RUN-demo, or RUN-NAME-demo, beside the run. An earlier page is replaced,
            nothing else is.
        ort_web: Where onnxruntime-web comes from, which runs the models there: the folder of the npm package, or "cdn",
            from which the page loads it; by default ./node_modules/onnxruntime-web.
        samples: Number of test images in the page, 0 to 100.
        data_dir: Folder of the run's data, if they have been moved.
        trust_code: Whether code that comes with the run may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        What the page holds, as `kdcompress demo --json` prints it.

    Raises:
        UsageError: The source is no run, the folder holds something else, or onnxruntime-web is of another version.
        MissingExtraError: There is no onnxruntime-web.
        KDCompressError: The run or the data cannot be used.
    """
    from kdcompress.demonstration._demo import write_demo
    from kdcompress.demonstration._ort_web import find_web_runtime
    from kdcompress.demonstration._out import check_out
    from kdcompress.demonstration._samples import MAX_SAMPLES

    if not is_installed("keras"):  # said before what npm brings
        raise MissingExtraError(f"demo needs {remedy_for('keras')}")
    if not 0 <= samples <= MAX_SAMPLES:
        raise UsageError(f"--samples must be 0 to {MAX_SAMPLES}, got {samples}")
    run = resolve_source(source)
    if not isinstance(run, RunFolder):
        raise UsageError(f"demo takes a run, which has test images and figures, and {source} is none")
    data = data_folder(data_dir, progress)
    folder = Path(out) if out is not None else _default_out(run.path)
    check_local(folder, "--out", UsageError)
    check_out(folder)
    runtime = find_web_runtime(ort_web, Path.cwd())
    with run.lock(), trusting_code(trust_code):
        return Demo.of(write_demo(run, folder, runtime, samples, data, progress or Progress()))


def _default_out(run: Path) -> Path:
    if is_student(run):  # whose folder is inside the run
        whole = run.parent.parent
        return whole.with_name(f"{whole.name}-{run.name}-demo")
    folder = named(run)
    return folder.with_name(f"{folder.name}-demo")
