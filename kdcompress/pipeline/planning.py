"""The plan of a run: what it would do, without training anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcompress import registry
from kdcompress.config.recipe import Recipe, read_resolved_recipe
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.pipeline.assistants import assistant_recipes, build_assistants
from kdcompress.pipeline.data import RecipeData
from kdcompress.pipeline.experiment import Experiment
from kdcompress.pipeline.opening import open_single_teacher
from kdcompress.pipeline.probing import ProbedTeacher, check_probe
from kdcompress.pipeline.student import StudentFactory
from kdcompress.pipeline.validation import check_compression_start, embedding_width, validate_training_config
from kdcompress.pipeline.zoo import ZooTeacher
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import RECIPE
from kdcompress.teachers import EMBEDDING, LOGITS, TARGETS, Teacher, check_output_count, has_cached_targets, target_key
from kdcompress.training.phase import check_stages


@dataclass(frozen=True)
class RunPlan:
    """What a run would do.

    Attributes:
        document: The plan as JSON values.
        teachers: The teachers; one that has not been trained yet has its initial weights.
        student: The student with its initial weights.
        input_shape: Shape (H, W, C) of the data's images.
        n_transfer: Number of images in an epoch of the student.
        assistants: The models between teacher and student with their initial weights.
    """

    document: dict[str, Any]
    teachers: list[Teacher]
    student: Any
    input_shape: tuple[int, int, int]
    n_transfer: int
    assistants: tuple[Any, ...] = ()


def plan_run(recipe: Recipe, run: RunFolder, progress: Progress) -> RunPlan:
    """Plan a run.

    Args:
        recipe: The recipe.
        run: Run folder, which is not changed.
        progress: Listener.

    Returns:
        The plan.

    Raises:
        KDCompressError: The run would be refused before its training.
    """
    data = RecipeData(recipe, progress)
    experiment = Experiment(recipe, data)
    if data.dataset.notice:
        progress.warn(data.dataset.notice)
    if experiment.method.note:
        progress.note(experiment.method.note)
    check_compression_start(recipe)
    sections, needs_targets = recipe.teacher.teachers, experiment.method.needs_targets
    teachers, assistants, student = open_models(experiment, progress)
    pairs = zip(sections, teachers, strict=True)
    todos, cached = zip(*[_todo(experiment, section, teacher) for section, teacher in pairs], strict=True)
    width = embedding_width(experiment, teachers[0])
    document: dict[str, Any] = {
        "run": str(run.path),
        "state": _state(run, recipe),
        "dataset": {key: value for key, value in data.facts.items() if "fingerprint" not in key},
        "method": recipe.method.to_dict(),
        "baseline": "trained beside the student" if recipe.baseline and needs_targets else "none",
        "targets": _plan_targets(experiment, len(teachers), width, all(cached)),
        "student": {"model": recipe.student.model, "todo": _student_todo(recipe, data)},
        "teacher": {"model": recipe.teacher.display_name, "todo": "; ".join(todos)},
    }
    if recipe.superclasses:
        document["superclasses"] = {name: list(names) for name, names in recipe.superclasses.items()}
    if assistants:
        named = zip(assistants, assistant_recipes(recipe), strict=True)
        document["assistants"] = [_plan_assistant(name, one, data) for name, one in named]
    return RunPlan(document, teachers, student, data.dataset.input_shape, data.draws, tuple(assistants.values()))


def open_models(experiment: Experiment, progress: Progress) -> tuple[list[Teacher], dict[str, Any], Any]:
    """Open the models of a recipe as they are before any training, and check that they fit its data and its method.

    Args:
        experiment: The recipe and its data.
        progress: Listener.

    Returns:
        (the teachers; the assistants by name; the student).

    Raises:
        RecipeError: The settings do not match the data.
        ModelError: A model does not match the data or the method.
    """
    validate_training_config(experiment)
    teachers = [_open_untrained(experiment, section, progress) for section in experiment.recipe.teacher.teachers]
    embedding_width(experiment, teachers[0])
    assistants = build_assistants(experiment)
    with experiment.building():
        return teachers, assistants, StudentFactory(experiment).build(experiment.method)


def _plan_targets(experiment: Experiment, n_teachers: int, width: int, cached: bool) -> dict[str, Any]:
    views = experiment.recipe.views.count
    if not experiment.method.needs_targets:
        return {"views": views, "bytes": 0, "todo": "teacher inference is skipped"}
    n_logits = experiment.spec.n_outputs * n_teachers if LOGITS in experiment.method.wants else 0
    size = len(experiment.data.transfer) * views * (_itemsize(LOGITS) * n_logits + _itemsize(EMBEDDING) * width)
    todo = "in the cache" if cached else "the teacher labels them once"
    return {"views": views, "bytes": size, "todo": todo}


def _itemsize(target: str) -> int:
    return np.dtype(TARGETS[target]).itemsize


def _plan_assistant(name: str, recipe: Recipe, data: RecipeData) -> dict[str, Any]:
    return {"name": name, "model": recipe.student.model, "todo": f"distilled first, {_student_todo(recipe, data)}"}


def _student_todo(recipe: Recipe, data: RecipeData) -> str:
    training = recipe.training
    steps = training.total_epochs * (data.draws // min(training.batch_size, len(data.transfer)))
    return f"{training.total_epochs} epochs, {steps:,} steps of {training.batch_size}"


def _state(run: RunFolder, recipe: Recipe) -> str:
    if problem := run.find_problem():
        return f"refused: {problem}"
    if not (run / RECIPE).exists():
        return "new"
    if read_resolved_recipe(run / RECIPE).digest != recipe.digest:
        return "refused without --fresh: it belongs to another recipe"
    return "finished already" if run.is_finished() else "goes on where it stopped"


def _zoo_teacher(experiment: Experiment, section: SingleTeacherSection) -> ZooTeacher:
    return ZooTeacher(experiment.recipe, section, experiment.data.split, experiment.method)


def _open_untrained(experiment: Experiment, section: SingleTeacherSection, progress: Progress) -> Teacher:
    if section.pretrained != "none" and _zoo_teacher(experiment, section).cached_digest():
        section = section.model_copy(update={"pretrained": "none"})  # the trained model does not need them any more
    teacher = open_single_teacher(section, experiment.spec, note=progress.note)
    if section.probe:
        check_probe(section)
        return teacher
    check_output_count(teacher, experiment.spec)
    teacher.set_reading(section, experiment.data.split.train)
    return teacher


def _todo(experiment: Experiment, section: SingleTeacherSection, teacher: Teacher) -> tuple[str, bool]:
    """What a run does with a teacher, and whether its targets are cached or stored."""
    split = experiment.data.split
    if section.probe:
        fitted = ProbedTeacher(teacher, section, experiment.spec, split.with_labels(section.labels)).is_cached()
        if not fitted:
            teacher.check_head()
        return "its head was fitted before" if fitted else "a linear head is fitted on its embedding first", False
    if not registry.contains("models", section.model):
        stored = teacher.stored_logits(split.train) is not None
        return "used as it is", stored or _are_cached(experiment, teacher)
    if section.weights == "none":
        return "used untrained", False
    if teacher.model is not None:
        check_stages(teacher.model, section.training, "teacher.training")
    if digest := _zoo_teacher(experiment, section).cached_digest():
        teacher.digest = digest  # of the trained model in the cache
        return "trained before, in the cache", _are_cached(experiment, teacher)
    seen = (
        f" with the labels of all {len(split.whole.train):,} images" if section.labels == "all" and split.whole else ""
    )
    return f"trained first, {section.training.total_epochs} epochs{seen}", False


def _are_cached(experiment: Experiment, teacher: Teacher) -> bool:
    """Whether all targets that the method wants are in the cache."""
    fingerprint, views = experiment.data.split.fingerprint, experiment.recipe.views
    wanted = experiment.method.wants
    return all(has_cached_targets(target_key(teacher, fingerprint, views, target)) for target in wanted)
