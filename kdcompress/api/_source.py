"""What a verb may be given: a run, a path, or a Keras model in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.errors import UsageError
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import RunResult
from kdcompress.trust import trusting_code


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        path: The run folder.
        result: What was found, as `kdcompress distill --json` prints it.
        resumed: Whether the run was there already.
    """

    path: Path
    result: RunResult
    resumed: bool = False

    def student(self, trust_code: bool = False) -> Any:
        """The trained student, a Keras model from raw pixels (n, H, W, C), 0 to 255, to logits (n, classes).

        `trust_code` lets code run that came with the run, which a student of a class of its own needs.
        """
        from kdcompress.pipeline.reopening import open_model

        with trusting_code(trust_code):
            return open_model(RunFolder(self.path), "student")


def reference_of(model: Any) -> str | None:
    """The text by which a recipe names a model; of one in memory the cache keeps a copy."""
    if model is None or isinstance(model, str | Path):
        return None if model is None else str(model)
    from kdcompress.models import cache_model

    return str(cache_model(model))


@dataclass(frozen=True)
class InMemory:
    """A Keras model that is no file, and what to call it."""

    model: Any
    name: str


def source_of(source: str | Path | Run | Any) -> RunFolder | Path | InMemory:
    """What a verb is given: a run folder, a model file, or a model in memory or from `module:function`.

    Errors: UsageError for a path that does not exist, and for a folder of runs; ModelError from `module:function`.
    """
    if isinstance(source, Run):
        return RunFolder(source.path)
    if not isinstance(source, str | Path):
        return InMemory(source, str(getattr(source, "name", "model")))
    path = Path(source).expanduser()
    if not path.exists():
        if ":" in str(source):
            return _called(str(source))
        raise UsageError(f"{path} does not exist; name a run folder, a model file, or module:function")
    if not path.is_dir() or (path / "saved_model.pb").is_file():
        return path
    if RunFolder(path).is_run():
        return RunFolder(path)
    inside = sorted(item.name for item in path.iterdir() if item.is_dir() and RunFolder(item).is_or_was_run())
    hint = f"; runs in it: {', '.join(inside)}" if inside else ""
    raise UsageError(f"{path} is neither a run folder nor a model{hint}")


def _called(reference: str) -> InMemory:
    from kdcompress.models import load_from_function

    return InMemory(load_from_function(reference, "model"), reference.partition(":")[2])
