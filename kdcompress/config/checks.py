"""Checks of a recipe that go beyond one section: its teachers, its paths and the files that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from kdcompress.config import initialization
from kdcompress.config.references import check_exists, check_model_reference, to_path
from kdcompress.config.sections import ModelSection
from kdcompress.config.settings import Section
from kdcompress.errors import RecipeError
from kdcompress.urls import check_url, is_url

if TYPE_CHECKING:
    from kdcompress.config.assistants import AssistantSection
    from kdcompress.config.recipe import Recipe

S = TypeVar("S", bound=Section)
M = TypeVar("M", bound=ModelSection)


def check_teachers(recipe: Recipe) -> None:
    """Check that a recipe has one teacher or an ensemble.

    Args:
        recipe: The recipe.

    Raises:
        RecipeError: It has both, or neither.
    """
    if bool(recipe.teacher.model) == bool(recipe.teacher.members):
        problem = "both are there" if recipe.teacher.model else "neither is there"
        raise RecipeError(f"a recipe has one teacher.model, or several teacher.members with a model each; {problem}")


def check_files(recipe: Recipe) -> None:
    """Check that the model and weights files of a recipe exist.

    Args:
        recipe: The recipe, with absolute paths.

    Raises:
        RecipeError: A file is missing.
    """
    teacher_key = "teacher.members.{}" if recipe.teacher.members else "teacher"
    sections: dict[str, ModelSection] = {"student": recipe.student}
    sections |= {teacher_key.format(index): teacher for index, teacher in enumerate(recipe.teacher.teachers)}
    sections |= keyed_assistants(recipe)
    for key, section in sections.items():
        check_exists(section.model, f"{key}.model")
        check_exists(section.initialization.weights_file or "", f"{key}.pretrained")


def resolve_paths(recipe: Recipe) -> Recipe:
    """Make the paths of a recipe absolute and check its model references and initializations.

    Args:
        recipe: The recipe.

    Returns:
        A copy with absolute paths.

    Raises:
        RecipeError: A path, reference or initialization is invalid.
    """
    data = _resolve_data_paths(recipe.data, "data")
    unlabelled = recipe.unlabelled and _resolve_data_paths(recipe.unlabelled, "unlabelled")
    teacher, members = recipe.teacher, recipe.teacher.members
    if members:
        resolved = [_resolve_model(member, f"teacher.members.{index}") for index, member in enumerate(members)]
        teacher = teacher.model_copy(update={"members": tuple(resolved)})
    else:
        teacher = _resolve_model(teacher, "teacher")
    student = _resolve_model(recipe.student, "student")
    assistants = tuple(_resolve_model(section, key) for key, section in keyed_assistants(recipe).items()) or None
    sections = {
        "data": data, "unlabelled": unlabelled, "teacher": teacher, "student": student, "assistant": assistants,
    }  # fmt: skip
    return recipe.model_copy(update=sections)


def keyed_assistants(recipe: Recipe) -> dict[str, AssistantSection]:
    """Return the assistants of a recipe by their dotted keys.

    Args:
        recipe: The recipe.
    """
    assistants = recipe.assistants
    if len(assistants) == 1:
        return {"assistant": assistants[0]}
    return {f"assistant.{index}": section for index, section in enumerate(assistants)}


def _resolve_data_paths(section: S, name: str) -> S:
    paths: dict[str, str] = {}
    for key in getattr(section, "PATHS", ()):
        if (text := getattr(section, key)) is not None:
            where = f"{name}.{key}"
            paths[key] = check_url(text, where, RecipeError) if is_url(text) else str(to_path(text, where).resolve())
    return section.model_copy(update=paths) if paths else section


def _resolve_model(section: M, key: str) -> M:
    role = "teacher" if key.startswith("teacher") else "student"  # an assistant is trained, as a student is
    model = check_model_reference(section.model, f"{key}.model", role)
    if section.pretrained not in initialization.PRETRAINED and not is_url(section.pretrained):
        to_path(section.pretrained, f"{key}.pretrained")
    resolved = section.model_copy(update={"model": model})
    return resolved.model_copy(update={"pretrained": initialization.check_initialization(resolved, key)})
