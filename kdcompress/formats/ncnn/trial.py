"""A first run of an ncnn folder, in a process of its own: ncnn ends the process where a graph does not fit together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from kdcompress import processes
from kdcompress.errors import ExportError, ModelError

_TIMEOUT_S = 600.0


def try_run(path: Path) -> None:
    """Run a folder on one image in a fresh process.

    Args:
        path: The folder.

    Raises:
        ExportError: The process fails, or does not end.
    """
    job = {"path": str(path.resolve())}
    try:
        code, _, last = processes.run_job(__name__, job, timeout_s=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        code, last = 1, f"no end within {_TIMEOUT_S:g} s"
    if code != 0:
        reason = f"signal {-code}" if code < 0 else last
        raise ExportError(f"ncnn cannot run what pnnx made of this network ({reason}); export another --format")


def _run(path: Path) -> None:
    from kdcompress.formats.ncnn.model import NcnnNet

    net = NcnnNet(path, threads=1)
    net(np.zeros((1, *net.shape), np.float32))


if __name__ == "__main__":
    _job, _ = processes.receive_job()
    try:
        _run(Path(_job["path"]))
    except ModelError as exc:
        sys.exit(str(exc))
