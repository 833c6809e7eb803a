"""Versions of the packages that a result depends on."""

from __future__ import annotations

import sys

from kdcompress._version import __version__


def versions(*packages: str) -> dict[str, str]:
    """Collect the versions of kdcompress, Python and the packages that every result depends on.

    Args:
        *packages: Further installed packages.

    Returns:
        Version by package.
    """
    from importlib.metadata import version

    names = ("tensorflow", "keras", "numpy", "scikit-learn", *packages)
    return {"kdcompress": __version__, "python": sys.version.split()[0], **{name: version(name) for name in names}}
