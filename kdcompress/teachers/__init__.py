"""One file per kind of teacher; the cache of their outputs in the underscored part."""

from kdcompress.teachers._base import LOOK_AT, Teacher, are_probabilities
from kdcompress.teachers._targets import Targets, label, labelled, target_key

__all__ = ["LOOK_AT", "Targets", "Teacher", "are_probabilities", "label", "labelled", "target_key"]
