"""`bench`: how fast students are beside their teacher, and model files beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kdcompress.api._source import Run, source_of
from kdcompress.errors import RunError, UsageError
from kdcompress.progress import Progress
from kdcompress.runs.documents import read_checked, write_document
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Benchmark
from kdcompress.trust import trusting_code

if TYPE_CHECKING:
    from kdcompress.benchmarking._request import BenchRequest


def bench(
    *sources: str | Path | Run,
    threads: Iterable[int] | None = None,
    batch_sizes: Iterable[int] = (1,),
    duration: float = 1.0,
    max_slowdown: float | None = None,
    input_shape: tuple[int, ...] | None = None,
    end_to_end: str | Path | None = None,
    runtimes: Iterable[str] = (),
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Benchmark:
    """Time the teacher and every exported student of a run, or model files against the first of them.

    A KeyboardInterrupt gives what was finished, marked `interrupted`; it takes the place of an earlier result only if
    that was interrupted, too.

    Args:
        *sources: One run, or .onnx and .tflite files.
        threads: Numbers of threads to time with; one and all cores by default.
        batch_sizes: Images a call.
        duration: Seconds that each model is timed at each setting, above 0 and at most 3600.
        max_slowdown: Gate: student time / teacher time, above 0; fails where the whole 95 % interval lies above it.
        input_shape: Height, width and channels, for files that leave them open.
        end_to_end: A folder of images, to time from file to answer, too.
        runtimes: Names of runtimes (`kdcompress list runtimes`), or package.module:Class of Runtime subclasses; every
            file is timed on each that runs it. The usual one of each kind of file by default.
        data_dir: Where the run's data lie now, if they were moved.
        trust_code: Let code run that came with the run or the files.
        progress: Hears what is being done.

    Returns:
        What was measured, as `kdcompress bench --json` prints it; a run keeps it as bench.json. `passed` says whether
        the gate was kept.

    Raises:
        UsageError: An argument is out of its range, or the sources are neither one run nor files.
        KDCompressError: A model, the run or the data cannot be used.
    """
    from kdcompress.benchmarking._request import make_bench_request

    request = make_bench_request(
        threads,
        batch_sizes,
        duration=duration,
        max_slowdown=max_slowdown,
        input_shape=input_shape,
        end_to_end=end_to_end,
        runtimes=runtimes,
    )
    listener = progress or Progress()
    found = [source_of(source) for source in sources]
    if len(found) == 1 and isinstance(found[0], RunFolder):
        with trusting_code(trust_code):
            return _bench_run(found[0], request, Path(data_dir) if data_dir else None, listener)
    files = [path for path in found if isinstance(path, Path)]
    if not files or len(files) < len(found):
        raise UsageError(f"bench takes one run, or model files, got {', '.join(map(str, sources)) or 'nothing'}")
    from kdcompress.benchmarking._bench import measure
    from kdcompress.benchmarking._lineup import of_files

    return Benchmark.of(measure(of_files(files, request), request, listener))


def _bench_run(run: RunFolder, request: BenchRequest, data_dir: Path | None, progress: Progress) -> Benchmark:
    from kdcompress.benchmarking._bench import measure
    from kdcompress.benchmarking._lineup import RESULT
    from kdcompress.benchmarking._run_lineup import of_run

    with run.lock():
        result = measure(of_run(run, request, data_dir, progress), request, progress)
        if result["interrupted"] and _whole(run / RESULT):
            progress.note(f"{run / RESULT} keeps its earlier result, which is whole")
        else:
            write_document(run / RESULT, result)
            run.commit(RESULT)
    return Benchmark.of({"run": str(run.path), **result})


def _whole(path: Path) -> bool:
    """Whether an earlier result is there that was not interrupted."""
    try:
        return not read_checked(path, "").get("interrupted", False)
    except (FileNotFoundError, RunError):  # a damaged one is no loss
        return False
