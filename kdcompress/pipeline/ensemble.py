"""The teachers of a run as one model: their combined outputs and targets, and checks of their accuracy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    Labeller,
    Targets,
    Teacher,
    assess_logits,
    check_on_samples,
    combine_logits,
    compute_targets,
    join_targets,
    label_agreement,
    make_teacher_error,
)


@dataclass(frozen=True)
class TeacherEnsemble:
    """One teacher, or several whose outputs are averaged.

    Attributes:
        teachers: The teachers.
        sections: Settings of each teacher.
        recipe: The recipe.
        method: The method, bound to the data's classes.
        role: teacher, or assistant, of one that is trained in the run.
    """

    teachers: tuple[Teacher, ...]
    sections: tuple[SingleTeacherSection, ...]
    recipe: Recipe
    method: Method
    role: str = "teacher"

    @property
    def names(self) -> list[str]:
        """`teacher`, or `teacher-1`, `teacher-2`, ..."""
        return role_names(self.role, len(self.teachers))

    def predict(self, samples: Samples) -> NDArray[np.float32]:
        """Compute the combined outputs of the teachers.

        Args:
            samples: Samples of the data.

        Returns:
            Shape (n, head); see `class_logits`.
        """
        logits = [teacher.predict(samples) for teacher in self.teachers]
        return logits[0] if len(logits) == 1 else combine_logits(logits, self._weights, self.recipe.teacher.combine)

    def class_logits(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert outputs to class logits.

        Args:
            outputs: Shape (n, head).

        Returns:
            Shape (n, classes).
        """
        if self.method.plain:
            return outputs
        return np.asarray(self.method.for_teacher().class_logits(outputs), np.float32)

    def compute_targets(
        self,
        samples: Samples,
        fingerprint: str,
        views: ViewsSection,
        progress: Progress,
        labeller: Callable[[SingleTeacherSection], Labeller],
    ) -> Targets:
        """Compute the combined targets of the teachers, or read them from the cache.

        Args:
            samples: Samples to label.
            fingerprint: SHA-256 of the samples.
            views: The views of each sample.
            progress: Listener.
            labeller: Returns who computes the targets of a teacher.

        Returns:
            The targets.

        Raises:
            TargetsError: Names the sample whose outputs are not finite.
        """
        pairs = list(zip(self.teachers, self.sections, strict=True))
        return join_targets(
            [
                self._combine(
                    [
                        compute_targets(teacher, samples, fingerprint, views, progress, labeller(section), target)
                        for teacher, section in pairs
                    ]
                )
                for target in self.method.wants or (LOGITS,)
            ]
        )

    def _combine(self, members: Sequence[Targets]) -> Targets:
        """Combine the targets of one kind of all teachers; an embedding is of one teacher."""
        if len(members) == 1:
            return members[0]
        rows = EnsembleTargets([member.logits for member in members], self._weights, self.recipe.teacher.combine)
        key = json_digest([[member.key for member in members], self._weights, self.recipe.teacher.combine])
        cached, seconds = all(member.cached for member in members), sum(member.seconds for member in members)
        return Targets({LOGITS: rows}, cached, seconds, key)

    def check(self, split: Split, classes: Sequence[str]) -> Iterator[str]:
        """Check the accuracy of each teacher on some training images; logits of a zoo model are all checked later.

        Args:
            split: The split of the data.
            classes: Names of the data's classes.

        Yields:
            Warnings.

        Raises:
            TargetsError: A teacher is no better than chance, or its classes are in another order.
        """
        for teacher, section in zip(self.teachers, self.sections, strict=True):
            is_zoo = registry.contains("models", section.model)
            judged_later = is_zoo and (LOGITS in self.method.wants or section.weights == "none")
            if not self.recipe.teacher.check or judged_later:
                continue
            if warning := check_on_samples(teacher, split.train, classes, self.class_logits):
                yield warning

    def check_labels(self, targets: Targets, split: Split, classes: Sequence[str]) -> tuple[float, str | None]:
        """Compare targets with the training labels.

        Args:
            targets: Targets of the training images.
            split: The split of the data.
            classes: Names of the data's classes.

        Returns:
            (accuracy in [0, 1], a warning if it is low).

        Raises:
            TargetsError: As for `check`, or a zoo teacher was trained too little.
        """
        agreement, assessment = label_agreement(targets.logits, split.train, classes, self.class_logits)
        is_assistant = self.role != "teacher"
        trained = is_assistant or all(registry.contains("models", section.model) for section in self.sections)
        checked = self.recipe.teacher.check and all(section.weights != "none" for section in self.sections)
        if checked and not assessment.is_sound and not trained:
            raise make_teacher_error(self.teachers[0], assessment, classes, None)
        if checked and trained and not assessment.is_informative:
            raise TargetsError(
                f"{self.role} {', '.join(section.model for section in self.sections)} is right on "
                f"{assessment.summary} of the training images: "
                f"it was trained too little (epochs and learning_rate of {self.role}.training or its stages); "
                "teacher.check = false goes on"
            )
        warning = f"the {self.role} is right on no more of the training images than {assessment.summary}"
        return agreement, warning if assessment.is_weak else None

    def check_on_test(
        self, logits: NDArray[np.float32], labels: NDArray[np.int64], classes: Sequence[str]
    ) -> str | None:
        """Compare class logits on test with the labels.

        Args:
            logits: Shape (n, classes).
            labels: Class indices (n,).
            classes: Names of the data's classes.

        Returns:
            A warning if the teacher is no better than chance on test.
        """
        assessment = assess_logits(logits, labels, len(classes))
        if assessment.is_informative or not self.recipe.teacher.check:
            return None
        return (
            f"on test the teacher is right on {assessment.summary}, no better than chance: are its answers "
            "those to these images?"
        )

    @property
    def _weights(self) -> list[float]:
        return [section.weight if isinstance(section, MemberSection) else 1.0 for section in self.sections]


def role_names(role: str, count: int) -> list[str]:
    """Name the models of a role.

    Args:
        role: teacher or assistant.
        count: Their number.

    Returns:
        `teacher` for a single one, otherwise `teacher-1`, `teacher-2`, ...
    """
    return [role] if count == 1 else [f"{role}-{number}" for number in range(1, count + 1)]
