"""Members of a teacher ensemble inherit the settings of [teacher]."""

from __future__ import annotations

from typing import Any

from kdcompress import registry
from kdcompress.config import initialization
from kdcompress.config.sections import SingleTeacherSection


def inherit_teacher_settings(teacher: Any) -> None:
    """Copy settings of [teacher] into each member that does not set them, in place.

    Args:
        teacher: The section's plain values, not yet validated; anything but a section with `members` stays as it is.
    """
    if isinstance(teacher, dict) and isinstance(teacher.get("members"), list | tuple):
        shared = {
            key: value for key, value in teacher.items() if key in SingleTeacherSection.model_fields and key != "model"
        }
        teacher["members"] = [
            _with_shared_settings(shared, member) if isinstance(member, dict) else member
            for member in teacher["members"]
        ]


def _with_shared_settings(shared: dict[str, Any], member: dict[str, Any]) -> dict[str, Any]:
    is_zoo = registry.contains("models", member.get("model"))  # whose preprocessing is part of the model
    supported = {
        *initialization.initialization_settings(str(member.get("model"))),
        *(() if is_zoo else ("preprocessing",)),
    }
    optional = ("preprocessing", *initialization.SETTINGS)
    merged = {**{key: value for key, value in shared.items() if key not in optional or key in supported}, **member}
    if isinstance(shared.get("training"), dict) and isinstance(member.get("training"), dict):
        merged["training"] = {**shared["training"], **member["training"]}
    return merged
