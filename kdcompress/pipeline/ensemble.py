"""The teachers of a run as one: asked, averaged, and shown to know what they teach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcompress import registry
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import MemberSection, SingleTeacherSection, ViewsSection
from kdcompress.data import Samples, Split
from kdcompress.digests import json_digest
from kdcompress.errors import TargetsError
from kdcompress.methods import Method
from kdcompress.progress import Progress
from kdcompress.teachers import (
    LOGITS,
    EnsembleTargets,
    Targets,
    Teacher,
    assess_logits,
    check_on_samples,
    combine_logits,
    compute_targets,
    label_agreement,
    make_teacher_error,
)


@dataclass(frozen=True)
class TeacherEnsemble:
    """One teacher, or several that answer as one."""

    teachers: tuple[Teacher, ...]
    sections: tuple[SingleTeacherSection, ...]
    recipe: Recipe
    method: Method

    @property
    def names(self) -> list[str]:
        """`teacher`, or `teacher-1`, `teacher-2`, ..."""
        return names_of(len(self.teachers))

    def predict(self, samples: Samples) -> NDArray[np.float32]:
        """The outputs (n, head) for all samples: class logits, or what the method's class logits are made of."""
        return self._combined([teacher.predict(samples) for teacher in self.teachers])

    def read(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The class logits (n, classes) that outputs stand for."""
        reading = self.method.for_teacher()
        return outputs if self.method.plain else np.asarray(reading.class_logits(outputs), np.float32)

    def compute_targets(self, samples: Samples, fingerprint: str, views: ViewsSection, progress: Progress) -> Targets:
        """The logits of all views of `samples`, each teacher's from the cache or computed now."""
        found = [compute_targets(teacher, samples, fingerprint, views, progress) for teacher in self.teachers]
        if len(found) == 1:
            return found[0]
        rows = EnsembleTargets([one.logits for one in found], self._weights, self.recipe.teacher.combine)
        key = json_digest([[one.key for one in found], self._weights, self.recipe.teacher.combine])
        cached, seconds = all(one.cached for one in found), sum(one.seconds for one in found)
        return Targets({LOGITS: rows}, cached, seconds, key)

    def check(self, split: Split, classes: Sequence[str]) -> Iterator[str]:
        """Try each teacher on some images, and give the warnings.

        Errors: TargetsError if one knows them no better than chance.
        """
        for teacher, section in zip(self.teachers, self.sections, strict=True):
            if not self.recipe.teacher.check or section.model in registry.choices("models"):
                continue  # a zoo model has its scaling inside
            if warning := check_on_samples(teacher, split.train, classes, self.read):
                yield warning

    def check_labels(self, targets: Targets, split: Split, classes: Sequence[str]) -> tuple[float, str | None]:
        """The fraction of the training labels that the targets agree with, and a warning if that is little.

        Errors: TargetsError as for `check`.
        """
        agree, assessment = label_agreement(targets.logits, split.train, classes, self.read)
        trained = all(section.model in registry.choices("models") for section in self.sections)
        asked = self.recipe.teacher.check and all(section.weights != "none" for section in self.sections)
        if asked and not assessment.is_sound and not trained:
            raise make_teacher_error(self.teachers[0], assessment, classes, None)
        if asked and trained and not assessment.is_informative:
            raise TargetsError(
                f"teacher {self.recipe.teacher.display_name} is right on {assessment.summary} of the training images: "
                "it was trained too little (epochs and learning_rate of teacher.training or its stages); "
                "teacher.check = false goes on"
            )
        little = f"the teacher is right on no more of the training images than {assessment.summary}"
        return agree, little if assessment.is_weak else None

    def doubt_on_test(
        self, logits: NDArray[np.float32], labels: NDArray[np.int64], classes: Sequence[str]
    ) -> str | None:
        """A warning if a teacher that knows the training images is no better than chance on test."""
        assessment = assess_logits(logits, labels, len(classes))
        if assessment.is_informative or not self.recipe.teacher.check:
            return None
        return (
            f"on test the teacher is right on {assessment.summary}, no better than chance: are its answers "
            "those to these images?"
        )

    def _combined(self, logits: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        if len(logits) == 1:
            return logits[0]
        return combine_logits(logits, self._weights, self.recipe.teacher.combine)

    @property
    def _weights(self) -> list[float]:
        return [section.weight if isinstance(section, MemberSection) else 1.0 for section in self.sections]


def names_of(count: int) -> list[str]:
    """What the teachers of a run are called."""
    return ["teacher"] if count == 1 else [f"teacher-{number}" for number in range(1, count + 1)]
