"""Names of the files of a run, and the command that writes each of them."""

from __future__ import annotations

import re
from pathlib import Path

MANIFEST = "manifest.json"
RECIPE = "recipe.toml"
LOCK = ".lock"
LOG = "run.log"
HISTORY = "history.csv"
METRICS = "metrics.json"
CHECKPOINTS = "checkpoints"
OUTPUTS = "outputs"
EXPORTS = "exports"
STUDENTS = "students"
MACHINES = "machines"  # benchmarks of other machines, MACHINES/NAME.json
COMPRESSION = "compress.json"
QUANTIZATION = "quantization.json"
EXPLANATION = "explain.json"
TEST_OUTPUTS = f"{OUTPUTS}/test.npz"
VAL_OUTPUTS = f"{OUTPUTS}/val.npz"
DISAGREEMENTS = f"{OUTPUTS}/disagreements.npz"
CARD = "MODEL_CARD.md"  # which the user may edit: its checksum is not checked
MODELS = ("teacher.keras", "student.keras", "baseline.keras")
# The command that writes a file or folder; all others are written by `distill`
_COMMANDS = {
    "exports": "export",
    EXPLANATION: "export",
    "verify.json": "verify",
    "bench.json": "bench",
    "report.html": "report",
}
_EXPORT = re.compile(r"student-(?P<precision>\w+)(\.failed)?\.(?P<suffix>\w+)")


def remedy(name: str, folder: Path) -> str:
    """Describe how to write a damaged file of a run again.

    Args:
        name: Path relative to the run folder.
        folder: The run folder.

    Returns:
        The command, as part of an error message.
    """
    first, _, rest = name.partition("/")
    command, source = _COMMANDS.get(first), source_of(folder)
    if first == MACHINES:
        machine = Path(rest).stem
        return f"`kdcompress bench {source} --forget {machine}` drops it, --import {rest} puts it there again"
    if command is None and is_student(folder):
        return f"`kdcompress compress {folder.parent.parent}` with its options and --fresh makes it anew"
    if command is None:
        return "`kdcompress distill --fresh` makes the run anew"
    options = " --explain" if name == EXPLANATION else ""
    if command == "export" and (made := _EXPORT.match(rest)):
        options = f" --format {made['suffix'].replace('_', '-')} --precision {made['precision']}"
    return f"`kdcompress {command} {source}{options}` makes it again"


def source_of(folder: Path) -> str:
    """Return how a command names a run or a compressed student.

    Args:
        folder: The run folder.
    """
    return f"{folder.parent.parent}:{folder.name}" if is_student(folder) else str(folder)


def named(folder: Path) -> Path:
    """Return a folder by a path that ends in its name, which `.` and `..` do not.

    Args:
        folder: The folder.
    """
    return folder if folder.name not in ("", "..") else folder.resolve()


def is_student(folder: Path) -> bool:
    """Return whether a run folder is that of a compressed student, inside the run of the first one.

    A folder that merely lies in one called `students`, such as a run of the user's own naming, is none.

    Args:
        folder: The folder.
    """
    return folder.parent.name == STUDENTS and (folder.parent.parent / MANIFEST).is_file()
