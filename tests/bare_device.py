"""A Python environment that has NumPy and a runtime and nothing else, as a device does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

ONNXRUNTIME = ("onnxruntime", "flatbuffers")


def make(folder: Path, *packages: str) -> Path:
    """An environment with links to some of the packages that are installed here.

    Args:
        folder: Where it is made.
        *packages: Names of top-level packages.

    Returns:
        Its Python.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    for name in packages:
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"{name} is not installed"
        assert spec.origin is not None
        source = Path(spec.origin).parent
        (site / name).symlink_to(source, target_is_directory=True)
        libraries = source.with_name(f"{name}.libs")
        if libraries.is_dir():
            (site / libraries.name).symlink_to(libraries, target_is_directory=True)
    return folder / "bin" / "python"
