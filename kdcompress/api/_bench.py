"""`bench`: inference times of students and their teacher, or of several model files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.api._source import Run, resolve_source
from kdcompress.api._verb import verb
from kdcompress.errors import RunError, UsageError
from kdcompress.progress import Progress
from kdcompress.runs.documents import read_checked, write_document
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.machines import read_machines
from kdcompress.runs.names import remedy
from kdcompress.runs.schemas import Benchmark
from kdcompress.trust import trusting_code

if TYPE_CHECKING:
    from kdcompress.benchmarking._request import BenchRequest
    from kdcompress.benchmarking._subjects import Lineup

_NOTHING: dict[str, Any] = {"machine": {}, "models": [], "comparisons": []}


@verb
def bench(
    *sources: str | Path | Run,
    threads: Iterable[int] | None = None,
    batch_sizes: Iterable[int] = (1,),
    duration: float = 1.0,
    max_slowdown: float | None = None,
    input_shape: tuple[int, ...] | None = None,
    end_to_end: str | Path | None = None,
    runtimes: Iterable[str] = (),
    import_file: str | Path | None = None,
    machine: str | None = None,
    forget: str | None = None,
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Benchmark:
    """Measure the inference times of a run's teacher and exported students, or of model files against the first one.

    After a KeyboardInterrupt, the partial result is returned, marked `interrupted`. It replaces an earlier result only
    if that was interrupted, too.

    Args:
        *sources: One run, or .onnx and .tflite files.
        threads: Numbers of threads; one and all cores by default.
        batch_sizes: Numbers of images per call.
        duration: Time in seconds for each model and setting, above 0 and at most 3600.
        max_slowdown: Gate: student time / teacher time, above 0; fails where the whole 95 % interval lies above it.
        input_shape: (H, W, C), for files that leave them open.
        end_to_end: Folder of images, to measure the time from image file to prediction, too.
        runtimes: Names of runtimes (`kdcompress list runtimes`), or package.module:Class of Runtime subclasses; every
            file is timed on each that runs it. The usual one of each kind of file by default.
        import_file: Result of a bundle (`kdcompress bundle`) on another machine, which is kept in the run beside its
            own; nothing is measured.
        machine: Name of that machine; by default that of the file.
        forget: Name of another machine whose result is dropped from the run; nothing is measured.
        data_dir: Folder of the run's data, if they have been moved.
        trust_code: Whether code that comes with the run or the files may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        The times, as `kdcompress bench --json` prints them. Those of a run are saved as bench.json, and `machines` has
        those of its other machines. `passed` tells whether the gate, and parity on another machine, is passed.

    Raises:
        UsageError: An argument is out of range, or the sources are neither one run nor files.
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
    targets = [resolve_source(source) for source in sources]
    if import_file is not None:
        return _import(targets, Path(import_file), machine, max_slowdown)
    if forget is not None:
        return _forget(targets, forget)
    if machine is not None:
        raise UsageError("--machine names the machine of --import; `bench` itself measures this one")
    if len(targets) == 1 and isinstance(targets[0], RunFolder):
        with trusting_code(trust_code):
            return _bench_run(targets[0], request, Path(data_dir) if data_dir else None, listener)
    files = [path for path in targets if isinstance(path, Path)]
    if not files or len(files) < len(targets):
        raise UsageError(f"bench takes one run, or model files, got {', '.join(map(str, sources)) or 'nothing'}")
    from kdcompress.benchmarking._lineup import of_files

    return Benchmark.of(_measure(of_files(files, request), request, listener)).completed()


def _bench_run(run: RunFolder, request: BenchRequest, data_dir: Path | None, progress: Progress) -> Benchmark:
    from kdcompress.benchmarking._lineup import RESULT
    from kdcompress.benchmarking._run_lineup import of_run

    with run.lock():
        result = _measure(of_run(run, request, data_dir, progress), request, progress)
        if result["interrupted"] and _is_complete(run / RESULT):
            progress.note(f"{run / RESULT} keeps its earlier result, which is whole")
        else:
            write_document(run / RESULT, result)
            run.commit(RESULT)
    return _beside_others(run, result)


def _import(targets: Sequence[object], path: Path, machine: str | None, max_slowdown: float | None) -> Benchmark:
    from kdcompress.bundling import import_result

    if len(targets) != 1 or not isinstance(targets[0], RunFolder):
        raise UsageError("--import puts the result of a bundle into its run: name that run, and nothing else")
    if max_slowdown is not None:
        raise UsageError("--import measures nothing; `kdcompress verify RUN --max-slowdown R --machine NAME` judges it")
    with targets[0].lock():
        return _beside_others(targets[0], import_result(targets[0], path, machine))


def _forget(targets: Sequence[object], machine: str) -> Benchmark:
    from kdcompress.benchmarking._lineup import RESULT
    from kdcompress.runs.machines import forget

    if len(targets) != 1 or not isinstance(targets[0], RunFolder):
        raise UsageError("--forget drops a machine's result from its run: name that run, and nothing else")
    run = targets[0]
    with run.lock():
        forget(run, machine)
    local = read_checked(run / RESULT, remedy(RESULT, run.path)) if run.has_file(RESULT) else _NOTHING
    return _beside_others(run, Benchmark.of(local).completed())


def _beside_others(run: RunFolder, result: Mapping[str, Any]) -> Benchmark:
    """A benchmark of a run with those of the run's other machines."""
    return Benchmark.of({**result, "run": str(run.path), "machines": read_machines(run).current}).completed()


def _measure(lineup: Lineup, request: BenchRequest, progress: Progress) -> dict[str, Any]:
    from kdcompress.benchmarking._bench import measure

    if request.end_to_end is not None:
        from kdcompress.benchmarking._end_to_end import find_files

        lineup.files = find_files(request.end_to_end, lineup.subjects, progress)
    return measure(lineup, request, progress)


def _is_complete(path: Path) -> bool:
    """Whether there is a result that was not interrupted."""
    try:
        return not read_checked(path, "").get("interrupted", False)
    except (FileNotFoundError, RunError):  # a damaged result may be replaced
        return False
