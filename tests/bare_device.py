"""Python environments that have what pip would install for some packages and nothing else, as a device does."""

from __future__ import annotations

import re
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def make(folder: Path, *requirements: str) -> Path:
    """An environment with links to packages that are installed here.

    Args:
        folder: Where it is made.
        *requirements: What pip would be asked for; what it needs in turn is linked, too.

    Returns:
        Its Python.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    site = site_of(folder)
    for package in _with_what_they_need(requirements):
        entries = {file.parts[0] for file in package.files or () if file.parts[0] not in ("..", "__pycache__")}
        for entry in entries:
            if not (site / entry).exists():  # several packages may have modules in one folder
                (site / entry).symlink_to(Path(str(package.locate_file(entry))))
    return folder / "bin" / "python"


def site_of(folder: Path) -> Path:
    """The folder of the packages of an environment."""
    (site,) = folder.glob("lib/python*/site-packages")
    return site


def _with_what_they_need(requirements: tuple[str, ...]) -> list[metadata.Distribution]:
    waiting, found = [Requirement(name) for name in requirements], dict[str, metadata.Distribution]()
    while waiting:
        required = waiting.pop()
        name = re.sub(r"[-_.]+", "-", required.name).lower()
        if name not in found and (required.marker is None or required.marker.evaluate({"extra": ""})):
            found[name] = metadata.distribution(name)
            waiting += map(Requirement, found[name].requires or ())
    return list(found.values())
