"""Files that a run vouches for, read by whoever comes across them: checked first."""

from __future__ import annotations

from pathlib import Path

from kdcompress.config.recipe import Recipe, read_resolved
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.manifest import MANIFEST
from kdcompress.runs.names import RECIPE


def check_integrity(path: Path) -> None:
    """RunError if a model file or folder lies in a run that vouches for it, and is not as the run wrote it."""
    absolute = path.absolute()
    for folder in list(absolute.parents)[:2]:
        run = RunFolder(folder)
        if (folder / MANIFEST).is_file() and run.is_or_was_run():
            run.check_file(absolute.relative_to(folder).as_posix())


def read_run_recipe(run: RunFolder) -> Recipe:
    """The recipe that a run was begun with; RunError if it has changed since the run finished, RecipeError."""
    run.has_file(RECIPE)
    return read_resolved(run / RECIPE)
