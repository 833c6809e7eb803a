"""What the user asks for: a validated recipe, from TOML, flags and `KEY=VALUE`, and back to TOML."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import tomli_w
from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, ValidationInfo

from kdcompress import registry
from kdcompress.config import initialization
from kdcompress.config.choices import Choice, choice_class, make_choice
from kdcompress.config.limits import MAX_CLASSES
from kdcompress.config.members import inherit_teacher_settings
from kdcompress.config.observing import Observers
from kdcompress.config.overrides import (
    apply_override,
    check_override_used,
    check_plain_values,
    override_epochs,
    read_toml,
)
from kdcompress.config.references import (
    check_exists,
    check_file_name,
    check_model_reference,
    is_folder,
    make_paths_absolute,
    to_path,
)
from kdcompress.config.sections import (
    ClassNames,
    ModelSection,
    SplitSection,
    StudentSection,
    TeacherSection,
    UnlabelledSection,
    ViewsSection,
)
from kdcompress.config.settings import MAX_PATH_CHARS, Section, build_section, format_name, format_value
from kdcompress.config.training import TrainingSection
from kdcompress.digests import json_digest
from kdcompress.errors import RecipeError

if TYPE_CHECKING:
    from kdcompress.data.base import DatasetSource
    from kdcompress.methods import Method
else:  # which the registry finds: rooms above this one are not imported by name
    DatasetSource = Method = Choice

PRESETS = Path(__file__).parent / "presets"
_RESTORE = "bring it back from a copy, or begin anew in another folder"
_LONGEST = 100  # of a name that is unknown, in a message


def _chosen(settings: Any, info: ValidationInfo) -> Any:
    return make_choice(str(info.field_name), settings, from_run=bool(info.context and info.context["from_run"]))


_IsChosen = PlainValidator(_chosen)
_AsSettings = PlainSerializer(lambda choice: choice.to_dict())


class Recipe(Section):
    """Everything that decides a run, every default written out.

    `data`, `method` and `observers` are the objects themselves; in TOML their sections hold a `name` and its settings.
    """

    name: Annotated[str, AfterValidator(check_file_name)]
    seed: int = Field(0, ge=0, lt=2**32)
    baseline: bool = True
    deterministic: bool = True
    data: Annotated[DatasetSource, _IsChosen, _AsSettings]
    superclasses: dict[str, ClassNames] = Field(default_factory=dict, max_length=MAX_CLASSES)
    split: SplitSection = SplitSection()
    unlabelled: UnlabelledSection | None = None
    views: ViewsSection = ViewsSection()
    teacher: TeacherSection
    student: StudentSection
    method: Annotated[Method, _IsChosen, _AsSettings] = Field({"name": "hinton"}, validate_default=True)
    training: TrainingSection = TrainingSection()
    observers: Observers = Field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the keys that are not set (TOML has no null)."""
        return self.model_dump(mode="json", exclude_none=True, exclude=None if self.observers else {"observers"})

    def to_toml(self) -> str:
        """The recipe as TOML, with every default written out."""
        return tomli_w.dumps(self.to_dict())

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the result: all but observers, and where data and weights lie: fingerprints stand for them."""
        plain = self.to_dict()
        plain.pop("observers", None)
        for section, keys in _paths(plain).items():
            if section in plain:
                plain[section] = {key: value for key, value in plain[section].items() if key not in keys}
        for one in (plain["student"], plain["teacher"], *plain["teacher"]["members"]):
            one["pretrained"] = Path(one["pretrained"]).name
        del plain["teacher"]["check"]  # which stops a run, and changes nothing in one that goes on
        return plain

    @property
    def files(self) -> dict[str, Path]:
        """The files of models and weights that the recipe names, there or not, by what they are for."""
        named = {
            "student": self.student,
            **{f"teacher-{n}": one for n, one in enumerate(self.teacher.teachers, start=1)},
        }
        models = {key: Path(one.model) for key, one in named.items() if Path(one.model).is_absolute()}
        return models | {
            f"{key}-weights": one.initialization.weights_file
            for key, one in named.items()
            if one.initialization.weights_file
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the identity."""
        return json_digest(self.identity)


def resolve(
    recipe: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    files: bool = True,
    epochs: int | None = None,
) -> Recipe:
    """Read a recipe, lay overrides over it, and validate it.

    Args:
        recipe: A built-in name, a TOML file, whose paths are relative to it, or plain values.
        overrides: Values by dotted key.
        files: Whether model files must exist; `check_files` checks that later otherwise.
        epochs: The epochs of every stage of every training, but for those that the overrides name.

    Raises:
        RecipeError: A key or a value is wrong, in one line.
    """
    if isinstance(recipe, Mapping):
        recipe = {key: one.to_dict() if isinstance(one, Choice) else one for key, one in recipe.items()}
        check_plain_values(recipe)
    values = copy.deepcopy(dict(recipe)) if isinstance(recipe, Mapping) else _read(str(recipe))
    for key, value in (overrides or {}).items():
        apply_override(values, key, value)
    if epochs is not None:
        override_epochs(values, epochs, overrides or {})
    for key in overrides or {}:
        check_override_used(values, key)
    resolved = _check(values)
    if files:
        check_files(resolved)
    return resolved


def check_files(recipe: Recipe) -> None:
    """RecipeError for a model file that a recipe names and that is not there."""
    place = "teacher.members.{}" if recipe.teacher.members else "teacher"
    named = {place.format(index): one for index, one in enumerate(recipe.teacher.teachers)}
    for key, one in {"student": recipe.student, **named}.items():
        check_exists(one.model, f"{key}.model")
        check_exists(str(one.initialization.weights_file or ""), f"{key}.pretrained")


def resolve_data_settings(source: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a data set by its name, or of that in a recipe file, with dotted `overrides` (data.size) over it.

    Nothing else of the recipe is looked at: its models need not be there yet. Errors: RecipeError.
    """
    values = {"data": {"name": source}} if source in registry.choices("datasets") else _read(source)
    for key, value in overrides.items():
        if not key.startswith("data."):
            raise RecipeError(f"only the data are looked at: --set takes data.KEY=VALUE here, got {format_value(key)}")
        apply_override(values, key, value)
    found = values.get("data", {})
    if not isinstance(found, dict):
        raise RecipeError(f"data is a section, name one of its keys, got {format_value(found)}")
    return found


def read_resolved_recipe(path: Path) -> Recipe:
    """The recipe that a run was begun with, as it stands in the run: its files need not be there any more.

    Errors: RecipeError with the path.
    """
    told = format_name(str(path), MAX_PATH_CHARS)
    try:
        values = read_toml(path)
    except FileNotFoundError as exc:
        raise RecipeError(f"{told} is gone, and nothing else says what was asked for; {_RESTORE}") from exc
    try:
        recipe = build_section(Recipe, values, context={"from_run": True})
        _refuse_teachers(recipe)
    except RecipeError as exc:
        raise RecipeError(f"{told} is damaged ({exc}); {_RESTORE}") from exc
    return recipe


def _read(recipe: str) -> dict[str, Any]:
    if recipe in registry.choices("recipes"):
        return read_toml(PRESETS / f"{recipe}.toml")
    path, choices = to_path(recipe, "a recipe"), ", ".join(registry.choices("recipes"))
    if not recipe or (not recipe.endswith(".toml") and not path.exists()):
        registry.check("recipes", recipe[:_LONGEST])
    if is_folder(path):
        raise RecipeError(f"{format_name(recipe)} is a folder; name a recipe file, or one of {choices}")
    try:
        values = read_toml(path)
    except FileNotFoundError as exc:
        raise RecipeError(f"recipe file {format_name(recipe)} does not exist; built-in recipes: {choices}") from exc
    make_paths_absolute(values, path.resolve().parent, _paths(values))
    return values


def _paths(values: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The keys that hold paths of data, by their section."""
    data = values.get("data")
    paths = {"unlabelled": UnlabelledSection.PATHS}
    if isinstance(data, dict) and data.get("name") in registry.choices("datasets"):
        paths["data"] = choice_class("data", data).PATHS
    return paths


def _check(values: dict[str, Any]) -> Recipe:
    inherit_teacher_settings(values.get("teacher"))
    recipe = build_section(Recipe, values)
    data = _located(recipe.data, "data")
    unlabelled = recipe.unlabelled and _located(recipe.unlabelled, "unlabelled")
    _refuse_teachers(recipe)
    teacher, members = recipe.teacher, recipe.teacher.members
    if members:
        checked = [_check_model(member, f"teacher.members.{index}") for index, member in enumerate(members)]
        teacher = teacher.model_copy(update={"members": tuple(checked)})
    else:
        teacher = _check_model(teacher, "teacher")
    student = _check_model(recipe.student, "student")
    sections = {"data": data, "unlabelled": unlabelled, "teacher": teacher, "student": student}
    return recipe.model_copy(update=sections)


S = TypeVar("S", bound=Section)


def _located(section: S, name: str) -> S:
    """A section of data with its paths made absolute."""
    paths: dict[str, str] = {}
    for key in getattr(section, "PATHS", ()):
        if (text := getattr(section, key)) is not None:
            paths[key] = str(to_path(text, f"{name}.{key}").resolve())
    return section.model_copy(update=paths) if paths else section


def _refuse_teachers(recipe: Recipe) -> None:
    if bool(recipe.teacher.model) == bool(recipe.teacher.members):
        what = "both are there" if recipe.teacher.model else "neither is there"
        raise RecipeError(f"a recipe has one teacher.model, or several teacher.members with a model each; {what}")


M = TypeVar("M", bound=ModelSection)


def _check_model(section: M, key: str) -> M:
    """A section of a model with its paths made absolute, which are of a kind that its role may have."""
    model = check_model_reference(section.model, f"{key}.model", key.partition(".")[0])
    if section.pretrained not in initialization.PRETRAINED:
        to_path(section.pretrained, f"{key}.pretrained")
    checked = section.model_copy(update={"model": model})
    return checked.model_copy(update={"pretrained": initialization.check_initialization(checked, key)})
