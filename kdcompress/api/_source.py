"""Sources of the public functions: a run, a path, or a Keras model in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.errors import DataError, UsageError
from kdcompress.missing import naming_packages
from kdcompress.notebook import quiet_libraries
from kdcompress.progress import Progress
from kdcompress.remote import local_path
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import MANIFEST
from kdcompress.runs.schemas import RunResult
from kdcompress.runs.students import find_student, judged_student
from kdcompress.trust import trusting_code
from kdcompress.urls import is_url, show_url


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: Run folder.
        result: Metrics and costs, as `kdcompress distill --json` prints them.
        resumed: Whether the run had been finished before.
    """

    path: Path
    result: RunResult
    resumed: bool = False

    def _repr_html_(self) -> str | None:
        return self.result._repr_html_()

    def student(self, trust_code: bool = False) -> Any:
        """Load the trained student.

        Args:
            trust_code: Whether code that comes with the run may be executed, which a student of a custom class needs.

        Returns:
            A Keras model from pixels (n, H, W, C) of 0 to 255 to logits (n, classes).

        Raises:
            ModelError: The student cannot be opened, or needs code that is not trusted.
            RunError: Its file is missing or has changed.
        """
        from kdcompress.pipeline.reopening import open_model

        with naming_packages("the student"), quiet_libraries(), trusting_code(trust_code):
            return open_model(RunFolder(self.path), "student")


def reference_of(model: Any) -> str | None:
    """Convert a model to the reference by which a recipe names it.

    Args:
        model: Zoo name, path, `module:function`, or a Keras model in memory, of which a copy is put into the cache.

    Returns:
        The reference; None for None.
    """
    if model is None or isinstance(model, str | Path):
        return None if model is None else str(model)
    from kdcompress.models import cache_model

    return str(cache_model(model))


@dataclass(frozen=True)
class InMemory:
    """A model in memory.

    Attributes:
        model: The model, of Keras or of another kind that `verify` counts.
        name: Its name in messages.
    """

    model: Any
    name: str


def data_folder(data_dir: str | Path | None, progress: Progress | None = None) -> Path | None:
    """Check the folder that data have been moved to.

    Args:
        data_dir: The folder, or its URL; None if they were not moved.
        progress: Listener.

    Returns:
        The folder, or the copy of it.

    Raises:
        DataError: It does not exist.
    """
    if data_dir is None:
        return None
    path = local_path(str(data_dir), progress)
    if not path.exists():
        raise DataError(f"data folder {data_dir} does not exist")
    return path


def resolve_source(
    source: str | Path | Run | Any, judged: bool = True, progress: Progress | None = None
) -> RunFolder | Path | InMemory:
    """Resolve the source of a public function.

    Args:
        source: A run or its folder, RUN:NAME of a compressed student, a model file, `module:function`, or a Keras model
            in memory.
        judged: Whether a run whose recipe has a section `compress` stands for the student that this makes.
        progress: Listener of what is copied from a URL.

    Returns:
        A run folder, the path of a model file, or a model in memory.

    Raises:
        UsageError: The path does not exist, or is neither a run folder nor a model.
        ModelError: `module:function` fails.
    """
    if isinstance(source, Run):
        return RunFolder(judged_student(source.path) if judged else source.path)
    if not isinstance(source, str | Path):
        return InMemory(source, str(getattr(source, "name", "model")))
    if isinstance(source, str) and is_url(source):
        return _model_at(source, progress)
    path = judged_student(source) if judged else find_student(source)
    if not path.exists():
        if ":" in str(source):
            return _call_function(str(source))
        raise UsageError(f"{path} does not exist; name a run folder, a model file, or module:function")
    if not path.is_dir() or (path / "saved_model.pb").is_file() or _is_exported_folder(path):
        return path
    if RunFolder(path).is_run():
        return RunFolder(path)
    runs = sorted(item.name for item in path.iterdir() if item.is_dir() and RunFolder(item).is_or_was_run())
    hint = f"; runs in it: {', '.join(runs)}" if runs else ""
    raise UsageError(f"{path} is neither a run folder nor a model{hint}")


def _model_at(url: str, progress: Progress | None) -> Path:
    path = local_path(url, progress)
    if (path / MANIFEST).exists():
        raise UsageError(f"{show_url(url)} is a run, which results are written into: copy it to this machine first")
    return path


def _is_exported_folder(path: Path) -> bool:
    from kdcompress.exporting import find_format

    found = find_format(path)
    return found is not None and bool(found.contents)


def _call_function(reference: str) -> InMemory:
    from kdcompress.models import call_function

    return InMemory(call_function(reference, "model"), reference.partition(":")[2])
