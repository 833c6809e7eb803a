"""Outputs of teachers: their number and their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
        raise ModelError(
            f"{name} has {n_outputs} classes, the data has {n_classes} classes; "
            f"it must end in (batch, {n_classes}) logits{hint}"
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
