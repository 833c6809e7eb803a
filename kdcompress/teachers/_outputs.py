"""Outputs of teachers: their number and their names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.errors import ModelError, RecipeError
from kdcompress.teachers._spec import OutputSpec

if TYPE_CHECKING:
    from kdcompress.teachers._base import Teacher

N_INSPECTED = 64  # images whose outputs are inspected to tell probabilities from logits


def check_output_count(teacher: Teacher, spec: OutputSpec) -> None:
    """Check that a teacher gives the required number of outputs per image.

    Args:
        teacher: The teacher; one with a single output for two classes is marked as such.
        spec: Required outputs.

    Raises:
        ModelError: The number differs.
        RecipeError: The recipe orders classes, while the method needs subclass logits.
    """
    name, n_outputs, n_classes = teacher.description, teacher.count_outputs(), len(spec.classes)
    ordered = teacher.adapter.section.classes
    if spec.n_outputs != n_classes:
        if n_outputs != spec.n_outputs:
            raise ModelError(
                f"{name} has {n_outputs} outputs, and a subclass student learns from {spec.n_outputs} subclass logits; "
                "take a teacher that is trained for it (teacher.model = a zoo name), or another method"
            )
        if ordered is not None:
            raise RecipeError("teacher.preprocessing.classes orders classes, and the method wants subclasses")
        return
    if ordered is not None and len(ordered) != max(n_outputs, 2):
        raise ModelError(f"{name} has {n_outputs} classes, teacher.preprocessing.classes names {len(ordered)}")
    if n_outputs == 1 and n_classes == 2:
        teacher.single_output = True
        return
    if ordered is None and n_outputs != n_classes:
        hint = "; name its outputs in teacher.preprocessing.classes" if n_outputs > n_classes else ""
        hint += ", or set teacher.probe = true if they are an embedding" if hint else ""
        raise ModelError(
            f"{name} has {n_outputs} classes, the data has {n_classes} classes; "
            f"it must end in (batch, {n_classes}) logits{spec.merging or hint}"
        )


def select_name(names: Sequence[str], selected: str | None, description: str, key: str) -> str:
    """Select one of the inputs or outputs of a model.

    Args:
        names: Names of all inputs or outputs.
        selected: The name in the recipe; None selects the only one.
        description: Name of the model in messages.
        key: The recipe's key, teacher.input or teacher.output.

    Returns:
        The selected name.

    Raises:
        ModelError: There is none of this name, or there are several and none is selected.
    """
    side = "inputs" if key == "teacher.input" else "outputs"
    if selected is not None:
        if selected not in names:
            raise ModelError(f"{key}: {description} has no {selected!r} among its {side}; it has {', '.join(names)}")
        return selected
    if len(names) != 1:
        raise ModelError(f"{description} has {len(names)} {side} ({', '.join(names)}); name the one to use with {key}")
    return names[0]


def output_name(section: SingleTeacherSection, names: Collection[str] | None = None) -> str | None:
    """The output that a recipe selects: the embedding, where that is one and a network that gets a head needs no other.

    Args:
        section: Settings of the teacher.
        names: Names of all outputs; by default, embeddings are always outputs.
    """
    is_output = names is None or section.embedding in names
    return section.embedding if section.output is None and section.probe and is_output else section.output


def check_constants(others: Mapping[str, str], constants: Collection[str], image: str, description: str) -> None:
    """Check that exactly the inputs other than the image have values.

    Args:
        others: Types of the inputs other than the image, by name.
        constants: Names with a value in the recipe.
        image: Name of the input for images.
        description: Name of the model in messages.

    Raises:
        ModelError: An input has no value, or a value no input.
    """
    for name in constants:
        if name not in others:
            raise ModelError(f"teacher.constants.{name}: {description} has no such input beside {image}")
    for name, kind in others.items():
        if name not in constants:
            raise ModelError(f"{description} also takes {name} ({kind}); give it a value with teacher.constants.{name}")
