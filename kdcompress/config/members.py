"""The members of an ensemble of teachers: each says what is different in it."""

from __future__ import annotations

from typing import Any

from kdcompress import registry
from kdcompress.config import initialization
from kdcompress.config.sections import SingleTeacherSection


def inherit_teacher_settings(teacher: Any) -> None:
    """What stands in [teacher] counts for each of its members that does not say otherwise."""
    if isinstance(teacher, dict) and isinstance(teacher.get("members"), list | tuple):
        shared = {
            key: value for key, value in teacher.items() if key in SingleTeacherSection.model_fields and key != "model"
        }
        teacher["members"] = [_heir(shared, one) if isinstance(one, dict) else one for one in teacher["members"]]


def _heir(shared: dict[str, Any], member: dict[str, Any]) -> dict[str, Any]:
    is_zoo = member.get("model") in registry.choices("models")  # which has its preprocessing inside
    own = {*initialization.initialization_settings(str(member.get("model"))), *(() if is_zoo else ("preprocessing",))}
    special = ("preprocessing", *initialization.SETTINGS)
    heir = {**{key: value for key, value in shared.items() if key not in special or key in own}, **member}
    if isinstance(shared.get("training"), dict) and isinstance(member.get("training"), dict):
        heir["training"] = {**shared["training"], **member["training"]}
    return heir
