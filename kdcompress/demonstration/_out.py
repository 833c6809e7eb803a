"""The folder of a page: which one may be written, and what in it is ours."""

from __future__ import annotations

from pathlib import Path

from kdcompress.errors import RunError, UsageError
from kdcompress.files import read_json
from kdcompress.runs.artefacts import Artefacts

FACTS = "demo.json"
MADE_BY = "kdcompress demo"
_FILES = Artefacts.of(
    r"index\.html|style\.css|icon\.svg|demo\.json|app/[a-z-]+\.js|ort/[\w.-]+\.(mjs|wasm)|samples/[\w-]+\.bin"
    r"|models/[^/]+\.(onnx|data)",
    r"app|ort|samples|models",
)


def check_out(folder: Path) -> None:
    """Check that a page may be written to a folder: it is missing, empty, or holds an earlier page and nothing else.

    Args:
        folder: The folder.

    Raises:
        UsageError: It holds something else; nothing is changed.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} must be a folder for the page, and is a link or a file; name another --out")
    if not folder.is_dir() or not any(folder.iterdir()):
        if Path.cwd().is_relative_to(folder.resolve()):  # it is replaced as a whole
            raise UsageError(f"--out must be a folder of its own, got {folder}, the current one; name one in it")
        return
    if not _is_page(folder):
        raise UsageError(f"{folder} holds {min(folder.iterdir()).name} and no page of `{MADE_BY}`; name another --out")
    if others := _FILES.others(folder):
        raise UsageError(
            f"{folder} holds {others[0]}, which `{MADE_BY}` did not write; move it away, or name another --out"
        )


def clear(folder: Path) -> list[str]:
    """Delete an earlier page.

    Args:
        folder: Its folder.

    Returns:
        Relative paths of other files, which stay.
    """
    return _FILES.delete(folder, last=FACTS)


def _is_page(folder: Path) -> bool:
    try:
        return read_json(folder / FACTS, RunError, "").get("made_by") == MADE_BY
    except (OSError, RunError):
        return False
