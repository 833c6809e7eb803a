"""Initial weights that two models of a run share without anyone having asked for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from kdcompress import registry
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import ModelSection


def same_start_warnings(recipe: Recipe, seeds: Iterable[int]) -> Iterator[str]:
    """Warn about models of one architecture and one seed, which a born-again network should not be.

    Args:
        recipe: The recipe.
        seeds: Seeds of the student.

    Yields:
        A warning for each pair of roles.
    """
    starts: list[tuple[str, str, ModelSection, int]] = []
    for teacher in recipe.teacher.teachers:
        if registry.contains("models", teacher.model) and teacher.weights == "train":
            starts.append(("teacher", "teacher.seed", teacher, teacher.seed))
    if recipe.method.needs_targets:
        starts += [("assistant", "assistant.seed", one, one.seed) for one in recipe.assistants]
    starts += [("student", "seed", recipe.student, seed) for seed in seeds]
    for first, second in itertools.combinations(starts, 2):
        (role, key, one, seed), (other_role, _, other, other_seed) = first, second
        if (one.model, one.initialization, seed) == (other.model, other.initialization, other_seed):
            yield (
                f"{role} and {other_role} are both {one.model} and start from the same weights (seed {seed}); as two "
                f"models they need two seeds, such as --set {key}={seed + 100}"
            )
