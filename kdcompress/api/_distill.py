"""`distill`, and `plan`, which describes a run without executing it."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdcompress.api._recipe import default_out, naming_data, recipe_of, split_observers
from kdcompress.api._source import Run
from kdcompress.api._verb import verb
from kdcompress.cache import cache_dir
from kdcompress.config.checks import check_files
from kdcompress.config.recipe import Recipe
from kdcompress.data import load_data
from kdcompress.errors import KDCompressError
from kdcompress.events import ArtefactWritten
from kdcompress.files import write_json
from kdcompress.observers import Observer, check_observers, observe_run
from kdcompress.progress import Progress
from kdcompress.remote import local_path
from kdcompress.runs.documents import read_checked
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import METRICS, MODELS, RECIPE, remedy
from kdcompress.runs.schemas import Plan, RunResult, versioned
from kdcompress.trust import trusting_code
from kdcompress.urls import is_url
from kdcompress.versions import versions


@verb
def distill(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    *,
    data: Any = None,
    classes: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
    teacher: str | Path | Sequence[Any] | Any = None,
    student: str | Path | Any = None,
    unlabelled: str | Path | None = None,
    method: str | None = None,
    temperature: float | None = None,
    alpha: float | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    limit: int | None = None,
    baseline: bool | None = None,
    observers: str | Observer | Iterable[str | Observer] = (),
    cluster: str | None = None,
    workers: int | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Train a student from a teacher, and the same student without it.

    An interrupted run is resumed; a finished run is returned as it is, unless `fresh`.

    Args:
        recipe: Name of a built-in recipe, recipe file, or values; by default mnist, or one made for `data`. The other
            arguments override it.
        data: Data in memory in place of the recipe's: (x, y), ((x_train, y_train), (x_test, y_test)) or a dict of NumPy
            arrays, as in an npz file; a pandas DataFrame of image paths and labels; a tf.data.Dataset or Hugging Face
            datasets.Dataset of images and labels; or {"train": ..., "test": ...} of these. They are written to the
            cache once.
        classes: Class names of `data`, in the order of the labels' numbers.
        data_dir: Folder of the data set; no other folder is searched then.
        teacher: Zoo name, model file or folder (Keras, ONNX, TFLite, SavedModel, npz file of logits),
            `module:function`, or a Keras model in memory, which is copied to the cache; a list of them is averaged.
        student: Zoo name, .keras file, `module:function`, or a Keras model in memory.
        unlabelled: Folder of further images without labels, which get the teacher's outputs as targets.
        method: Name of the distillation method.
        temperature: Temperature of both distributions, > 0.
        alpha: Weight of the distillation loss, in [0, 1]; the labels weigh 1 - alpha.
        epochs: Number of epochs of all trainings, >= 1, including that of a zoo teacher.
        seed: Seed of the student's initial weights and of the order of batches.
        limit: Maximum number of training images, a stratified sample; test is not reduced.
        baseline: Whether the student is also trained without the teacher.
        observers: Observers in addition to those of the recipe: names such as "tensorboard", references
            package.module:Class, or objects of `kdcompress.observers.Observer`.
        cluster: "auto" starts Ray on this machine, HOST:PORT joins a running cluster, whose workers share the work; it
            is your consent to Ray's messages, which are pickles, between its machines. By default as the recipe says.
        workers: Number of the cluster's workers, >= 1.
        settings: Values by dotted key of the recipe, such as {"training.batch_size": 64}; they override all others.
        out: Run folder; runs/NAME-DIGEST by default, the same for the same recipe.
        fresh: Whether an existing run is deleted first.
        trust_code: Whether code that comes with model files may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        The finished run: its folder, and its metrics and costs as `kdcompress distill --json` prints them.

    Raises:
        RecipeError: A value is unknown or out of range.
        RunError: The folder contains another run, or a file of the run has changed.
        KDCompressError: The data or a model cannot be used, or training failed.
    """
    names, objects = split_observers(observers)
    listener = progress or Progress()
    resolved = recipe_of(
        recipe, data=data, classes=classes, data_dir=data_dir,
        teacher=teacher, student=student, unlabelled=unlabelled, method=method,
        temperature=temperature, alpha=alpha, epochs=epochs, seed=seed, limit=limit, baseline=baseline,
        observers=names, cluster=cluster, workers=workers, settings=settings, files=False, progress=listener,
    )  # fmt: skip
    folder = Path(out) if out else default_out(resolved)
    with trusting_code(trust_code), naming_data(resolved, data):
        return distill_resolved(resolved, folder, fresh, listener, objects)


def distill_resolved(
    recipe: Recipe, out: Path, fresh: bool, progress: Progress, observers: Sequence[Observer] = ()
) -> Run:
    """Run a recipe that is already resolved.

    Args:
        recipe: The recipe.
        out: Run folder.
        fresh: Whether an existing run is deleted first.
        progress: Listener of progress, notes and warnings.
        observers: Observers in addition to those of the recipe.

    Returns:
        As for `distill`.

    Raises:
        RunError: The folder contains another run, or a file of the run has changed.
        KDCompressError: The data or a model cannot be used, or training failed.
    """
    from kdcompress.models import digest_of_model_file

    run, observers = RunFolder(out), (*recipe.observers.values(), *observers)
    if fresh or not run.is_finished():
        check_files(recipe)
        check_observers(observers)
    run.prepare(fresh)
    with run.lock():
        if fresh:
            run.clear()
        begun_now = run.start_or_resume(recipe)
        run.check_model_files(_local_files(recipe, run.has_file(METRICS), progress), digest_of_model_file)
        if run.has_file(METRICS):
            return _compress(recipe, _finished(run, recipe, progress), progress)
        try:
            work = functools.partial(_execute, recipe, run)
            result = observe_run(work, run.path, recipe.to_dict(), not begun_now, observers, progress)
        except (KDCompressError, OSError):
            if begun_now:
                run.discard_if_empty()
            raise
        return _compress(recipe, Run(run.path, result), progress)


def _local_files(recipe: Recipe, finished: bool, progress: Progress) -> dict[str, Path]:
    """Return the model files of a recipe; a finished run does not need those at a distance any more."""
    references = {role: text for role, text in recipe.files.items() if not (finished and is_url(text))}
    return {role: local_path(text, progress) for role, text in references.items()}


def plan(recipe: Recipe, out: Path, progress: Progress) -> Plan:
    """Describe what `distill` would do, without training anything.

    Args:
        recipe: The recipe.
        out: Run folder, which is not changed.
        progress: Listener of progress, notes and warnings.

    Returns:
        The steps with their sizes.

    Raises:
        KDCompressError: The run would be refused before its training.
    """
    from kdcompress.pipeline.planning import plan_run
    from kdcompress.verification.flops import count_flops_or_none
    from kdcompress.verification.teachers import count_params_and_flops

    check_observers(recipe.observers.values())
    run_plan = plan_run(recipe, RunFolder(out), progress)
    document, student = run_plan.document, run_plan.student
    document["teacher"] |= count_params_and_flops(run_plan.teachers)
    flops = count_flops_or_none(student, run_plan.input_shape)
    document["student"] |= {"params": student.count_params(), "flops": flops}
    for planned, model in zip(document.get("assistants", ()), run_plan.assistants, strict=True):
        planned |= {"params": model.count_params(), "flops": count_flops_or_none(model, run_plan.input_shape)}
    if recipe.compress is not None:
        from kdcompress.compression._planning import plan_steps

        document["compress"] = plan_steps(recipe, recipe.compress, run_plan.n_transfer)
    return Plan.of(document)


def _compress(recipe: Recipe, run: Run, progress: Progress) -> Run:
    """Go on with the compression that a recipe asks for."""
    if recipe.compress is None:
        return run
    from kdcompress.compression._run import compress_run, compression_recipe

    folder = RunFolder(run.path)
    with trusting_code(True):  # in what the recipe names, since the user named the recipe
        compressed = compression_recipe(folder, recipe.compress)
        result = compress_run(folder, compressed, recipe.compress.default_name, False, progress)
    return replace(run, result=RunResult.of({**run.result, "compressed": result}))


def _finished(run: RunFolder, recipe: Recipe, progress: Progress) -> Run:
    """Check the models and the data of a finished run, and return its result."""
    for name in MODELS:
        run.has_file(name)
    result = read_checked(run / METRICS, remedy(METRICS, run.path))
    if recipe.data.dir is not None:
        run.check_data(load_data(recipe, progress).facts)
    for warning in result["warnings"]:
        progress.warn(warning)
    progress.note(f"{run.path} is finished already; --fresh makes it anew, say after a change of your code")
    return Run(run.path, RunResult.of({"run": str(run.path), **result}), resumed=True)


def _execute(recipe: Recipe, run: RunFolder, progress: Progress) -> RunResult:
    from kdcompress.cluster import workers_of
    from kdcompress.pipeline.distillation import Pipeline
    from kdcompress.verification.run_result import describe_run

    start = time.perf_counter()
    earlier_seconds = run.manifest().get("seconds", 0.0)
    run.on_commit = lambda name: progress.emit(ArtefactWritten(path=run / name, name=name))
    run.update_manifest(command=sys.argv, seed=recipe.seed, recipe=recipe.digest, versions=versions())
    try:
        with workers_of(recipe, [cache_dir(), run.path.resolve()], progress) as workers:
            pipeline = Pipeline(recipe, run, progress, workers)
            pipeline_result = pipeline.execute()
    finally:
        seconds = round(earlier_seconds + time.perf_counter() - start, 3)
        run.update_manifest(seconds=seconds)
    result = versioned(describe_run(run, pipeline_result, seconds, progress))
    for name in ("history.csv", RECIPE):
        run.commit(name)
    write_json(run / METRICS, result)
    run.commit(METRICS)
    pipeline.clean_up()
    return RunResult.of({"run": str(run.path), **result})
