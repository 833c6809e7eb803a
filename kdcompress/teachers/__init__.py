"""One file per kind of teacher, each defining TEACHER; the cache of their outputs in the underscored part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.errors import ModelError
from kdcompress.runs.integrity import check_integrity
from kdcompress.teachers._adapter import InputAdapter
from kdcompress.teachers._base import (
    N_INSPECTED,
    OutputSpec,
    TargetRows,
    Teacher,
    are_probabilities,
    check_output_count,
)
from kdcompress.teachers._check import assess_logits, check_on_samples, label_agreement, make_teacher_error
from kdcompress.teachers._ensemble import ConcatenatedTargets, EnsembleTargets, combine_logits
from kdcompress.teachers._targets import LOGITS, TARGETS, Targets, compute_targets, has_cached_targets, target_key


def open_teacher(path: Path, section: SingleTeacherSection, spec: OutputSpec, what: str) -> Teacher:
    """The teacher in a file or folder, of whatever kind; ModelError if it is of none, or does not answer."""
    kinds: list[type[Teacher]] = [registry.load("teachers", name) for name in registry.choices("teachers")]
    kind = next((one for one in kinds if one.owns(path)), None)
    if kind is None:
        raise ModelError(f"{what} is no model: it is neither a SavedModel folder nor a file with a known ending")
    check_integrity(path)
    return kind.open(path, section, spec, what)


def teacher_of_model(model: Any, section: SingleTeacherSection, spec: OutputSpec, what: str) -> Teacher:
    """The teacher that a Keras model in memory is; ModelError if it does not match the spec."""
    found: Teacher = registry.load("teachers", "keras").of_model(model, section, spec, what)
    return found


__all__ = [
    "LOGITS",
    "N_INSPECTED",
    "TARGETS",
    "ConcatenatedTargets",
    "EnsembleTargets",
    "InputAdapter",
    "OutputSpec",
    "TargetRows",
    "Targets",
    "Teacher",
    "are_probabilities",
    "assess_logits",
    "check_on_samples",
    "check_output_count",
    "combine_logits",
    "compute_targets",
    "has_cached_targets",
    "label_agreement",
    "make_teacher_error",
    "open_teacher",
    "target_key",
    "teacher_of_model",
]
