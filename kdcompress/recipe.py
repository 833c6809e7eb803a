"""What the user asks for: a validated recipe, from TOML, flags and `KEY=VALUE`, and back to TOML."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import AfterValidator, Field

from kdcompress import registry, starts
from kdcompress.errors import KDCompressError, RecipeError
from kdcompress.files import digest_of, read_document
from kdcompress.overrides import override, refuse_ignored
from kdcompress.references import file_endings, is_function, model_reference, refuse_missing
from kdcompress.section import Section, build
from kdcompress.sections import (
    MOST_CLASSES,
    OneTeacherSection,
    SplitSection,
    StudentSection,
    TeacherSection,
    TrainingSection,
    UnlabelledSection,
    ViewsSection,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parent / "recipes"
_LONGEST_NAME = 100
# Sections that name one choice of a room and hold its settings: section -> (room, what its module defines)
CHOSEN = {"data": ("datasets", "DATASET"), "method": ("methods", "METHOD")}


def _file_name(name: str) -> str:
    """The name of a recipe becomes part of the names of folders."""
    bad = any(ord(letter) < 32 or letter in "/\\\x7f" or "\ud800" <= letter <= "\udfff" for letter in name)
    if bad or not 1 <= len(name) <= _LONGEST_NAME or name != name.strip() or name.startswith("."):
        raise ValueError(f"must be a file's name: 1 to {_LONGEST_NAME} characters, no / or \\, and no dot at its start")
    return name


class _NotText(KDCompressError):
    """A file that is no document at all."""


class Recipe(Section):
    """Everything that decides a run, every default written out.

    `data` and `method` hold a `name` and the settings of that data set and method, checked by them.
    """

    name: Annotated[str, AfterValidator(_file_name)]
    seed: int = Field(0, ge=0, lt=2**32)
    baseline: bool = True
    deterministic: bool = True
    data: dict[str, Any]
    superclasses: dict[str, tuple[str, ...]] = Field(default_factory=dict, max_length=MOST_CLASSES)
    split: SplitSection = SplitSection()
    unlabelled: UnlabelledSection | None = None
    views: ViewsSection = ViewsSection()
    teacher: TeacherSection
    student: StudentSection
    method: dict[str, Any] = Field(default_factory=lambda: {"name": "hinton"})
    training: TrainingSection = TrainingSection()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the keys that are not set (TOML has no null)."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """The recipe as TOML, with every default written out."""
        return tomli_w.dumps(self.to_dict())

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the result: all but where data and weights lie, for their fingerprints stand for them."""
        plain = self.to_dict()
        places = {"data": kind_of("data", plain["data"]).PATHS, "unlabelled": UnlabelledSection.PATHS}
        for section, keys in places.items():
            if section in plain:
                plain[section] = {key: value for key, value in plain[section].items() if key not in keys}
        for one in (plain["student"], plain["teacher"], *plain["teacher"]["members"]):
            one["pretrained"] = Path(one["pretrained"]).name
        del plain["teacher"]["check"]  # which stops a run, and changes nothing in one that goes on
        return plain

    @property
    def files(self) -> dict[str, Path]:
        """The files of models and weights that the recipe names, there or not, by what they are for."""
        named = {"student": self.student, **{f"teacher-{n}": one for n, one in enumerate(self.teacher.each, start=1)}}
        models = {key: Path(one.model) for key, one in named.items() if Path(one.model).is_absolute()}
        return models | {f"{key}-weights": one.start.file for key, one in named.items() if one.start.file}

    @property
    def digest(self) -> str:
        """SHA-256 of the identity."""
        return digest_of(self.identity)


def resolve(
    recipe: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None, files: bool = True
) -> Recipe:
    """A checked recipe from a built-in name, a TOML file or plain values, with dotted `overrides` laid over it.

    Paths of models and data in a file are relative to that file. Without `files`, models need not be there (any more);
    `check_files` tells later. Errors: RecipeError in one line.
    """
    values = copy.deepcopy(dict(recipe)) if isinstance(recipe, Mapping) else _read(str(recipe))
    for key, value in (overrides or {}).items():
        override(values, key, value)
    for key in overrides or {}:
        refuse_ignored(values, key)
    resolved = _check(values)
    if files:
        check_files(resolved)
    return resolved


def check_files(recipe: Recipe) -> None:
    """RecipeError for a model file that a recipe names and that is not there."""
    place = "teacher.members.{}" if recipe.teacher.members else "teacher"
    named = {place.format(index): one for index, one in enumerate(recipe.teacher.each)}
    for key, one in {"student": recipe.student, **named}.items():
        refuse_missing(one.model, f"{key}.model")
        refuse_missing(str(one.start.file or ""), f"{key}.pretrained")


def data_settings(source: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a data set by its name, or of that in a recipe file, with dotted `overrides` (data.size) over it.

    Nothing else of the recipe is looked at: its models need not be there yet. Errors: RecipeError.
    """
    values = {"data": {"name": source}} if source in registry.choices("datasets") else _read(source)
    for key, value in overrides.items():
        if not key.startswith("data."):
            raise RecipeError(f"only the data are looked at: --set takes data.KEY=VALUE here, got {key!r}")
        override(values, key, value)
    found: dict[str, Any] = values.get("data", {})
    return found


def read_resolved(path: Path) -> Recipe:
    """The recipe that a run was begun with, as it stands in the run: its files need not be there any more."""
    return build(Recipe, _parse(path))


def choose(section: str, settings: Mapping[str, Any]) -> Any:
    """The data set source or method that a recipe's section names, made with that section's other keys.

    `section` is one of CHOSEN. Errors: RecipeError with the choices, or with the key, the rule and what came.
    """
    kind = kind_of(section, settings)
    return build(kind, {key: value for key, value in settings.items() if key != "name"}, section)


def kind_of(section: str, settings: Mapping[str, Any]) -> Any:
    """The class that a recipe's section names; see `choose`."""
    room, attribute = CHOSEN[section]
    name = settings.get("name")
    if not isinstance(name, str):
        came = f"must be one of them, got {name!r}" if "name" in settings else "is missing"
        raise RecipeError(f"{section}.name {came}; choices: {', '.join(registry.choices(room))}")
    return getattr(registry.load(room, name), attribute)


def _read(recipe: str) -> dict[str, Any]:
    if recipe in registry.choices("recipes"):
        return _parse(RECIPES / f"{recipe}.toml")
    path = Path(recipe).expanduser()
    if not recipe.endswith(".toml") and not path.exists():
        registry.check("recipes", recipe)
    if path.is_dir():
        raise RecipeError(
            f"{recipe} is a folder; name a recipe file, or one of {', '.join(registry.choices('recipes'))}"
        )
    if not path.is_file():
        raise RecipeError(
            f"recipe file {recipe} does not exist; built-in recipes: {', '.join(registry.choices('recipes'))}"
        )
    return _anchored(_parse(path), path.resolve().parent)


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_document(path, _NotText, "a recipe is text"))
    except _NotText as exc:
        raise RecipeError(f"{path} is not valid TOML: {str(exc).removeprefix(f'{path} is ')}") from exc
    except tomllib.TOMLDecodeError as exc:
        raise RecipeError(f"{path} is not valid TOML: {exc}") from exc
    except (RecursionError, ValueError) as exc:  # lists in lists, a number of thousands of digits
        raise RecipeError(f"{path} cannot be read: {str(exc)[:100]}") from exc
    except FileNotFoundError as exc:
        raise RecipeError(f"{path} is gone") from exc
    except PermissionError as exc:
        raise RecipeError(f"{path} cannot be read (permission denied)") from exc


def _anchored(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the paths in a recipe file, which are relative to it, absolute."""

    def place(text: Any) -> Any:
        return str(folder / Path(text).expanduser()) if isinstance(text, str) else text

    def model(text: Any) -> Any:
        if not isinstance(text, str) or is_function(text) or text in registry.choices("models"):
            return text
        is_file = Path(text).suffix.lower() in file_endings("teacher")
        return place(text) if is_file or "/" in text or (folder / text).is_dir() else text

    data = values.get("data")
    if isinstance(data, dict) and data.get("name") in registry.choices("datasets"):
        _map_keys(data, kind_of("data", data).PATHS, place)
    _map_keys(values.get("unlabelled"), UnlabelledSection.PATHS, place)
    teacher = values.get("teacher")
    members = teacher.get("members") if isinstance(teacher, dict) else None
    for section in (teacher, values.get("student"), *(members if isinstance(members, list) else [])):
        _map_keys(section, ("model",), model)
        _map_keys(section, ("pretrained",), lambda text: text if text in starts.NAMED else place(text))
    return values


def _map_keys(section: Any, keys: tuple[str, ...], change: Callable[[Any], Any]) -> None:
    for key in keys if isinstance(section, dict) else ():
        if key in section:
            section[key] = change(section[key])


def _check(values: dict[str, Any]) -> Recipe:
    _inherit(values.get("teacher"))
    recipe = build(Recipe, values)
    resolved = recipe.to_dict()
    for section in CHOSEN:
        chosen = choose(section, getattr(recipe, section))
        resolved[section] = {"name": resolved[section]["name"], **chosen.model_dump(exclude_none=True)}
    sections = [(resolved["data"], kind_of("data", resolved["data"]).PATHS)]
    sections += [(resolved.get("unlabelled"), UnlabelledSection.PATHS)]
    for section, keys in sections:
        _map_keys(section, keys, lambda text: str(Path(text).expanduser().resolve()))
    _check_models(resolved)
    return build(Recipe, resolved)


def _inherit(teacher: Any) -> None:
    """What stands in [teacher] counts for each of its members that does not say otherwise."""
    if isinstance(teacher, dict) and isinstance(teacher.get("members"), list | tuple):
        shared = {
            key: value for key, value in teacher.items() if key in OneTeacherSection.model_fields and key != "model"
        }
        teacher["members"] = [_heir(shared, one) if isinstance(one, dict) else one for one in teacher["members"]]


def _heir(shared: dict[str, Any], member: dict[str, Any]) -> dict[str, Any]:
    is_zoo = member.get("model") in registry.choices("models")  # which has its preprocessing inside
    own = {*starts.settings_of(str(member.get("model"))), *(() if is_zoo else ("preprocessing",))}
    special = ("preprocessing", *starts.SETTINGS)
    heir = {**{key: value for key, value in shared.items() if key not in special or key in own}, **member}
    if isinstance(shared.get("training"), dict) and isinstance(member.get("training"), dict):
        heir["training"] = {**shared["training"], **member["training"]}
    return heir


def _check_models(resolved: dict[str, Any]) -> None:
    teacher = resolved["teacher"]
    if bool(teacher["model"]) == bool(teacher["members"]):
        what = "both are there" if teacher["model"] else "neither is there"
        raise RecipeError(f"a recipe has one teacher.model, or several teacher.members with a model each; {what}")
    members = [(f"teacher.members.{index}", member) for index, member in enumerate(teacher["members"])]
    for key, one in (*(members or [("teacher", teacher)]), ("student", resolved["student"])):
        one["model"] = model_reference(one["model"], f"{key}.model", key.partition(".")[0])
        starts.check_start(one, key)
