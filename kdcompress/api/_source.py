"""What a verb may be given: a run, a path, or a Keras model in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.errors import UsageError
from kdcompress.run import RunFolder


@dataclass(frozen=True)
class Run:
    """A finished run: its folder and its result, the document that `kdcompress distill --json` prints."""

    path: Path
    result: dict[str, Any]
    resumed: bool = False

    def student(self) -> Any:
        """The trained student, a Keras model from raw pixels (n, H, W, C), 0 to 255, to logits (n, classes)."""
        from kdcompress.models import load_saved_model

        return load_saved_model(self.path / "student.keras")


def reference_of(model: Any) -> str | None:
    """The text by which a recipe names a model; of one in memory the cache keeps a copy."""
    if model is None or isinstance(model, str | Path):
        return None if model is None else str(model)
    from kdcompress.models import keep_model

    return str(keep_model(model))


def source_of(source: str | Path | Run | Any) -> tuple[Path, RunFolder | None]:
    """The path behind what a verb is given, and the run folder if it is one."""
    if isinstance(source, Run):
        return source.path, RunFolder(source.path)
    path = Path(reference_of(source) or "").expanduser()
    if not path.exists():
        raise UsageError(f"{path} does not exist; name a run folder or a model file")
    if path.is_dir() and RunFolder(path).begun():
        return path, RunFolder(path)
    return path, None
