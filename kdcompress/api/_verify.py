"""`verify`: costs and metrics of teacher and student, and integrity of the files of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

from kdcompress.api._source import InMemory, Run, resolve_source
from kdcompress.api._verb import verb
from kdcompress.errors import UsageError
from kdcompress.progress import Progress
from kdcompress.runs.documents import write_document
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import remedy
from kdcompress.runs.schemas import FilesCheck, ModelCosts, Verification
from kdcompress.trust import trusting_code


@overload
def verify(
    source: Run,
    *,
    input_shape: tuple[int, int, int] | None = ...,
    max_params_ratio: float | None = ...,
    max_flops_ratio: float | None = ...,
    max_bytes_ratio: float | None = ...,
    max_metric_drop: float | None = ...,
    min_accuracy: float | None = ...,
    min_gain: float | None = ...,
    max_slowdown: float | None = ...,
    machine: str | None = ...,
    trust_code: bool = ...,
    progress: Progress | None = ...,
) -> Verification: ...


@overload
def verify(
    source: str | Path | Any,
    *,
    input_shape: tuple[int, int, int] | None = ...,
    max_params_ratio: float | None = ...,
    max_flops_ratio: float | None = ...,
    max_bytes_ratio: float | None = ...,
    max_metric_drop: float | None = ...,
    min_accuracy: float | None = ...,
    min_gain: float | None = ...,
    max_slowdown: float | None = ...,
    machine: str | None = ...,
    trust_code: bool = ...,
    progress: Progress | None = ...,
) -> Verification | ModelCosts: ...


@verb
def verify(
    source: str | Path | Run | Any,
    *,
    input_shape: tuple[int, int, int] | None = None,
    max_params_ratio: float | None = None,
    max_flops_ratio: float | None = None,
    max_bytes_ratio: float | None = None,
    max_metric_drop: float | None = None,
    min_accuracy: float | None = None,
    min_gain: float | None = None,
    max_slowdown: float | None = None,
    machine: str | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Verification | ModelCosts:
    """Measure costs and metrics of teacher and student of a run, or the costs of a single model.

    Args:
        source: A run, or a model: a file of any kind, `module:function`, or a Keras model in memory.
        input_shape: (H, W, C), for a model that accepts images of any size.
        max_params_ratio: Gate: student / teacher parameters, above 0.
        max_flops_ratio: Gate: student / teacher FLOPs, above 0.
        max_bytes_ratio: Gate: student / teacher bytes of the model file, above 0.
        max_metric_drop: Gate: maximum drop of the metric, a fraction from -1 to 1; 0.01 is one point.
        min_accuracy: Gate: accuracy of the student on test, a fraction from 0 to 1.
        min_gain: Gate: metric of the student minus that of the baseline, a fraction from -1 to 1.
        max_slowdown: Gate: student time / teacher time as `bench` measured them, above 0; fails where the whole 95 %
            interval lies above it, or where a file does not compute on the machine what it should.
        machine: Machine whose times `max_slowdown` judges; by default the one on which `bench` itself ran.
        trust_code: Whether code that comes with the run or the file may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        A Verification of a run, or ModelCosts of a model, as `kdcompress verify --json` prints it. That of a run is
        saved as verify.json. `passed` tells whether all gates are passed.

    Raises:
        UsageError: A limit is out of range or is set for a single model, or the source does not exist.
        RunError: The run is not finished, or one of its files has changed.
        ModelError: A model cannot be opened or counted.
    """
    from kdcompress.verification.gates import Gates
    from kdcompress.verification.slowdown import SlowdownLimit

    gates = Gates(max_params_ratio, max_flops_ratio, max_bytes_ratio, max_metric_drop, min_accuracy, min_gain)
    slowdown = SlowdownLimit.of(max_slowdown, machine)
    listener = progress or Progress()
    target = resolve_source(source, progress=listener)
    from kdcompress.verification.verdict import verify_loaded, verify_model, verify_run

    if slowdown is not None and not isinstance(target, RunFolder):
        raise UsageError("--max-slowdown compares a student with its teacher: name a run, not a model")
    if isinstance(target, InMemory):
        return ModelCosts.of(verify_loaded(target.model, target.name, input_shape, gates))
    with trusting_code(trust_code):
        if isinstance(target, Path):
            return ModelCosts.of(verify_model(target, input_shape, gates))
        result = Verification.of(verify_run(target, input_shape, gates, listener, slowdown))
    _save(target, result, listener)
    return result


def verify_files(source: str | Path | Run) -> FilesCheck:
    """Check that the files recorded in a run's manifest are unchanged; no model is opened.

    Args:
        source: A run.

    Returns:
        The number of files and the damaged ones, as `kdcompress verify --files --json` prints it.

    Raises:
        UsageError: The source is not a run.
        RunError: The manifest itself is damaged.
    """
    run = resolve_source(source)
    if not isinstance(run, RunFolder):
        raise UsageError(f"--files checks the files of a run, and {source} is none")
    damaged = [
        {"path": name, "problem": problem, "remedy": remedy(name, run.path)}
        for name, problem in run.find_damaged().items()
    ]
    count = len(run.manifest()["files"])
    return FilesCheck.of({"run": str(run.path), "files": count, "damaged": damaged, "passed": not damaged})


def _save(run: RunFolder, result: Verification, listener: Progress) -> None:
    """Write verify.json into the run folder, or warn if that fails: the result is returned all the same."""
    from kdcompress.verification.verdict import RESULT

    try:
        with run.lock():
            write_document(run / RESULT, {key: value for key, value in result.items() if key != "run"})
            run.commit(RESULT)
    except OSError as exc:
        listener.warn(f"{run / RESULT} was not written: {exc.strerror}")
