"""Versions of the packages that a result depends on."""

from __future__ import annotations

import sys

from kdcompress._version import __version__


def versions(*packages: str) -> dict[str, str]:
    """Collect the versions of kdcompress, Python and the packages that every result depends on.

    Args:
        *packages: Further installed packages.

    Returns:
        Version by package; packages that are not installed, as on a device, are left out.
    """
    names = ("tensorflow", "keras", "numpy", "scikit-learn", *packages)
    installed = {name: version for name in names if (version := _version(name)) is not None}
    return {"kdcompress": __version__, "python": sys.version.split()[0], **installed}


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
