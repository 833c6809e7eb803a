"""`suggest`: zoo models that fit a budget of the teacher's costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdcompress.api._recipe import default_out, naming_data, recipe_of
from kdcompress.api._verb import verb
from kdcompress.config.recipe import Recipe
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Suggestions
from kdcompress.trust import trusting_code

DEFAULT_MAX_FLOPS_RATIO = 0.1  # if no limit is set


@verb
def suggest(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    *,
    data: Any = None,
    classes: Sequence[str] | None = None,
    max_flops_ratio: float | None = None,
    max_params_ratio: float | None = None,
    data_dir: str | Path | None = None,
    teacher: str | Path | Any = None,
    settings: Mapping[str, Any] | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Suggestions:
    """Suggest students: the zoo models, at several widths, that fit a budget of the teacher's costs.

    Args:
        recipe: Name of a built-in recipe, recipe file, or values; by default mnist, or one made for `data`. Its student
            counts only for its outputs.
        data: Data in memory in place of the recipe's: (x, y), ((x_train, y_train), (x_test, y_test)) or a dict of NumPy
            arrays, as in an npz file; a pandas DataFrame of image paths and labels; a tf.data.Dataset or Hugging Face
            datasets.Dataset of images and labels; or {"train": ..., "test": ...} of these. They are written to the
            cache once.
        classes: Class names of `data`, in the order of the labels' numbers.
        max_flops_ratio: Limit on student / teacher FLOPs, above 0; 0.1 if no limit is set. MACs are compared where the
            teacher's FLOPs are unknown.
        max_params_ratio: Limit on student / teacher parameters, above 0.
        data_dir: Folder of the data set.
        teacher: Reference of a teacher, a Keras model in memory, or a list of them.
        settings: Further values by dotted key, which override all others.
        trust_code: Whether code that comes with the teacher may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        The models with their counted costs, those with most FLOPs first.

    Raises:
        UsageError: A limit is out of range, or needs costs of the teacher that are unknown.
        KDCompressError: The recipe would be refused.
    """
    from kdcompress.suggesting import suggest_students
    from kdcompress.verification.gates import Gates

    if max_flops_ratio is None and max_params_ratio is None:
        max_flops_ratio = DEFAULT_MAX_FLOPS_RATIO
    gates = Gates(max_params_ratio=max_params_ratio, max_flops_ratio=max_flops_ratio)
    listener = progress or Progress()
    student = "tiny_cnn" if recipe is None and data is not None else None  # a recipe has one; its costs do not count
    resolved = recipe_of(
        recipe, data=data, classes=classes, data_dir=data_dir, teacher=teacher, student=student, settings=settings,
        progress=listener,
    )  # fmt: skip
    with trusting_code(trust_code), naming_data(resolved, data):
        run = RunFolder(default_out(resolved))
        return Suggestions.of(suggest_students(resolved, run, gates, listener))
