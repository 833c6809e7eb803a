"""The verbs: wiring only."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.data import make_source
from kdcompress.errors import DataError, KDCompressError, UsageError
from kdcompress.files import write_json
from kdcompress.progress import Progress
from kdcompress.recipe import Recipe, resolve
from kdcompress.run import MODELS, RECIPE, RunFolder, versions

if TYPE_CHECKING:
    from kdcompress.training.pipeline import Outcome

METRICS = "metrics.json"


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and its result, the document that `kdcompress distill --json` prints."""

    path: Path
    result: dict[str, Any]
    resumed: bool = False

    def student(self) -> Any:
        """The trained student, a Keras model from raw pixels (n, H, W, C), 0 to 255, to logits (n, classes)."""
        from kdcompress.models import load_saved_model

        return load_saved_model(self.path / "student.keras")


def recipe_of(
    recipe: str | Path | Mapping[str, Any] | Recipe = "mnist",
    *,
    data_dir: str | Path | None = None,
    teacher: str | Path | Any = None,
    student: str | Path | Any = None,
    method: str | None = None,
    temperature: float | None = None,
    alpha: float | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    limit: int | None = None,
    baseline: bool | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Recipe:
    """The recipe that these arguments ask for; the arguments win over `recipe`, `settings` (dotted keys) over both.

    `teacher` and `student` are a zoo name, a `.keras` file, `module:function`, or a Keras model in memory (of which the
    cache then keeps a copy). Errors: RecipeError.
    """
    given = {
        "data.dir": data_dir and str(data_dir),
        "teacher.model": _reference(teacher),
        "student.model": _reference(student),
        "method.name": method,
        "method.temperature": temperature,
        "method.alpha": alpha,
        "training.epochs": epochs,
        "teacher.training.epochs": epochs,
        "seed": seed,
        "split.limit": limit,
        "baseline": baseline,
    }
    overrides = {key: value for key, value in given.items() if value is not None}
    base = recipe.to_dict() if isinstance(recipe, Recipe) else recipe
    return resolve(base, {**overrides, **(settings or {})})


def _reference(model: Any) -> str | None:
    if model is None or isinstance(model, str | Path):
        return None if model is None else str(model)
    from kdcompress.models import keep_model

    return str(keep_model(model))


def default_out(recipe: Recipe) -> Path:
    """runs/NAME-DIGEST: the same recipe always finds its run again, and another never runs into it."""
    return Path("runs") / f"{recipe.name}-{recipe.digest[:8]}"


def distill(
    recipe: str | Path | Mapping[str, Any] | Recipe = "mnist",
    *,
    out: str | Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    **choices: Any,
) -> Run:
    """Train a small student from the teacher, and the same student without it; returns the finished run.

    `choices` are the keywords of `recipe_of` (temperature, alpha, teacher, epochs, ...). A broken-off run in `out`
    goes on where it stopped; a finished one is returned as it is, unless `fresh`. Errors: KDCompressError.
    """
    resolved = recipe_of(recipe, **choices)
    return distill_resolved(resolved, Path(out) if out else default_out(resolved), fresh, progress or Progress())


def distill_resolved(recipe: Recipe, out: Path, fresh: bool, progress: Progress) -> Run:
    """As `distill`, for a recipe that is resolved already."""
    run = RunFolder(out)
    run.admit()
    with run.locked():
        if fresh:
            run.clear()
        begun_now = run.claim(recipe)
        run.check_models(recipe)
        if run.holds(METRICS):
            return _finished(run, recipe, progress)
        try:
            return _execute(recipe, run, progress)
        except (KDCompressError, OSError):
            if begun_now:
                run.discard_if_hardly_begun()
            raise


def plan(recipe: Recipe, out: Path, progress: Progress) -> dict[str, Any]:
    """What `distill` would do for `recipe` in `out`, with sizes: nothing is trained, and `out` is not touched."""
    from kdcompress.training.planning import plan_run
    from kdcompress.verification.flops import count_flops_or_none

    planned, models, shape = plan_run(recipe, RunFolder(out), progress)
    for role, model in models.items():
        planned[role]["flops"] = count_flops_or_none(model, shape)
    return planned


def verify(
    source: str | Path | Run | Any,
    *,
    input_shape: tuple[int, int, int] | None = None,
    progress: Progress | None = None,
    **limits: float | None,
) -> dict[str, Any]:
    """What got smaller in a run and what it cost, or what a model (a file, or in memory) costs.

    Returns the document that `kdcompress verify --json` prints, which a run keeps as verify.json. `limits` are
    max_params_ratio, max_flops_ratio, max_bytes_ratio (student / teacher) and max_metric_drop (a fraction); `passed`
    says whether all that were set are kept. Errors: KDCompressError.
    """
    from kdcompress.verification.gates import Gates

    gates = Gates(**limits)
    path, run = _source(source)
    if run is None:
        from kdcompress.verification.verdict import verify_model

        return verify_model(path, input_shape, gates)
    from kdcompress.verification.verdict import RESULT, verify_run

    with run.locked():
        result = verify_run(run, input_shape, gates, progress or Progress())
        write_json(run / RESULT, {key: value for key, value in result.items() if key != "run"})
        run.commit(RESULT)
    return result


def export(
    source: str | Path | Run | Any,
    formats: Iterable[str] = ("onnx", "tflite"),
    precisions: Iterable[str] = ("fp32",),
    *,
    out: str | Path | None = None,
    input_shape: tuple[int, int, int] | None = None,
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> dict[str, Any]:
    """Export a run's student, or a Keras model (a file, or in memory), and compare each file with the Keras model.

    Returns the document that `kdcompress export --json` prints; its `passed` says whether all comparisons passed.
    `choices` are opset, input_type, max_metric_drop, parity_samples, calibration, calibration_samples. A run's files go
    into its exports/, a model's into `out` (which a model in memory needs). Errors: KDCompressError.
    """
    from kdcompress.exporting._request import make_request

    request = make_request(formats, precisions, **choices)
    listener = progress or Progress()
    for skipped in request.skipped:
        listener.note(f"{skipped}: the format does not have that precision, skipped")
    path, run = _source(source)
    if run is None:
        if out is None and not isinstance(source, str | Path):
            raise UsageError("a model in memory has no folder of its own: name the folder of its exports with `out`")
        from kdcompress.exporting._exports import export_model

        return export_model(path, Path(out) if out else None, request, input_shape, listener)
    if out is not None or input_shape is not None:
        raise UsageError("a run's exports go into the run, at its data's size; --out and --input-shape are for a model")
    from kdcompress.exporting._exports import export_run

    with run.locked():
        return export_run(run, request, Path(data_dir) if data_dir else None, listener)


def _source(source: str | Path | Run | Any) -> tuple[Path, RunFolder | None]:
    """The path behind what a verb is given, and the run folder if it is one."""
    if isinstance(source, Run):
        return source.path, RunFolder(source.path)
    path = Path(_reference(source) or "").expanduser()
    if not path.exists():
        raise UsageError(f"{path} does not exist; name a run folder or a model file")
    if path.is_dir() and RunFolder(path).begun():
        return path, RunFolder(path)
    return path, None


def predict(model: str | Path, images: Iterable[str | Path]) -> list[dict[str, Any]]:
    """{"image", "class", "probability"} for image files and folders, by a .keras file or a run's student.

    Errors: ModelError; DataError names the first image that cannot be read.
    """
    rows, refused = predict_files(Path(model), [Path(image) for image in images])
    if refused:
        raise DataError(next(iter(refused.values())))
    return rows


def predict_files(model: Path, images: list[Path]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """As `predict`, with the images that cannot be read given back, path to reason, beside the predictions."""
    from kdcompress import prediction
    from kdcompress.data import find_images

    paths = find_images(images)
    return prediction.predict(prediction.open_model(model), paths)


def _finished(run: RunFolder, recipe: Recipe, progress: Progress) -> Run:
    """The result of a finished run, if its files are as it left them, and the data that the user names is its data."""
    for name in MODELS:
        run.holds(name)
    result = json.loads((run / METRICS).read_text(encoding="utf-8"))
    if "dir" in recipe.data:
        run.check_data(make_source(recipe.data).load(progress).facts)
    for warning in result["warnings"]:
        progress.warn(warning)
    progress.note(f"{run.path} is finished already; --fresh makes it anew, say after a change of your code")
    return Run(run.path, {"run": str(run.path), **result}, resumed=True)


def _execute(recipe: Recipe, run: RunFolder, progress: Progress) -> Run:
    from kdcompress.training.pipeline import Pipeline

    start = time.perf_counter()
    spent = run.manifest().get("seconds", 0.0)
    run.note(command=sys.argv, seed=recipe.seed, recipe=recipe.digest, versions=versions())
    pipeline = Pipeline(recipe, run, progress)
    try:
        outcome = pipeline.execute()
    finally:
        seconds = round(spent + time.perf_counter() - start, 3)
        run.note(seconds=seconds)
    result = _result(run, outcome, seconds, progress)
    for name in ("history.csv", RECIPE):
        run.commit(name)
    write_json(run / METRICS, result)
    run.commit(METRICS)
    pipeline.clean_up()
    return Run(run.path, {"run": str(run.path), **result})


def _result(run: RunFolder, outcome: Outcome, seconds: float, progress: Progress) -> dict[str, Any]:
    from kdcompress.verification.flops import count_flops_or_none
    from kdcompress.verification.roles import swapped

    result: dict[str, Any] = {"dataset": run.manifest()["dataset"]}
    for name, model in (("teacher", outcome.teacher), ("student", outcome.student)):
        flops = count_flops_or_none(model, outcome.input_shape)
        metrics = {"accuracy": outcome.accuracy[name]}
        result[name] = {"params": model.count_params(), "flops": flops, "metrics": metrics}
    baseline = outcome.accuracy.get("baseline")
    result["baseline"] = None if baseline is None else {"metrics": {"accuracy": baseline}}
    targets = outcome.targets
    result["targets"] = {
        "cached": targets is not None and targets.cached,
        "seconds": round(targets.seconds, 3) if targets else 0.0,
    }
    if warning := swapped(result["teacher"], result["student"]):
        progress.warn(warning)
        outcome.warnings.append(warning)
    return {**result, "seconds": seconds, "warnings": outcome.warnings}
