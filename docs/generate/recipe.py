"""The page of the recipe, from the pydantic models of its sections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docstrings import attributes, description
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from schema_types import describe_type, escape, format_value

from kdcompress import registry
from kdcompress.config.assistants import AssistantSection
from kdcompress.config.choices import REGISTRY_OF
from kdcompress.config.cluster import ClusterSection
from kdcompress.config.compress import CompressSection
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import (
    MemberSection,
    PreprocessingSection,
    SplitSection,
    StudentSection,
    TeacherSection,
    UnlabelledSection,
    ViewsSection,
)
from kdcompress.config.training import StageSection, TrainingSection

# In the order of the page; what stands for a name or number in a key is in capitals
SECTIONS: dict[str, type[BaseModel]] = {
    "": Recipe,
    "split": SplitSection,
    "unlabelled": UnlabelledSection,
    "views": ViewsSection,
    "teacher": TeacherSection,
    "teacher.preprocessing": PreprocessingSection,
    "teacher.members.N": MemberSection,
    "student": StudentSection,
    "assistant": AssistantSection,
    "training": TrainingSection,
    "training.stages.N": StageSection,
    "compress": CompressSection,
    "cluster": ClusterSection,
}
_LINKED = {
    "assistant": "section, or a list of sections, with the keys of [`assistant`](#assistant)",
    "superclasses": "names of classes by the name of the new class",
    "constants": "numbers, true or false, by name",
    "training": "section, with the keys of [`training`](#training)",
    "members": "list of sections, [`teacher.members`](#teachermembersn)",
    "stages": "list of sections, [`training.stages`](#trainingstagesn)",
}
_INTRODUCTION = """# Recipe

A recipe is a TOML file that holds everything that decides a run. `kdcompress init` writes one with comments,
`kdcompress list recipes` shows those that are built in. Each key below can be overridden by `--set KEY=VALUE`, such as
`--set training.learning_rate=0.0005` or `--set training.stages.0.epochs=3`. Unknown keys and values out of range are
refused.

This page is generated from the classes that validate recipes. A default of "none" means that the key is left out."""


def page() -> str:
    """Write the page: every key with its type, limits, default and meaning."""
    parts = [_INTRODUCTION]
    for name, section in SECTIONS.items():
        parts += [f"## {name or 'Top level'}", description(section), table(section, name)]
    for name, registered in REGISTRY_OF.items():
        parts += [*_choices("observers.NAME" if name == "observers" else name, registered)]
    return "\n\n".join(parts) + "\n"


def _choices(key: str, registered: str) -> Iterator[str]:
    names = registry.choices(registered)
    yield f"## {key}"
    yield f"`{key}.name` is one of " + ", ".join(f"`{name}`" for name in names) + ", or `package.module:Class`."
    for name in names:
        choice = registry.load(registered, name)
        yield f"### {key.partition('.')[0]}: {name}"
        yield f"{registry.describe(registered, name)}"
        yield table(choice, key)


def table(section: type[BaseModel], prefix: str) -> str:
    """Write the table of the keys of a section; members of a teacher have their further keys alone."""
    texts = attributes(section) | {
        name: field.description for name, field in section.model_fields.items() if field.description
    }
    properties = section.model_json_schema()["properties"] if section.model_fields else {}
    inherited = TeacherSection.model_fields if section is MemberSection else {}
    rows = []
    for name, field in section.model_fields.items():
        if name in inherited:
            continue
        key = f"{prefix}.{name}" if prefix else name
        kind = _LINKED.get(name) or _linked(key) or describe_type(properties[name])
        rows.append(f"| `{key}` | {kind} | {_default(field, key)} | {escape(texts[name])} |")
    return "\n".join(["| key | type and range | default | meaning |", "|---|---|---|---|", *rows]) if rows else ""


def _linked(key: str) -> str:
    names = {"observers": "observers.NAME"}
    target = names.get(key, key)
    if target not in SECTIONS and target not in (*REGISTRY_OF, "observers.NAME"):
        return ""
    return f"section, [`{key}`](#{target.replace('.', '').lower()})"


def _default(field: Any, key: str) -> str:
    value = field.default_factory() if field.default_factory else field.default
    if value is PydanticUndefined:
        return "required"
    if value is None or isinstance(value, BaseModel) or value in ({}, ()):
        return "none" if value is None else ""
    return format_value(value["name"] if key == "method" else value)
