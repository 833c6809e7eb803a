"""`distill`, and `plan`, which only says what it would do."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.api._source import Run, reference_of
from kdcompress.config.recipe import Recipe, check_files, resolve
from kdcompress.data import load_data
from kdcompress.errors import KDCompressError
from kdcompress.files import write_json
from kdcompress.progress import Progress
from kdcompress.runs.documents import read_checked, versioned
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import METRICS, MODELS, RECIPE, remedy
from kdcompress.trust import trusting_code
from kdcompress.versions import versions

if TYPE_CHECKING:
    from kdcompress.pipeline.distillation import Outcome


def recipe_of(
    recipe: str | Path | Mapping[str, Any] | Recipe = "mnist",
    *,
    data_dir: str | Path | None = None,
    teacher: str | Path | Any = None,
    student: str | Path | Any = None,
    unlabelled: str | Path | None = None,
    method: str | None = None,
    temperature: float | None = None,
    alpha: float | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    limit: int | None = None,
    baseline: bool | None = None,
    settings: Mapping[str, Any] | None = None,
    files: bool = True,
) -> Recipe:
    """The recipe that these arguments ask for; the arguments win over `recipe`, `settings` (dotted keys) over both.

    `teacher` and `student` are a zoo name, a `.keras` file, `module:function`, or a Keras model in memory (of which the
    cache then keeps a copy); a teacher may also be an ONNX or TFLite file, a SavedModel folder, an npz file of logits,
    or a list of teachers, which are averaged. `unlabelled` is a folder of further images. Without `files`, model files
    need not be there. Errors: RecipeError.
    """
    given = {
        "data.dir": data_dir and str(data_dir),
        "unlabelled.dir": unlabelled and str(unlabelled),
        **_teachers(teacher),
        "student.model": reference_of(student),
        "method.name": method,
        "method.temperature": temperature,
        "method.alpha": alpha,
        "seed": seed,
        "split.limit": limit,
        "baseline": baseline,
    }
    overrides = {key: value for key, value in given.items() if value is not None}
    base = recipe.to_dict() if isinstance(recipe, Recipe) else recipe
    resolved = resolve(base, {**overrides, **(settings or {})}, files)
    return resolved if epochs is None else _with_epochs(resolved, epochs, settings or {}, files)


def _with_epochs(recipe: Recipe, epochs: int, settings: Mapping[str, Any], files: bool) -> Recipe:
    """The recipe with so many epochs for every stage of every training, but for what `settings` say."""
    members = enumerate(recipe.teacher.members)
    trainings = {"training": recipe.training, "teacher.training": recipe.teacher.training}
    trainings |= {f"teacher.members.{number}.training": member.training for number, member in members}
    places = [f"{key}{'.stages.*' if one.stages else ''}.epochs" for key, one in trainings.items()]
    return resolve(recipe.to_dict(), {**dict.fromkeys(places, epochs), **settings}, files)


def _teachers(given: Any) -> dict[str, Any]:
    """What one teacher, or a list of them, sets in a recipe."""
    if given is None or (isinstance(given, list | tuple) and not given):
        return {}
    references = [reference_of(one) for one in (given if isinstance(given, list | tuple) else [given])]
    if len(references) == 1:
        return {"teacher.model": references[0], "teacher.members": []}
    return {"teacher.model": "", "teacher.members": [{"model": one} for one in references]}


def default_out(recipe: Recipe) -> Path:
    """runs/NAME-DIGEST: the same recipe always finds its run again, and another never runs into it."""
    return Path("runs") / f"{recipe.name}-{recipe.digest[:8]}"


def distill(
    recipe: str | Path | Mapping[str, Any] | Recipe = "mnist",
    *,
    out: str | Path | None = None,
    fresh: bool = False,
    trust_code: bool = False,
    progress: Progress | None = None,
    **choices: Any,
) -> Run:
    """Train a small student from the teacher, and the same student without it; returns the finished run.

    `choices` are the keywords of `recipe_of` (temperature, alpha, teacher, epochs, ...). A broken-off run in `out`
    goes on where it stopped; a finished one is returned as it is, unless `fresh`. `trust_code` lets code run that came
    with model files. Errors: KDCompressError.
    """
    resolved = recipe_of(recipe, files=False, **choices)
    with trusting_code(trust_code):
        return distill_resolved(resolved, Path(out) if out else default_out(resolved), fresh, progress or Progress())


def distill_resolved(recipe: Recipe, out: Path, fresh: bool, progress: Progress) -> Run:
    """As `distill`, for a recipe that is resolved already."""
    from kdcompress.models import digest_of_model_file

    run = RunFolder(out)
    if fresh or not run.is_finished():
        check_files(recipe)
    run.prepare(fresh)
    with run.lock():
        if fresh:
            run.clear()
        begun_now = run.start_or_resume(recipe)
        run.check_model_files(recipe, digest_of_model_file)
        if run.has_file(METRICS):
            return _finished(run, recipe, progress)
        try:
            return _execute(recipe, run, progress)
        except (KDCompressError, OSError):
            if begun_now:
                run.discard_if_empty()
            raise


def plan(recipe: Recipe, out: Path, progress: Progress) -> dict[str, Any]:
    """What `distill` would do for `recipe` in `out`, with sizes: nothing is trained, and `out` is not touched."""
    from kdcompress.pipeline.planning import plan_run
    from kdcompress.verification.flops import count_flops_or_none
    from kdcompress.verification.teachers import brief_cost

    planned, teachers, student, shape = plan_run(recipe, RunFolder(out), progress)
    planned["teacher"] |= brief_cost(teachers)
    planned["student"] |= {"params": student.count_params(), "flops": count_flops_or_none(student, shape)}
    return planned


def _finished(run: RunFolder, recipe: Recipe, progress: Progress) -> Run:
    """The result of a finished run, if its files are as it left them, and the data that the user names is its data."""
    for name in MODELS:
        run.has_file(name)
    result = read_checked(run / METRICS, remedy(METRICS, run.path))
    if "dir" in recipe.data:
        run.check_data(load_data(recipe, progress).facts)
    for warning in result["warnings"]:
        progress.warn(warning)
    progress.note(f"{run.path} is finished already; --fresh makes it anew, say after a change of your code")
    return Run(run.path, {"run": str(run.path), **result}, resumed=True)


def _execute(recipe: Recipe, run: RunFolder, progress: Progress) -> Run:
    from kdcompress.pipeline.distillation import Pipeline

    start = time.perf_counter()
    spent = run.manifest().get("seconds", 0.0)
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
    return Run(run.path, {"run": str(run.path), **result})


def _result(run: RunFolder, outcome: Outcome, seconds: float, progress: Progress) -> dict[str, Any]:
    from kdcompress.verification.flops import count_flops_or_none
    from kdcompress.verification.roles import swapped
    from kdcompress.verification.teachers import brief_cost

    result: dict[str, Any] = {"dataset": run.manifest()["dataset"]}
    student = outcome.student
    costs = {
        "teacher": brief_cost(outcome.teaching.teachers),
        "student": {
            "params": student.count_params(),
            "flops": count_flops_or_none(student, outcome.input_shape),
        },
    }
    for name, cost in costs.items():
        result[name] = {**cost, "metrics": outcome.figures[name]}
    baseline = outcome.figures.get("baseline")
    result["baseline"] = None if baseline is None else {"metrics": baseline}
    targets = outcome.targets
    result["targets"] = {
        "cached": targets is not None and targets.cached,
        "seconds": round(targets.seconds, 3) if targets else 0.0,
    }
    if warning := swapped(result["teacher"], result["student"]):
        progress.warn(warning)
        outcome.warnings.append(warning)
    return {**result, "seconds": seconds, "warnings": outcome.warnings}
