"""The order of the steps, in which none undoes what an earlier one won."""

from __future__ import annotations

from kdcompress.compression._base import Compressed
from kdcompress.errors import RecipeError

_LOST = {
    "channels": "cutting channels afterwards changes the number of zeros and clusters, and loses the trained integers",
    "prune": "new zeros afterwards change the clusters, and lose the trained integers",
    "cluster": "new values afterwards lose the trained integers",
    "qat": "the integers are trained already",
}
ORDER = tuple(_LOST)


def check_order(step: str, student: Compressed) -> None:
    """Check that a step does not undo an earlier one.

    Args:
        step: Name of the step that is to follow.
        student: The student with the facts of its earlier steps.

    Raises:
        RecipeError: A later step of the order is done already.
    """
    done = [name for name in ORDER if name in student.facts]
    if student.quantization is not None and "qat" not in done:
        done.append("qat")
    undone = [name for name in done if ORDER.index(name) > ORDER.index(step) or name == step == "qat"]
    if undone:
        raise RecipeError(
            f"compress takes its steps in the order {', '.join(ORDER)}, got {step} after {', '.join(undone)}: "
            f"{_LOST[step]}; compress the student before that, with all steps in one command"
        )
