"""The versions that a result depends on."""

from __future__ import annotations

import sys

from kdcompress._version import __version__


def versions(*more: str) -> dict[str, str]:
    """The versions that a result depends on, by package, `more` beside those that every result does."""
    from importlib.metadata import version

    names = ("tensorflow", "keras", "numpy", "scikit-learn", *more)
    return {"kdcompress": __version__, "python": sys.version.split()[0], **{name: version(name) for name in names}}
