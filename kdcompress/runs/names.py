"""What the files of a run are called, and which command makes each anew."""

from __future__ import annotations

import re
from pathlib import Path

RECIPE = "recipe.toml"
LOCK = ".lock"
LOG = "run.log"
HISTORY = "history.csv"
METRICS = "metrics.json"
CHECKPOINTS = "checkpoints"
OUTPUTS = "outputs"
EXPORTS = "exports"
TEST_OUTPUTS = f"{OUTPUTS}/test.npz"
VAL_OUTPUTS = f"{OUTPUTS}/val.npz"
DISAGREEMENTS = f"{OUTPUTS}/disagreements.npz"
CARD = "MODEL_CARD.md"  # in which the user writes, too: no run vouches for it
MODELS = ("teacher.keras", "student.keras", "baseline.keras")
# Which command writes a file again; all others are of `distill`, which makes a whole run
_MAKERS = {
    "exports": "export",
    "verify.json": "verify",
    "bench.json": "bench",
    "report.html": "report",
}
_EXPORT = re.compile(r"student-(?P<precision>\w+)(\.failed)?\.(?P<suffix>\w+)")


def remedy(name: str, folder: Path) -> str:
    """Which command makes a file of a run anew."""
    room, _, rest = name.partition("/")
    command = _MAKERS.get(room)
    if command is None:
        return "`kdcompress distill --fresh` makes the run anew"
    options = ""
    if command == "export" and (made := _EXPORT.match(rest)):
        options = f" --format {made['suffix'].replace('_', '-')} --precision {made['precision']}"
    return f"`kdcompress {command} {folder}{options}` makes it again"
