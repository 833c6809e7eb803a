"""What the user asks for: a validated recipe, from TOML, flags and `KEY=VALUE`, and back to TOML."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import Field

from kdcompress import registry
from kdcompress.errors import RecipeError
from kdcompress.files import digest_of
from kdcompress.section import Section, build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parent / "recipes"
# Sections that name one choice of a room and hold its settings: section -> (room, what its module defines)
CHOSEN = {"data": ("datasets", "DATASET"), "method": ("methods", "METHOD")}


class SplitSection(Section):
    """How train is cut; the seed stands apart from the run's, so that a kept teacher never saw validation images."""

    validation_fraction: float = Field(0.05, gt=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**32)
    limit: int | None = Field(None, ge=1)


class ViewsSection(Section):
    """`count` views of every training image: view 0 is the image itself, the others are shifted and turned."""

    count: int = Field(1, ge=1, le=64)
    shift_px: float = Field(2.0, ge=0, le=64)
    rotation_deg: float = Field(10.0, ge=0, le=180)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the images: with one view, how others would be drawn does not."""
        return self.model_dump() if self.count > 1 else {"count": 1}


class TrainingSection(Section):
    """How a model is trained: Adam on shuffled batches, the last partial batch of an epoch dropped."""

    epochs: int = Field(12, ge=1)
    batch_size: int = Field(256, ge=1)
    learning_rate: float = Field(1e-3, gt=0)


class TeacherSection(Section):
    """The teacher; a zoo model is trained by us (and kept), a file or function comes as it is."""

    model: str
    weights: Literal["train", "none"] = "train"
    seed: int = Field(0, ge=0, lt=2**32)
    training: TrainingSection = TrainingSection()


class StudentSection(Section):
    """The student, trained with and without the teacher."""

    model: str


class Recipe(Section):
    """Everything that decides a run, every default written out.

    `data` and `method` hold a `name` and the settings of that data set and method, checked by them.
    """

    name: str
    seed: int = Field(0, ge=0, lt=2**32)
    baseline: bool = True
    deterministic: bool = True
    data: dict[str, Any]
    split: SplitSection = SplitSection()
    views: ViewsSection = ViewsSection()
    teacher: TeacherSection
    student: StudentSection
    method: dict[str, Any]
    training: TrainingSection = TrainingSection()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without the keys that are not set (TOML has no null)."""
        return self.model_dump(mode="json", exclude_none=True)

    def to_toml(self) -> str:
        """The recipe as TOML, with every default written out."""
        return tomli_w.dumps(self.to_dict())

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the result: all but where the data lies, for its fingerprint stands for it."""
        plain = self.to_dict()
        return {**plain, "data": {k: v for k, v in plain["data"].items() if k != "dir"}}

    @property
    def digest(self) -> str:
        """SHA-256 of the identity."""
        return digest_of(self.identity)


def resolve(recipe: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None) -> Recipe:
    """A checked recipe from a built-in name, a TOML file or plain values, with dotted `overrides` laid over it.

    Paths of models and data in a file are relative to that file. Errors: RecipeError in one line.
    """
    values = dict(recipe) if isinstance(recipe, Mapping) else _read(str(recipe))
    for key, value in (overrides or {}).items():
        _override(values, key, value)
    return _check(values)


def read_resolved(path: Path) -> Recipe:
    """The recipe that a run was begun with, as it stands in the run: its files need not be there any more."""
    return build(Recipe, _parse(path))


def choose(section: str, settings: Mapping[str, Any]) -> Any:
    """The data set source or method that a recipe's section names, made with that section's other keys.

    `section` is one of CHOSEN. Errors: RecipeError with the choices, or with the key, the rule and what came.
    """
    room, attribute = CHOSEN[section]
    name = settings.get("name")
    if not isinstance(name, str):
        came = f"must be one of them, got {name!r}" if "name" in settings else "is missing"
        raise RecipeError(f"{section}.name {came}; choices: {', '.join(registry.choices(room))}")
    kind = getattr(registry.load(room, name), attribute)
    return build(kind, {key: value for key, value in settings.items() if key != "name"}, section)


def parse_setting(text: str) -> tuple[str, Any]:
    """`KEY=VALUE` as (key, value); the value is read as TOML, and as plain text when it is none."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set takes KEY=VALUE, such as training.epochs=3, got {text!r}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def model_reference(text: str, key: str) -> str:
    """Check the form of a model reference: a zoo name, a .keras file that exists, or module:function."""
    if text in registry.choices("models"):
        return text
    if text.endswith(".keras"):
        path = Path(text).expanduser()
        if not path.is_file():
            raise RecipeError(f"{key}: model file {text} does not exist")
        return str(path.resolve())
    module, colon, function = text.partition(":")
    if module.endswith(".py"):
        raise RecipeError(f"{key}: name the module without .py: {module.removesuffix('.py')}:{function or 'function'}")
    if colon and function.isidentifier() and all(part.isidentifier() for part in module.split(".")):
        return text
    names = registry.choices("models")
    raise RecipeError(
        f"{key}: unknown model {text!r}{registry.suggestion(text, names)}; "
        f"give one of {', '.join(names)}, a .keras file, or module:function"
    )


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
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise RecipeError(f"{path} is not valid TOML: {exc}") from exc
    except PermissionError as exc:
        raise RecipeError(f"{path} cannot be read (permission denied)") from exc


def _anchored(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    for section, key in (("data", "dir"), ("teacher", "model"), ("student", "model")):
        part = values.get(section)
        if not isinstance(part, dict) or not isinstance(text := part.get(key), str):
            continue
        if key == "dir" or text.endswith(".keras"):
            part[key] = str(folder / Path(text).expanduser())
    return values


def _override(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    place = values
    for section in sections:
        inner = place.get(section, {})
        if not isinstance(inner, dict):
            raise RecipeError(f"unknown key {key!r}: {section} is a value, not a section")
        place[section] = place = dict(inner)
    if key == "method.name" and isinstance(value, str):
        _keep_shared_settings(place, value)
    place[last] = value


def _keep_shared_settings(method: dict[str, Any], name: str) -> None:
    """Another method takes over the settings that it knows too, and drops the rest."""
    known = registry.load("methods", name).METHOD.model_fields
    for key in [k for k in method if k not in known]:
        del method[key]


def _check(values: dict[str, Any]) -> Recipe:
    recipe = build(Recipe, values)
    resolved = recipe.to_dict()
    for section in CHOSEN:
        chosen = choose(section, getattr(recipe, section))
        resolved[section] = {"name": resolved[section]["name"], **chosen.model_dump(exclude_none=True)}
    if "dir" in resolved["data"]:
        resolved["data"]["dir"] = str(Path(resolved["data"]["dir"]).expanduser().resolve())
    for role in ("teacher", "student"):
        resolved[role]["model"] = model_reference(resolved[role]["model"], f"{role}.model")
    return build(Recipe, resolved)
