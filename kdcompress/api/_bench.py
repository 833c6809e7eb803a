"""`bench`: inference times of students and their teacher, or of several model files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.api._source import Run, data_folder, resolve_source
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
    from kdcompress.bundling import RemoteRequest

_NOTHING: dict[str, Any] = {"machine": {}, "models": [], "comparisons": []}


@verb
def bench(
    *sources: str | Path | Run,
    threads: Iterable[int | str] | None = None,
    batch_sizes: Iterable[int] = (1,),
    duration: float = 1.0,
    max_slowdown: float | None = None,
    input_shape: tuple[int, ...] | None = None,
    end_to_end: str | Path | None = None,
    runtimes: Iterable[str] = (),
    on: str | None = None,
    setup: bool = False,
    keep: bool = False,
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
        threads: Numbers of threads, "all" for one a core; one and all by default.
        batch_sizes: Numbers of images per call.
        duration: Time in seconds for each model and setting, above 0 and at most 3600.
        max_slowdown: Gate: student time / teacher time, above 0; fails where the whole 95 % interval lies above it.
        input_shape: (H, W, C), for files that leave them open.
        end_to_end: Folder of images, to measure the time from image file to prediction, too.
        runtimes: Names of runtimes (`kdcompress list runtimes`), or package.module:Class of Runtime subclasses; every
            file is timed on each that runs it. The usual one of each kind of file by default.
        on: ssh://[USER@]HOST[:PORT] of a device that measures a run's exports by a bundle of them; the result is kept
            in the run beside its own. A call that broke off goes on when it is made again.
        setup: Whether a virtual environment with NumPy and the runtimes is made on that device.
        keep: Whether bundle and environment stay there for the next call.
        import_file: Result of a bundle (`kdcompress bundle`) on another machine, which is kept in the run beside its
            own; nothing is measured.
        machine: Name of that machine; by default that of the file, or the host of `on`.
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

    listener = progress or Progress()
    folder = data_folder(data_dir, listener)
    timing: dict[str, Any] = {
        "threads": threads, "batch_sizes": batch_sizes, "duration": duration, "max_slowdown": max_slowdown,
        "runtimes": runtimes,
    }  # fmt: skip
    if on is not None:
        from kdcompress.bundling import make_remote_request

        remote = make_remote_request(on, machine, setup=setup, keep=keep, **timing)
        _refuse_beside_on(input_shape=input_shape, end_to_end=end_to_end, import_=import_file, forget=forget)
        targets = [resolve_source(source, progress=listener) for source in sources]
        with trusting_code(trust_code):
            return _bench_on(targets, remote, folder, listener)
    if setup or keep:
        raise UsageError(f"--{'setup' if setup else 'keep'} is for the device of --on ssh://[USER@]HOST[:PORT]")
    request = make_bench_request(**timing, input_shape=input_shape, end_to_end=end_to_end)
    targets = [resolve_source(source, progress=listener) for source in sources]
    if import_file is not None:
        return _import(targets, Path(import_file), machine, max_slowdown)
    if forget is not None:
        return _forget(targets, forget)
    if machine is not None:
        raise UsageError("--machine names the machine of --on or --import; `bench` itself measures this one")
    if len(targets) == 1 and isinstance(targets[0], RunFolder):
        with trusting_code(trust_code):
            return _bench_run(targets[0], request, folder, listener)
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


def _refuse_beside_on(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            option = f"--{name.strip('_').replace('_', '-')}"
            raise UsageError(f"{option} does not go with --on, which times a run's exports on its own test images")


def _bench_on(
    targets: Sequence[object], request: RemoteRequest, data_dir: Path | None, progress: Progress
) -> Benchmark:
    from kdcompress.bundling import bench_on_device

    if len(targets) != 1 or not isinstance(targets[0], RunFolder):
        raise UsageError("--on measures the exports of a run: name that run, and nothing else")
    return _beside_others(targets[0], bench_on_device(targets[0], request, data_dir, progress))


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
