"""Writes the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.errors import RunError
from kdcompress.files import read_text, write_text
from kdcompress.paths import safe_join
from kdcompress.progress import Progress
from kdcompress.reporting import _card, _headline, _page
from kdcompress.reporting._run_data import PAGE, RunData, load_run_data
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import CARD

_STEPS = (("verified", "verify"), ("exports", "export"), ("bench", "bench"))


def report_run(folder: RunFolder, out: Path, progress: Progress) -> dict[str, Any]:
    """Write the HTML page and the model card of a run.

    Args:
        folder: Folder of the run.
        out: Folder to write into.
        progress: Receives a note about steps that are missing.

    Returns:
        The document that `kdcompress report --json` prints.

    Raises:
        RunError: A file differs from what the run wrote.
    """
    run = load_run_data(folder)
    missing = [verb for attribute, verb in _STEPS if not getattr(run, attribute)]
    if run.metrics and missing:
        commands = ", ".join(f"`kdcompress {verb} {run.folder}`" for verb in missing)
        progress.note(f"not in the report yet; these commands add it: {commands}")
    write_text(out / PAGE, _page.render(run))
    _write_card(run, safe_join(out, CARD, str(out), RunError), progress)
    return {
        "run": run.folder,
        "report": str(out / PAGE),
        "model_card": str(out / CARD),
        "finished": run.metrics is not None,
        "missing": missing,
        "ratios": _headline.ratios(run),
        "metrics": run.test_metrics,
        "comparison": run.comparison if run.test_metrics else None,
    }


def _write_card(run: RunData, path: Path, progress: Progress) -> None:
    previous = read_text(path, RunError, "move it away") if path.exists() else None
    card = _card.render(run, previous)
    if card is None:
        progress.warn(
            f"{path} is left as it is: the comments that mark your own section are gone; delete the file to have it "
            "written again"
        )
    else:
        write_text(path, card)
