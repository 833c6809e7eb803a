"""Writing the report of a run, and saying what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.errors import RunError
from kdcompress.files import read_text, write_text
from kdcompress.paths import safe_join
from kdcompress.progress import Progress
from kdcompress.reporting import _card, _headline, _page
from kdcompress.reporting._facts import PAGE, Facts, gather
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import CARD

_STEPS = (("verified", "verify"), ("exports", "export"), ("bench", "bench"))


def report_run(run: RunFolder, out: Path, progress: Progress) -> dict[str, Any]:
    """Write the page and the card of a run into `out`; the document that `kdcompress report --json` prints.

    Errors: RunError for a file that is not what the run wrote.
    """
    facts = gather(run)
    missing = [verb for attribute, verb in _STEPS if not getattr(facts, attribute)]
    if facts.metrics and missing:
        commands = ", ".join(f"`kdcompress {verb} {facts.folder}`" for verb in missing)
        progress.note(f"not in the report yet, and which command brings it: {commands}")
    write_text(out / PAGE, _page.render(facts))
    _write_card(facts, safe_join(out, CARD, str(out), RunError), progress)
    return {
        "run": facts.folder,
        "report": str(out / PAGE),
        "model_card": str(out / CARD),
        "finished": facts.metrics is not None,
        "missing": missing,
        "ratios": _headline.ratios(facts),
        "metrics": facts.measures,
        "comparison": facts.comparison if facts.measures else None,
    }


def _write_card(facts: Facts, path: Path, progress: Progress) -> None:
    former = read_text(path, RunError, "move it away") if path.exists() else None
    card = _card.render(facts, former)
    if card is None:
        progress.warn(
            f"{path} is left as it is: its marks of what is yours are gone; delete it to have it written anew"
        )
    else:
        write_text(path, card)
