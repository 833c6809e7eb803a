"""Teachers: opening of model files as teachers, checks of their outputs, ensembles, and the target cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.errors import ModelError
from kdcompress.runs.integrity import check_integrity
from kdcompress.teachers._adapter import InputAdapter, make_input_adapter
from kdcompress.teachers._assessment import Assessment, assess_logits
from kdcompress.teachers._base import Teacher
from kdcompress.teachers._check import check_on_samples, label_agreement, make_teacher_error
from kdcompress.teachers._common_preprocessing import is_distorted
from kdcompress.teachers._embedding import Classifier, Embedder
from kdcompress.teachers._ensemble import ConcatenatedTargets, EnsembleTargets, combine_logits
from kdcompress.teachers._labelling import EMBEDDING, LOGITS, TARGETS, Labelled, Labeller, Labelling
from kdcompress.teachers._outputs import N_INSPECTED, check_constants, check_output_count, output_name, select_name
from kdcompress.teachers._reading import OutputReading, are_probabilities, inspect_outputs, with_both_classes
from kdcompress.teachers._shards import PLAN, Piece, Shard, cut, delete_shard, missing_pieces, read_shard, write_shard
from kdcompress.teachers._spec import OutputSpec, RowIndex, Selection, TargetRows
from kdcompress.teachers._stored import METADATA_KEY, read_stored, storable, stored_note, with_stored
from kdcompress.teachers._targets import (
    ONE_PROCESS,
    Targets,
    compute_targets,
    has_cached_targets,
    join_targets,
    target_key,
)


def open_teacher(path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> Teacher:
    """Open a file or folder of any registered kind as a teacher.

    Args:
        path: The file or folder.
        section: Settings of the teacher.
        spec: Images and outputs that are required.
        description: Name of the teacher in messages.

    Returns:
        The teacher.

    Raises:
        ModelError: The file is of no registered kind, is damaged, or does not match `spec`.
        RunError: It belongs to a run whose manifest records another checksum.
    """
    kind = next((kind for kind in _kinds() if kind.owns(path)), None)
    if kind is None:
        raise ModelError(f"{description} is no model: it is neither a SavedModel folder nor a file with a known ending")
    check_integrity(path)
    teacher = kind.open(path, section, spec, description)
    teacher.section, teacher.spec = section, spec
    return teacher


def teacher_of_model(model: Any, section: SingleTeacherSection, spec: OutputSpec, description: str) -> Teacher:
    """Make a teacher of a model in memory.

    Args:
        model: A model of any registered kind: a Keras model, or a torch.nn.Module.
        section: Settings of the teacher.
        spec: Images and outputs that are required.
        description: Name of the teacher in messages.

    Returns:
        The teacher.

    Raises:
        ModelError: The model is of no registered kind, or does not match `spec`.
    """
    kind = next((kind for kind in _kinds() if kind.owns_model(model)), None)
    if kind is None:
        raise ModelError(
            f"{description} is of type {type(model).__name__}; it must be a Keras 3 model or a torch.nn.Module"
        )
    teacher = kind.of_model(model, section, spec, description)
    teacher.section, teacher.spec = section, spec
    return teacher


def _kinds() -> list[type[Teacher]]:
    return [registry.load("teachers", name) for name in registry.choices("teachers")]


__all__ = [
    "EMBEDDING",
    "LOGITS",
    "METADATA_KEY",
    "N_INSPECTED",
    "ONE_PROCESS",
    "PLAN",
    "TARGETS",
    "Assessment",
    "Classifier",
    "ConcatenatedTargets",
    "Embedder",
    "EnsembleTargets",
    "InputAdapter",
    "Labelled",
    "Labeller",
    "Labelling",
    "OutputReading",
    "OutputSpec",
    "Piece",
    "RowIndex",
    "Selection",
    "Shard",
    "TargetRows",
    "Targets",
    "Teacher",
    "are_probabilities",
    "assess_logits",
    "check_constants",
    "check_on_samples",
    "check_output_count",
    "combine_logits",
    "compute_targets",
    "cut",
    "delete_shard",
    "has_cached_targets",
    "inspect_outputs",
    "is_distorted",
    "join_targets",
    "label_agreement",
    "make_input_adapter",
    "make_teacher_error",
    "missing_pieces",
    "open_teacher",
    "output_name",
    "read_shard",
    "read_stored",
    "select_name",
    "storable",
    "stored_note",
    "target_key",
    "teacher_of_model",
    "with_both_classes",
    "with_stored",
    "write_shard",
]
