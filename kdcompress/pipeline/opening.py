"""From what a recipe or a run calls its teachers to teachers that answer; and what a run keeps of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress import registry
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import PreprocessingSection, SingleTeacherSection
from kdcompress.data import Dataset, Split
from kdcompress.errors import ModelError, RecipeError, RunError, TargetsError
from kdcompress.methods import Classes, Method
from kdcompress.models import load_from_function, load_model, load_weights, seed_everything
from kdcompress.pipeline.ensemble import TeacherEnsemble, names_of
from kdcompress.pipeline.zoo import train_or_load_teacher
from kdcompress.plugins import is_reference
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import RECIPE, remedy
from kdcompress.teachers import InputAdapter, OutputSpec, Teacher, check_output_count, open_teacher, teacher_of_model
from kdcompress.training.checkpoints import Row
from kdcompress.trust import REMEDY, trusts_code

KEPT = "teachers"  # the manifest's key of what a run keeps of its teachers


@dataclass(frozen=True)
class SavedTeacher:
    """What a run keeps of a teacher: its name, its copy (None of one that is no model), its digest and image size."""

    name: str
    file: str | None
    digest: str
    input_shape: tuple[int, int, int]


def open_teachers(
    recipe: Recipe,
    run: RunFolder | None,
    split: Split,
    dataset: Dataset,
    method: Method,
    progress: Progress,
    on_rows: Callable[[str, list[Row]], None],
) -> TeacherEnsemble:
    """The teachers that a recipe names; zoo models are trained first, or come from the cache.

    What the run kept already takes the place of the original, which may have gone or changed since. `on_rows` gets the
    name and history of each that was trained. Errors: ModelError, RecipeError.
    """
    spec = OutputSpec(dataset.input_shape, dataset.classes, method.head(Classes(len(dataset.classes))))
    sections, kept = recipe.teacher.teachers, read_saved_teachers(run) if run else {}
    teachers = []
    for name, section in zip(names_of(len(sections)), sections, strict=True):

        def rows(found: list[Row], name: str = name) -> None:
            on_rows(name, found)

        def train(section: SingleTeacherSection = section, rows: Callable[[list[Row]], None] = rows) -> Any:
            return train_or_load_teacher(recipe, section, split, spec, method, progress, rows)

        copy = kept.get(name)
        teacher = open_single_teacher(section, spec, saved_path(run, copy) if run else None, train, progress.note)
        if copy:
            teacher.digest = copy.digest  # of the original: a copy may be written otherwise
        check_output_count(teacher, spec)
        teacher.set_reading(section, split.train)
        teachers.append(teacher)
    return TeacherEnsemble(tuple(teachers), sections, recipe, method)


def reopen_teachers(run: RunFolder, recipe: Recipe) -> TeacherEnsemble:
    """The teachers that a run kept; only of a run that came so far."""
    manifest = run.manifest()
    if "classes" not in manifest or "input_shape" not in manifest:
        raise RunError(f"run {run.path} has no teacher yet; give its `kdcompress distill` command again to finish it")
    kept, method = read_saved_teachers(run), bound_method(run, recipe)
    classes = tuple(manifest["classes"])
    spec = OutputSpec(tuple(manifest["input_shape"]), classes, method.head(Classes(len(classes))))
    sections, found = recipe.teacher.teachers, []
    if kept and len(kept) != len(sections):
        raise RunError(
            f"run {run.path} keeps {len(kept)} teachers and its recipe names {len(sections)}; "
            f"{remedy(RECIPE, run.path)}"
        )
    for section, one in zip(sections, kept.values(), strict=False):
        copy = saved_path(run, one)
        found.append(_reopen_one(section, spec, copy) if copy else UnavailableTeacher(section, spec))
    return TeacherEnsemble(tuple(found), sections, recipe, method)


def _reopen_one(section: SingleTeacherSection, spec: OutputSpec, copy: Path) -> Teacher:
    """A kept teacher; one that a function made is opened as the file it is, for the run's recipe is not the user's."""
    if is_reference(section.model):
        try:
            return open_teacher(copy, section, spec, f"teacher {section.model}")
        except ModelError as exc:
            if not trusts_code():
                raise ModelError(
                    f"the run's teacher needs {section.model} to be opened, a program that its recipe names: {REMEDY}"
                ) from exc
    return open_single_teacher(section, spec, copy)


def bound_method(run: RunFolder, recipe: Recipe) -> Method:
    """The method of a run, bound to what its data were when it began."""
    manifest = run.manifest()
    finer = manifest.get("subclasses")
    classes = Classes(len(manifest["classes"]), tuple(len(names) for names in finer) if finer else None)
    return recipe.method.bind(classes)


def open_single_teacher(
    section: SingleTeacherSection,
    spec: OutputSpec,
    copy: Path | None = None,
    train: Callable[[], Any] | None = None,
    note: Callable[[str], None] | None = None,
) -> Teacher:
    """The teacher of one section, from the `copy` that a run keeps if there is one.

    `train` gives a zoo model that is to be trained; without it, that stands there with the weights it starts from, of
    which `note` is told. Errors: ModelError.
    """
    what = f"teacher {section.model}"
    is_zoo = section.model in registry.choices("models")
    if is_zoo and section.preprocessing != PreprocessingSection():
        raise RecipeError(f"{what} is a zoo model, which has its preprocessing inside: leave teacher.preprocessing out")
    if not is_zoo and not is_reference(section.model):
        return open_teacher(copy or Path(section.model), section, spec, what)
    if is_zoo and section.weights == "train" and not copy and train is not None:
        return teacher_of_model(train(), section, spec, what)
    seed_everything(section.seed)
    if is_zoo:
        start = replace(section.initialization, pretrained="none") if copy else section.initialization
        model = load_model(section.model, spec.input_shape, spec.n_outputs, "teacher", initialization=start, note=note)
    else:
        model = load_from_function(section.model, "teacher", spec.input_shape, spec.n_outputs)
    if copy:
        teacher_of_model(model, section, spec, what)  # makes the weights that are then loaded
        load_weights(model, copy)
    teacher = teacher_of_model(model, section, spec, what)
    teacher.path = copy
    return teacher


class UnavailableTeacher(Teacher):
    """A teacher of which a run keeps no copy, since it is no model: its answers are in the run, and nothing else."""

    def __init__(self, section: SingleTeacherSection, spec: OutputSpec) -> None:
        self.description, self.digest = f"teacher {section.model}", ""
        self.adapter = InputAdapter(spec.input_shape, section.preprocessing)

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> UnavailableTeacher:
        """See Teacher.open."""
        return cls(section, spec)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """See Teacher.run."""
        raise TargetsError(f"{self.description} is no model that could be asked again")

    def save_copy(self, path: Path) -> None:
        """See Teacher.save_copy."""


def save_teachers(ensemble: TeacherEnsemble, run: RunFolder) -> None:
    """Put a copy of each teacher into the run, so that nothing later depends on the originals."""
    entries = []
    for name, teacher in zip(ensemble.names, ensemble.teachers, strict=True):
        file = f"{name}{teacher.copy_suffix}" if teacher.copy_suffix else None
        if file is not None:
            teacher.save_copy(run / file)
            for path in saved_files(run, file):
                run.commit(path, digest=teacher.digest)
        shape = list(teacher.adapter.input_shape)
        entries.append({"name": name, "file": file, "digest": teacher.digest, "input_shape": shape})
    run.update_manifest(**{KEPT: entries})


def read_saved_teachers(run: RunFolder) -> dict[str, SavedTeacher]:
    """What a run keeps of its teachers, by name, in the recipe's order; RunError if a copy has changed or gone."""
    found = {}
    for entry in run.manifest().get(KEPT, []):
        if entry["file"] is not None:
            run.check_file(entry["file"])
        height, width, channels = entry["input_shape"]
        found[entry["name"]] = SavedTeacher(entry["name"], entry["file"], entry["digest"], (height, width, channels))
    return found


def saved_path(run: RunFolder, kept: SavedTeacher | None) -> Path | None:
    """The copy of a teacher that a run keeps, if it does."""
    return run / kept.file if kept and kept.file else None


def saved_files(run: RunFolder, file: str) -> list[str]:
    """The files of a kept teacher, by their names in the run: one, one and its weights beside it, or a folder's."""
    if (run / file).is_dir():
        inside = sorted(path for path in (run / file).rglob("*") if path.is_file())
        return [path.relative_to(run.path).as_posix() for path in inside]
    return [name for name in (file, f"{file}.data") if (run / name).is_file()]
