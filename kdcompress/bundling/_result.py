"""The result of a bundle, as it comes back from a device."""

from __future__ import annotations

import zipfile
from pathlib import Path

from kdcompress.errors import RunError, UsageError
from kdcompress.files import parse_json, read_json
from kdcompress.runs import machines
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Benchmark

MAX_BYTES = 16 << 20
_REMEDY = "measure it again"


def keep_result(run: RunFolder, content: bytes, machine: str, origin: str) -> Benchmark:
    """Check the result of a bundle, and keep it in the run.

    Args:
        run: Folder of the run; the caller holds its lock.
        content: The result, as the device wrote it; untrusted.
        machine: Name of the machine.
        origin: Where the result is from, for errors.

    Returns:
        The benchmark.

    Raises:
        UsageError: The machine's name is invalid.
        RunError: The result is damaged, or of other files than the run has now.
    """
    if len(content) > MAX_BYTES:
        raise RunError(f"{origin} is damaged ({len(content):,} bytes are too many for it); {_REMEDY}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise RunError(f"{origin} is damaged (no UTF-8 text: {exc.reason} at byte {exc.start}); {_REMEDY}") from exc
    return machines.keep_result(run, parse_json(text, origin, RunError, _REMEDY), machine, origin)


def import_result(run: RunFolder, path: Path, machine: str | None) -> Benchmark:
    """Check the file that a bundle wrote on another machine, and keep it in the run.

    Args:
        run: Folder of the run; the caller holds its lock.
        path: The file, NAME.json; untrusted.
        machine: Name of the machine; by default that of the file.

    Returns:
        The benchmark.

    Raises:
        UsageError: There is no such file, or the machine's name is invalid.
        RunError: The file is damaged, or of other files than the run has now.
    """
    if not path.is_file():
        problem = "is no file" if path.exists() else "does not exist"
        raise UsageError(f"{path} {problem}; --import takes the NAME.json that a bundle wrote on the machine")
    if zipfile.is_zipfile(path):
        raise UsageError(
            f"{path} is a bundle and no result; --import takes the {path.stem}.json that `python3 {path.name}` writes "
            "on the machine"
        )
    name = machine if machine is not None else path.stem
    return machines.keep_result(run, read_json(path, RunError, _REMEDY), name, str(path))
