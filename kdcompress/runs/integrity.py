"""Integrity checks of files that belong to a run, against its manifest."""

from __future__ import annotations

from pathlib import Path

from kdcompress.config.recipe import Recipe, read_resolved_recipe
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import MANIFEST, RECIPE


def check_integrity(path: Path) -> None:
    """Check a model file against the manifest of the run that it is part of, if any.

    Args:
        path: Model file or folder.

    Raises:
        RunError: If the run's manifest records it and it is missing or changed.
    """
    absolute = path.absolute()
    for folder in list(absolute.parents)[:2]:
        run = RunFolder(folder)
        if (folder / MANIFEST).is_file() and run.is_or_was_run():
            run.check_file(absolute.relative_to(folder).as_posix())


def read_run_recipe(run: RunFolder) -> Recipe:
    """Read the resolved recipe of a run.

    Args:
        run: The run.

    Returns:
        The recipe.

    Raises:
        RunError: If the file changed after the run finished.
        RecipeError: If it is not a valid recipe.
    """
    run.has_file(RECIPE)
    return read_resolved_recipe(run / RECIPE)
