"""What a run would do, before it does it."""

from __future__ import annotations

from typing import Any

from kdcompress import registry
from kdcompress.config.recipe import Recipe, read_resolved_recipe
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import Split
from kdcompress.methods import Method
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.labelling import validate_training_config
from kdcompress.pipeline.opening import open_single_teacher
from kdcompress.pipeline.student import StudentFactory
from kdcompress.pipeline.zoo import cached_teacher_digest, zoo_teacher_key
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import RECIPE
from kdcompress.teachers import OutputSpec, Teacher, check_output_count, has_cached_targets, target_key
from kdcompress.training.fitting import check_stages


def plan_run(
    recipe: Recipe, run: RunFolder, progress: Progress
) -> tuple[dict[str, Any], list[Teacher], Any, tuple[int, int, int]]:
    """What is there and what would be done, in words and numbers; the teachers (one that is not trained yet stands
    there untrained) and the student; the size of an image."""
    data = RecipeData(recipe, progress)
    dataset, split = data.dataset, data.split
    if dataset.notice:
        progress.warn(dataset.notice)
    method = recipe.method.bind(data.classes)
    validate_training_config(recipe, method, data)
    spec = OutputSpec(dataset.input_shape, dataset.classes, method.head(data.classes))
    teachers = [_untrained(recipe, method, section, split, spec, progress) for section in recipe.teacher.teachers]
    student = StudentFactory(recipe, data).build(method)
    training, n = recipe.training, len(data.transfer)
    steps = training.total_epochs * (n // min(training.batch_size, n))
    facts = {key: value for key, value in data.facts.items() if "fingerprint" not in key}
    numbers = 4 * n * recipe.views.count * spec.n_outputs * len(teachers)
    planned: dict[str, Any] = {
        "run": str(run.path),
        "state": _state(run, recipe),
        "dataset": facts,
        "method": recipe.method.to_dict(),
        "baseline": "trained beside the student" if recipe.baseline and method.needs_targets else "none",
        "targets": {
            "views": recipe.views.count,
            "bytes": numbers if method.needs_targets else 0,
            "todo": "the teacher is not asked",
        },
        "student": {
            "model": recipe.student.model,
            "todo": f"{training.total_epochs} epochs, {steps:,} steps of {training.batch_size}",
        },
    }
    pairs = zip(recipe.teacher.teachers, teachers, strict=True)
    todos, ready = zip(*[_todo(recipe, method, section, split, one) for section, one in pairs], strict=True)
    planned["teacher"] = {"model": recipe.teacher.display_name, "todo": "; ".join(todos)}
    if method.needs_targets:
        planned["targets"]["todo"] = "in the cache" if all(ready) else "the teacher labels them once"
    return planned, teachers, student, spec.input_shape


def _state(run: RunFolder, recipe: Recipe) -> str:
    if problem := run.find_problem():
        return f"refused: {problem}"
    if not (run / RECIPE).exists():
        return "new"
    if read_resolved_recipe(run / RECIPE).digest != recipe.digest:
        return "refused without --fresh: it belongs to another recipe"
    return "finished already" if run.is_finished() else "goes on where it stopped"


def _untrained(
    recipe: Recipe, method: Method, section: SingleTeacherSection, split: Split, spec: OutputSpec, progress: Progress
) -> Teacher:
    if section.initialization.pretrained != "none" and cached_teacher_digest(
        zoo_teacher_key(recipe, section, split, method)
    ):
        section = section.model_copy(update={"pretrained": "none"})  # the trained one starts from nothing any more
    teacher = open_single_teacher(section, spec, note=progress.note)
    check_output_count(teacher, spec)
    return teacher


def _todo(
    recipe: Recipe, method: Method, section: SingleTeacherSection, split: Split, teacher: Teacher
) -> tuple[str, bool]:
    """What will be done with a teacher, and whether its answers are known already."""
    if section.model not in registry.choices("models"):
        teacher.set_reading(section, split.train)
        known = teacher.stored_logits(split.train) is not None
        return "used as it is", known or has_cached_targets(target_key(teacher, split.fingerprint, recipe.views))
    if section.weights == "none":
        return "used untrained", False
    if teacher.model is not None:
        check_stages(teacher.model, section.training, "teacher.training")
    if digest := cached_teacher_digest(zoo_teacher_key(recipe, section, split, method)):
        teacher.digest = digest  # of the trained one, which lies in the cache
        return "trained before, in the cache", has_cached_targets(target_key(teacher, split.fingerprint, recipe.views))
    return f"trained first, {section.training.total_epochs} epochs", False
