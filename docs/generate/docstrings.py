"""Parts of docstrings in Google style."""

from __future__ import annotations

import inspect
from typing import Any

from griffe import Docstring, DocstringSectionKind


def description(kind: type[Any]) -> str:
    """Return the text of a class's docstring above its sections."""
    texts = [section.value for section in _sections(kind) if section.kind is DocstringSectionKind.text]
    return texts[0] if texts else ""


def attributes(kind: type[Any]) -> dict[str, str]:
    """Return the descriptions of attributes by name, from the docstrings of a class and its bases."""
    return {
        attribute.name: attribute.description
        for base in reversed(kind.__mro__)
        for section in _sections(base)
        if section.kind is DocstringSectionKind.attributes
        for attribute in section.value
    }


def _sections(kind: type[Any]) -> list[Any]:
    # Types stand in annotations, which the parser does not see here and would warn about
    return Docstring(inspect.cleandoc(kind.__doc__ or ""), parser="google").parse(warnings=False)
