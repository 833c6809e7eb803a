"""What a run would do, before it does it."""

from __future__ import annotations

from typing import Any

from kdcompress import registry
from kdcompress.data import Split, make_source, split_dataset
from kdcompress.methods import make_method
from kdcompress.models import load_model, seed_everything
from kdcompress.progress import Progress
from kdcompress.recipe import Recipe, read_resolved
from kdcompress.run import RECIPE, RunFolder
from kdcompress.teachers import LOOK_AT, labelled, target_key
from kdcompress.teachers.keras import KerasTeacher
from kdcompress.training.zoo import kept_digest, zoo_key


def plan_run(
    recipe: Recipe, run: RunFolder, progress: Progress
) -> tuple[dict[str, Any], dict[str, Any], tuple[int, int, int]]:
    """What is there and what would be done, in words and numbers; the two models (a teacher that is not trained yet
    stands there untrained); the size of an image."""
    dataset = make_source(recipe.data).load(progress)
    if dataset.notice:
        progress.warn(dataset.notice)
    split = split_dataset(dataset, recipe.split)
    shape, classes = dataset.input_shape, len(dataset.classes)
    seed_everything(recipe.seed)
    models = {role: load_model(getattr(recipe, role).model, shape, classes, role) for role in ("teacher", "student")}
    method = make_method(recipe.method)
    training = recipe.training
    steps = training.epochs * (len(split.train) // min(training.batch_size, len(split.train)))
    sizes = {"n_train": len(split.train), "n_val": len(split.val), "n_test": len(split.test)}
    planned: dict[str, Any] = {
        "run": str(run.path),
        "state": _state(run, recipe),
        "dataset": {"name": dataset.name, "source": dataset.source, **sizes},
        "method": recipe.method,
        "baseline": "trained beside the student" if recipe.baseline and method.needs_targets else "none",
        "targets": {
            "views": recipe.views.count,
            "bytes": 4 * len(split.train) * recipe.views.count * classes if method.needs_targets else 0,
            "todo": "the teacher is not asked",
        },
    }
    teacher_todo, digest, outputs = _teacher(recipe, split, models["teacher"])
    if method.needs_targets:
        key = target_key(digest, outputs, split.fingerprint, recipe.views) if digest else None
        planned["targets"]["todo"] = "in the cache" if key and labelled(key) else "the teacher labels them once"
    todo = {"teacher": teacher_todo, "student": f"{training.epochs} epochs, {steps:,} steps of {training.batch_size}"}
    for role, model in models.items():
        planned[role] = {"model": getattr(recipe, role).model, "params": model.count_params(), "todo": todo[role]}
    return planned, models, shape


def _state(run: RunFolder, recipe: Recipe) -> str:
    if problem := run.problem():
        return f"refused: {problem}"
    if not (run / RECIPE).exists():
        return "new"
    if read_resolved(run / RECIPE).digest != recipe.digest:
        return "refused without --fresh: it belongs to another recipe"
    return "finished already" if "metrics.json" in run.manifest()["files"] else "goes on where it stopped"


def _teacher(recipe: Recipe, split: Split, model: Any) -> tuple[str, str | None, str]:
    """(what will be done, the digest of the teacher that will be used if it is known yet, the kind of its outputs)."""
    section = recipe.teacher
    if section.model not in registry.choices("models"):
        teacher = KerasTeacher(model)
        teacher.notice_outputs(split.train.images[:LOOK_AT])
        return "used as it is", teacher.digest, teacher.outputs
    if section.weights == "none":
        return "used untrained", None, "logits"
    if digest := kept_digest(zoo_key(recipe, split)):
        return "trained before, in the cache", digest, "logits"
    return f"trained first, {section.training.epochs} epochs", None, "logits"
