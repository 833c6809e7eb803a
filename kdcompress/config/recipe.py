"""Recipes: validated settings of a run, read from TOML, flags and `KEY=VALUE`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tomli_w
from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, ValidationInfo

from kdcompress.config.assistants import Assistants, AssistantSection, assistant_values, inherit_student_settings
from kdcompress.config.checks import check_files, check_teachers, resolve_paths
from kdcompress.config.choices import Choice, make_choice
from kdcompress.config.cluster import ClusterSection, check_divisible
from kdcompress.config.compress import CompressSection
from kdcompress.config.limits import MAX_CLASSES
from kdcompress.config.members import inherit_teacher_settings
from kdcompress.config.observing import Observers
from kdcompress.config.overrides import apply_override, check_override_used, override_epochs
from kdcompress.config.reading import naming_file, path_keys, read_values
from kdcompress.config.references import check_file_name, is_file_reference
from kdcompress.config.sections import (
    ClassNames,
    ModelSection,
    SplitSection,
    StudentSection,
    TeacherSection,
    UnlabelledSection,
    ViewsSection,
)
from kdcompress.config.settings import (
    MAX_PATH_CHARS,
    Section,
    build_section,
    format_name,
)
from kdcompress.config.toml_values import check_plain_values, read_toml
from kdcompress.config.training import TrainingSection
from kdcompress.digests import json_digest
from kdcompress.errors import RecipeError

if TYPE_CHECKING:
    from kdcompress.data.base import DatasetSource
    from kdcompress.methods import Method
else:  # loaded by the registry: packages above this one are not imported by name
    DatasetSource = Method = Choice

_RESTORE = "bring it back from a copy, or begin anew in another folder"


def _make_field(settings: Any, info: ValidationInfo) -> Any:
    return make_choice(str(info.field_name), settings, from_run=bool(info.context and info.context["from_run"]))


_FromSettings = PlainValidator(_make_field)
_ToSettings = PlainSerializer(lambda choice: choice.to_dict())


class Recipe(Section):
    """All settings of a run, with all defaults.

    Attributes:
        name: Name of the recipe, part of the names of run folders.
        seed: Seed of the student's weights and of the order of batches.
        baseline: Whether the student is also trained without the teacher.
        deterministic: Whether TensorFlow is made to give the same bits in every run.
        data: Data set source; in TOML a section with its `name` and settings, as for `method` and each observer.
        superclasses: Names of the classes that are merged into each new class; empty to keep the classes.
        split: Split into train and validation.
        unlabelled: Further images without labels.
        views: Enumerated augmentation.
        teacher: The teacher or teachers.
        student: The student.
        assistant: Models between teacher and student, each taught by the one before; one section or a list.
        method: Distillation method.
        training: Training of the student.
        compress: Compression of the trained student.
        cluster: Several machines, or processes of this one, that share the work.
        observers: Observers of the run by label.
    """

    name: Annotated[str, AfterValidator(check_file_name)]
    seed: int = Field(0, ge=0, lt=2**32)
    baseline: bool = True
    deterministic: bool = True
    data: Annotated[DatasetSource, _FromSettings, _ToSettings]
    superclasses: dict[str, ClassNames] = Field(default_factory=dict, max_length=MAX_CLASSES)
    split: SplitSection = SplitSection()
    unlabelled: UnlabelledSection | None = None
    views: ViewsSection = ViewsSection()
    teacher: TeacherSection
    student: StudentSection
    assistant: Assistants = None
    method: Annotated[Method, _FromSettings, _ToSettings] = Field({"name": "hinton"}, validate_default=True)
    training: TrainingSection = TrainingSection()
    compress: CompressSection | None = None
    cluster: ClusterSection | None = None
    observers: Observers = Field(default_factory=dict)

    @property
    def assistants(self) -> tuple[AssistantSection, ...]:
        """The assistants, from the teacher's to the student's; empty without any."""
        return self.assistant or ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without keys that are None, which TOML cannot hold."""
        return self.model_dump(mode="json", exclude_none=True, exclude=None if self.observers else {"observers"})

    def to_toml(self) -> str:
        """Return the recipe as TOML, with all defaults."""
        return tomli_w.dumps(self.to_dict())

    @property
    def identity(self) -> dict[str, Any]:
        """The values that influence the result; without observers, and without paths, which fingerprints stand for."""
        plain = self.to_dict()
        plain.pop("observers", None)
        plain.pop("cluster", None)  # who labels changes no target, and who trains a student its rounding alone
        for section, keys in path_keys(plain).items():
            if section in plain:
                plain[section] = {key: value for key, value in plain[section].items() if key not in keys}
        assistants = [section for _, section in assistant_values(plain)]
        for model in (plain["student"], plain["teacher"], *plain["teacher"]["members"], *assistants):
            model["pretrained"] = Path(model["pretrained"]).name
        del plain["teacher"]["check"]  # it may stop a run, but does not change its result
        return plain

    @property
    def uses_unlabelled(self) -> bool:
        """Whether the student is given images without labels: further ones, or those of train that lose theirs."""
        return self.unlabelled is not None or (
            self.split.labels_per_class is not None and self.split.rest == "unlabelled"
        )

    @property
    def files(self) -> dict[str, str]:
        """The paths and URLs of the models and weights that the recipe names, by role such as teacher-1-weights."""
        sections: dict[str, ModelSection] = {"student": self.student}
        sections |= {f"teacher-{number}": teacher for number, teacher in enumerate(self.teacher.teachers, start=1)}
        sections |= {f"assistant-{number}": assistant for number, assistant in enumerate(self.assistants, start=1)}
        models = {role: section.model for role, section in sections.items() if is_file_reference(section.model)}
        weights = {f"{role}-weights": section.initialization.weights_file for role, section in sections.items()}
        return models | {role: path for role, path in weights.items() if path}

    @property
    def digest(self) -> str:
        """SHA-256 of the identity, in hexadecimal."""
        return json_digest(self.identity)


def resolve(
    recipe: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    files: bool = True,
    epochs: int | None = None,
) -> Recipe:
    """Read a recipe, apply overrides, and validate it.

    Args:
        recipe: Name of a built-in recipe, TOML file with paths relative to it, or plain values.
        overrides: Values by dotted key.
        files: Whether model files must exist; otherwise `check_files` can check that later.
        epochs: Number of epochs of all stages of all trainings, except those that the overrides name.

    Returns:
        The recipe, with absolute paths.

    Raises:
        RecipeError: A key or value is invalid.
    """
    if isinstance(recipe, Mapping):
        recipe = {key: section.to_dict() if isinstance(section, Choice) else section for key, section in recipe.items()}
        check_plain_values(recipe)
    values = copy.deepcopy(dict(recipe)) if isinstance(recipe, Mapping) else read_values(str(recipe))
    for key, value in (overrides or {}).items():
        apply_override(values, key, value)
    if epochs is not None:
        override_epochs(values, epochs, overrides or {})
    for key in overrides or {}:
        check_override_used(values, key)
    with naming_file(recipe):
        resolved = _validate(values)
    if files:
        check_files(resolved)
    return resolved


def read_resolved_recipe(path: Path) -> Recipe:
    """Read the recipe in a run folder; the files that it names need not exist any more.

    Args:
        path: The recipe file of the run.

    Returns:
        The recipe.

    Raises:
        RecipeError: The file is missing or damaged.
    """
    shown_path = format_name(str(path), MAX_PATH_CHARS)
    try:
        values = read_toml(path)
    except FileNotFoundError as exc:
        raise RecipeError(f"{shown_path} is gone, and nothing else holds the settings of the run; {_RESTORE}") from exc
    try:
        recipe = build_section(Recipe, values, context={"from_run": True})
        check_teachers(recipe)
    except RecipeError as exc:
        raise RecipeError(f"{shown_path} is damaged ({exc}); {_RESTORE}") from exc
    return recipe


def change_run_recipe(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a run with other values; the code that it names still needs the user's trust.

    Args:
        recipe: The recipe, read by `read_resolved_recipe`.
        changes: Values by dotted key.

    Raises:
        RecipeError: A value is invalid.
    """
    values = recipe.to_dict()
    for key, value in changes.items():
        apply_override(values, key, value)
    changed = build_section(Recipe, values, context={"from_run": True})
    check_teachers(changed)
    return changed


def _validate(values: dict[str, Any]) -> Recipe:
    inherit_teacher_settings(values.get("teacher"))
    inherit_student_settings(values)
    recipe = build_section(Recipe, values)
    check_teachers(recipe)
    if recipe.cluster:
        check_divisible(recipe.training.batch_size, recipe.cluster.train_workers)
    return resolve_paths(recipe)
