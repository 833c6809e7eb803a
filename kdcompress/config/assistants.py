"""The `assistant` section of a recipe: models between teacher and student, which inherit the student's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, ValidationInfo

from kdcompress.config.choices import Choice, make_choice
from kdcompress.config.limits import MAX_PARTS
from kdcompress.config.sections import ModelSection
from kdcompress.config.training import TrainingSection

if TYPE_CHECKING:
    from kdcompress.methods import Method
else:  # loaded by the registry: packages above this one are not imported by name
    Method = Choice


def _make_method(settings: Any, info: ValidationInfo) -> Any:
    from_run = bool(info.context and info.context["from_run"])
    return None if settings is None else make_choice("method", settings, from_run, "assistant.method")


_ToSettings = PlainSerializer(lambda method: None if method is None else method.to_dict())
_DEFAULT_METHOD = {"name": "hinton"}


class AssistantSection(ModelSection):
    """A model between teacher and student: it is distilled from the one before it, and teaches the one behind it.

    Attributes:
        seed: Seed of its initial weights and of the order of its batches.
        training: Its training; by default that of the student. Keys that are not set are the student's, but for stages.
        method: Its distillation method; by default the recipe's. Keys that are not set are the recipe's.
    """

    seed: int = Field(0, ge=0, lt=2**32)
    training: TrainingSection | None = None
    method: Annotated[Method | None, PlainValidator(_make_method), _ToSettings] = None


def _as_list(value: Any) -> Any:
    """A single section as a list, and an empty list as None."""
    if not isinstance(value, Mapping | AssistantSection | list | tuple | None):
        raise ValueError("is a section, or a list of sections")
    if value is None or (isinstance(value, list | tuple) and not value):
        return None
    return (value,) if isinstance(value, Mapping | AssistantSection) else value


def _as_written(sections: tuple[AssistantSection, ...] | None) -> Any:
    """A single section, as one writes it, or a list of them."""
    if sections is None:
        return None
    plain = [section.model_dump(mode="json", exclude_none=True) for section in sections]
    return plain[0] if len(plain) == 1 else plain


Assistants = Annotated[
    Annotated[tuple[AssistantSection, ...], Field(max_length=MAX_PARTS)] | None,
    BeforeValidator(_as_list),
    PlainSerializer(_as_written),
]


def inherit_student_settings(values: dict[str, Any]) -> None:
    """Complete `training` and `method` of each assistant with those of the student, in place.

    Args:
        values: Plain values of the recipe, not yet validated; anything but a section stays as it is.
    """
    students = {"training": values.get("training"), "method": values.get("method", _DEFAULT_METHOD)}
    for _, assistant in assistant_values(values):
        for key, shared in students.items():
            own = assistant.get(key)
            if not (isinstance(own, dict) and isinstance(shared, dict)):
                continue
            if key == "training":  # the layers of its stages are those of another model
                shared = {name: value for name, value in shared.items() if name != "stages"}
            elif own.get("name", shared.get("name")) != shared.get("name"):
                continue
            assistant[key] = {**shared, **own}


def assistant_values(values: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the plain values of each assistant with its dotted key.

    Args:
        values: Plain values of a recipe, not yet validated.
    """
    found = values.get("assistant")
    if isinstance(found, dict):
        return [("assistant", found)]
    items = found if isinstance(found, list | tuple) else ()
    return [(f"assistant.{index}", item) for index, item in enumerate(items) if isinstance(item, dict)]
