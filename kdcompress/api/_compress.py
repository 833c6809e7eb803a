"""`compress`: another student of a run, smaller than the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.api._source import Run, data_folder, resolve_source
from kdcompress.api._verb import verb
from kdcompress.config.compress import CompressSection
from kdcompress.config.settings import build_section
from kdcompress.errors import UsageError
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import is_student
from kdcompress.runs.schemas import Compression, CompressionPlan
from kdcompress.runs.students import BASELINE, STUDENT, find_student, split_source
from kdcompress.trust import trusting_code


@verb
def compress(
    source: str | Path | Run,
    *,
    channels: float | None = None,
    importance: str = "taylor",
    rounds: int = 1,
    max_flops_ratio: float | None = None,
    max_params_ratio: float | None = None,
    max_latency_ratio: float | None = None,
    prune: float | None = None,
    cluster: int | None = None,
    qat: str = "none",
    ship: str = "better",
    epochs: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    name: str | None = None,
    data_dir: str | Path | None = None,
    fresh: bool = False,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Compression:
    """Compress the student of a run, tuned with its teacher in every step, into another student of the run.

    The steps are taken in the order in which each keeps what the others won: channels, prune, cluster, qat. A killed
    compression is resumed, and ends with the same weights.

    Args:
        source: A run, whose student is compressed; RUN:baseline, whose baseline is, without the teacher; or RUN:NAME of
            a student that was compressed before.
        channels: Fraction of the channels that are removed, in (0, 1).
        importance: How channels are ranked: taylor (by the change of the loss) or l1 (by their weights).
        rounds: Number of rounds of removing channels and tuning, >= 1.
        max_flops_ratio: Budget in place of `channels`: student / teacher FLOPs, > 0.
        max_params_ratio: Likewise, of parameters.
        max_latency_ratio: Likewise, of the latency of one image, as measured on onnxruntime.
        prune: Fraction of the weights that become 0, in (0, 1). Files become smaller by gzip, not faster.
        cluster: Number of different values in each kernel, >= 2. Files become smaller by gzip, not faster.
        qat: Quantization-aware training: native, tfmot, or none.
        ship: Which integers the int8 files hold: better (the trained ones only if they beat quantization after training
            on validation, or keep zeros and clusters) or trained.
        epochs: Epochs of tuning in each step, >= 1.
        learning_rate: Learning rate of the tuning, > 0.
        seed: Seed of the order of batches; that of the run by default.
        name: Name of the student; its options by default, such as channels-0.5-qat.
        data_dir: Folder of the run's data, if they have been moved.
        fresh: Whether an earlier student of this name is made anew.
        trust_code: Whether code that comes with the run may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        What each step did, and costs and metrics before and after, as `kdcompress compress --json` prints them.

    Raises:
        UsageError: The source is not a run, or has no such student.
        RecipeError: A value is out of range, or no step is set.
        ModelError: The student cannot be compressed so.
        RunError: The run is not finished, or a file has changed.
    """
    from kdcompress.compression._run import compress_run, compression_recipe

    with trusting_code(trust_code):
        run, section = _resolve(source, _options(locals()))
        recipe = compression_recipe(run, section, seed, data_folder(data_dir, progress))
        return compress_run(run, recipe, name or section.default_name, fresh, progress or Progress())


def plan_compression(
    source: str | Path | Run,
    options: dict[str, Any],
    *,
    seed: int | None = None,
    name: str | None = None,
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> CompressionPlan:
    """Describe what `compress` would do, without training anything.

    Args:
        source: As for `compress`.
        options: Its options for the steps, by name.
        seed: As for `compress`.
        name: As for `compress`.
        data_dir: As for `compress`.
        trust_code: As for `compress`.
        progress: As for `compress`.

    Returns:
        The steps with their epochs.

    Raises:
        KDCompressError: The compression would be refused before its training.
    """
    from kdcompress.compression._planning import plan_compression as plan
    from kdcompress.compression._run import compression_recipe

    with trusting_code(trust_code):
        run, section = _resolve(source, options)
        recipe = compression_recipe(run, section, seed, data_folder(data_dir, progress))
        return plan(run, recipe, name or section.default_name, progress or Progress())


def _options(values: dict[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in CompressSection.model_fields if key != "start"}


def _resolve(source: str | Path | Run, options: dict[str, Any]) -> tuple[RunFolder, CompressSection]:
    """Find the run, and make the settings of a compression."""
    start = STUDENT
    if not isinstance(source, Run) and (split := split_source(source)) is not None:
        run, start = split
    else:
        target = resolve_source(source, judged=False)
        if not isinstance(target, RunFolder):
            raise UsageError(f"compress takes a run, and {source} is none; `kdcompress distill` makes one")
        run = target
    if is_student(run.path):  # named by its folder
        run, start = RunFolder(run.path.parent.parent), run.path.name
    if start not in (STUDENT, BASELINE):
        find_student(f"{run.path}:{start}")  # raises for a student that is not there
    values = {key: value for key, value in options.items() if value is not None}
    return run, build_section(CompressSection, {**values, "start": start}, "compress")
