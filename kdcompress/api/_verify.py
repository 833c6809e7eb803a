"""`verify`: what got smaller and what it cost, and whether the files of a run are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, overload

from kdcompress.api._source import InMemory, Run, source_of
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
    trust_code: bool = ...,
    progress: Progress | None = ...,
) -> Verification | ModelCosts: ...


def verify(
    source: str | Path | Run | Any,
    *,
    input_shape: tuple[int, int, int] | None = None,
    max_params_ratio: float | None = None,
    max_flops_ratio: float | None = None,
    max_bytes_ratio: float | None = None,
    max_metric_drop: float | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Verification | ModelCosts:
    """Prove what got smaller in a run and what it cost, or count what a single model costs.

    Args:
        source: A run, or a model: a file of any kind, `module:function`, or a Keras model in memory.
        input_shape: Height, width and channels, for a model that takes images of any size.
        max_params_ratio: Gate: student / teacher parameters, above 0.
        max_flops_ratio: Gate: student / teacher FLOPs, above 0.
        max_bytes_ratio: Gate: student / teacher bytes of the model file, above 0.
        max_metric_drop: Gate: what the metric may lose; a fraction from -1 to 1, 0.01 is one point.
        trust_code: Let code run that came with the run or the file.
        progress: Hears what is being done.

    Returns:
        A Verification of a run, ModelCosts of a model, as `kdcompress verify --json` prints it; a run keeps it as
        verify.json. `passed` says whether all limits that were set are kept.

    Raises:
        UsageError: A limit is out of its range, or one is set for a single model, or there is no such source.
        RunError: The run is not finished, or a file of it has changed.
        ModelError: A model cannot be opened or counted.
    """
    from kdcompress.verification.gates import Gates

    gates = Gates(max_params_ratio, max_flops_ratio, max_bytes_ratio, max_metric_drop)
    given, listener = source_of(source), progress or Progress()
    from kdcompress.verification.verdict import verify_loaded, verify_model, verify_run

    if isinstance(given, InMemory):
        return ModelCosts.of(verify_loaded(given.model, given.name, input_shape, gates))
    with trusting_code(trust_code):
        if isinstance(given, Path):
            return ModelCosts.of(verify_model(given, input_shape, gates))
        result = Verification.of(verify_run(given, input_shape, gates, listener))
    _keep_verdict(given, result, listener)
    return result


def verify_files(source: str | Path | Run) -> FilesCheck:
    """Check that every file that a run vouches for is as the run wrote it; no model is opened.

    Args:
        source: A run.

    Returns:
        How many files there are and which of them are damaged, as `kdcompress verify --files --json` prints it.

    Raises:
        UsageError: The source is no run.
        RunError: The manifest itself is damaged.
    """
    given = source_of(source)
    if not isinstance(given, RunFolder):
        raise UsageError(f"--files checks the files of a run, and {source} is none")
    damaged = [
        {"path": name, "problem": problem, "remedy": remedy(name, given.path)}
        for name, problem in given.find_damaged().items()
    ]
    count = len(given.manifest()["files"])
    return FilesCheck.of({"run": str(given.path), "files": count, "damaged": damaged, "passed": not damaged})


def _keep_verdict(run: RunFolder, result: Verification, listener: Progress) -> None:
    """Put verify.json into the run; where that cannot be, say so: what was found is told all the same."""
    from kdcompress.verification.verdict import RESULT

    try:
        with run.lock():
            write_document(run / RESULT, {key: value for key, value in result.items() if key != "run"})
            run.commit(RESULT)
    except OSError as exc:
        listener.warn(f"{run / RESULT} was not written: {exc.strerror}")
