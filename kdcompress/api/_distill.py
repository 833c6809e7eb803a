"""`distill`, and `plan`, which only says what it would do."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.api._recipe import default_out, recipe_of, split_observers
from kdcompress.api._source import Run
from kdcompress.config.checks import check_files
from kdcompress.config.recipe import Recipe
from kdcompress.data import load_data
from kdcompress.errors import KDCompressError
from kdcompress.events import ArtefactWritten
from kdcompress.files import write_json
from kdcompress.observers import Observer, check_observers, observe_run
from kdcompress.progress import Progress
from kdcompress.runs.documents import read_checked
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import METRICS, MODELS, RECIPE, remedy
from kdcompress.runs.schemas import Plan, RunResult, versioned
from kdcompress.trust import trusting_code
from kdcompress.versions import versions

if TYPE_CHECKING:
    from kdcompress.pipeline.distillation import PipelineResult


def distill(
    recipe: str | Path | Mapping[str, Any] | Recipe = "mnist",
    *,
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
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    fresh: bool = False,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Train a small student from the teacher, and the same student without it.

    A broken-off run goes on where it stopped; a finished one is returned as it is, unless `fresh`.

    Args:
        recipe: The name of a built-in recipe, a recipe file, or its values. What is given beside it wins over it.
        data_dir: The data set's own folder; nothing else is searched then.
        teacher: A zoo name, a model file or folder (Keras, ONNX, TFLite, SavedModel, an npz file of logits),
            `module:function`, or a Keras model in memory, of which the cache keeps a copy; a list of them is averaged.
        student: A zoo name, a .keras file, `module:function`, or a Keras model in memory.
        unlabelled: A folder of further images, without labels: the teacher's answers are theirs.
        method: The distillation method.
        temperature: Softens both distributions, > 0.
        alpha: Weight of the distillation loss, 0 to 1; the labels weigh the rest.
        epochs: Epochs of every training, >= 1, also of a teacher that is trained here.
        seed: Decides the student's initial weights and the order of batches.
        limit: Train on a stratified sample of so many images; test stays whole.
        baseline: Whether to train the same student without the teacher, too.
        observers: Who watches the run beside those of the recipe: names such as "tensorboard", references
            package.module:Class, or objects of `kdcompress.observers.Observer`.
        settings: Any keys of the recipe, dotted, such as {"training.batch_size": 64}; they win over everything else.
        out: The run folder; runs/NAME-DIGEST by default, where the same recipe finds its run again.
        fresh: Make the run anew.
        trust_code: Let code run that came with model files.
        progress: Hears what is being done.

    Returns:
        The finished run: its folder, and what was found, as `kdcompress distill --json` prints it.

    Raises:
        RecipeError: A value is unknown or out of its range.
        RunError: The folder holds another run, or a file of it has changed.
        KDCompressError: The data or a model cannot be used, or training failed.
    """
    names, objects = split_observers(observers)
    resolved = recipe_of(
        recipe, data_dir=data_dir, teacher=teacher, student=student, unlabelled=unlabelled, method=method,
        temperature=temperature, alpha=alpha, epochs=epochs, seed=seed, limit=limit, baseline=baseline,
        observers=names, settings=settings, files=False,
    )  # fmt: skip
    folder = Path(out) if out else default_out(resolved)
    with trusting_code(trust_code):
        return distill_resolved(resolved, folder, fresh, progress or Progress(), objects)


def distill_resolved(
    recipe: Recipe, out: Path, fresh: bool, progress: Progress, observers: Sequence[Observer] = ()
) -> Run:
    """As `distill`, for a recipe that is resolved already; `observers` watch beside those of the recipe."""
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
        run.check_model_files(recipe, digest_of_model_file)
        if run.has_file(METRICS):
            return _finished(run, recipe, progress)
        try:
            work = functools.partial(_execute, recipe, run)
            result = observe_run(work, run.path, recipe.to_dict(), not begun_now, observers, progress)
            return Run(run.path, result)
        except (KDCompressError, OSError):
            if begun_now:
                run.discard_if_empty()
            raise


def plan(recipe: Recipe, out: Path, progress: Progress) -> Plan:
    """What `distill` would do for `recipe` in `out`, with sizes: nothing is trained, and `out` is not touched."""
    from kdcompress.pipeline.planning import plan_run
    from kdcompress.verification.flops import count_flops_or_none
    from kdcompress.verification.teachers import count_params_and_flops

    check_observers(recipe.observers.values())
    run_plan = plan_run(recipe, RunFolder(out), progress)
    document, student = run_plan.document, run_plan.student
    document["teacher"] |= count_params_and_flops(run_plan.teachers)
    flops = count_flops_or_none(student, run_plan.input_shape)
    document["student"] |= {"params": student.count_params(), "flops": flops}
    return Plan.of(document)


def _finished(run: RunFolder, recipe: Recipe, progress: Progress) -> Run:
    """The result of a finished run, if its files are as it left them, and the data that the user names is its data."""
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
    from kdcompress.pipeline.distillation import Pipeline

    start = time.perf_counter()
    spent = run.manifest().get("seconds", 0.0)
    run.on_commit = lambda name: progress.emit(ArtefactWritten(path=run / name, name=name))
    run.update_manifest(command=sys.argv, seed=recipe.seed, recipe=recipe.digest, versions=versions())
    pipeline = Pipeline(recipe, run, progress)
    try:
        outcome = pipeline.execute()
    finally:
        seconds = round(spent + time.perf_counter() - start, 3)
        run.update_manifest(seconds=seconds)
    result = versioned(_result(run, outcome, seconds, progress))
    for name in ("history.csv", RECIPE):
        run.commit(name)
    write_json(run / METRICS, result)
    run.commit(METRICS)
    pipeline.clean_up()
    return RunResult.of({"run": str(run.path), **result})


def _result(run: RunFolder, outcome: PipelineResult, seconds: float, progress: Progress) -> dict[str, Any]:
    from kdcompress.verification.flops import count_flops_or_none
    from kdcompress.verification.roles import swapped_roles_warning
    from kdcompress.verification.teachers import count_params_and_flops

    result: dict[str, Any] = {"dataset": run.manifest()["dataset"]}
    student = outcome.student
    costs = {
        "teacher": count_params_and_flops(outcome.ensemble.teachers),
        "student": {
            "params": student.count_params(),
            "flops": count_flops_or_none(student, outcome.input_shape),
        },
    }
    for name, cost in costs.items():
        result[name] = {**cost, "metrics": outcome.metrics[name]}
    baseline = outcome.metrics.get("baseline")
    result["baseline"] = None if baseline is None else {"metrics": baseline}
    targets = outcome.targets
    result["targets"] = {
        "cached": targets is not None and targets.cached,
        "seconds": round(targets.seconds, 3) if targets else 0.0,
    }
    if warning := swapped_roles_warning(result["teacher"], result["student"]):
        progress.warn(warning)
        outcome.warnings.append(warning)
    return {**result, "seconds": seconds, "warnings": outcome.warnings}
