"""Escaping of text for terminals: file names may contain escape sequences, bidirectional marks or invalid bytes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdcompress.progress import Progress

_ALLOWED = "\t\u200c\u200d"  # tabs, and the joiners that some languages need
# Unicode categories: control characters, format characters such as bidirectional marks, surrogates (bytes of file names
# that are not UTF-8), line and paragraph separators
_ESCAPED_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")


def printable(text: str) -> str:
    """Escape the characters of a text that a terminal would interpret.

    Args:
        text: Any text.

    Returns:
        The text with escapes such as \\x1b and \\u202e; tabs are kept.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(char) for char in text)


def printable_json(document: str, encoding: str = "utf-8") -> str:
    """Escape the same characters, and those that a console lacks, in a JSON document as JSON does.

    Args:
        document: The document, which says the same afterwards; its line ends stay.
        encoding: Encoding of the console.

    Returns:
        The document, every character of which can be encoded.
    """
    if document.isascii():
        return document
    return "".join(char if char == "\n" or _is_shown(char, encoding) else _escape_for_json(char) for char in document)


def _is_shown(char: str, encoding: str) -> bool:
    if _must_escape(char):
        return False
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def warn_names_not_utf8(names: Iterable[str], path: Path, progress: Progress) -> None:
    """Warn about names whose bytes a file in UTF-8 cannot hold.

    Args:
        names: Names of files.
        path: The file that was written.
        progress: Receives the warning.
    """
    others = [name for name in names if not name.isascii() and any("\ud800" <= char <= "\udfff" for char in name)]
    if others:
        progress.warn(
            f"file names that are not UTF-8: {len(others):,}, the first is {others[0]}; {path} is UTF-8, and their "
            "bytes stand in it as \\xNN; rename the files to find them by it"
        )


def _must_escape(char: str) -> bool:
    return char not in _ALLOWED and unicodedata.category(char) in _ESCAPED_CATEGORIES


def _escape(char: str) -> str:
    if not _must_escape(char):
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # the byte itself
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_for_json(char: str) -> str:
    pairs = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pairs[i]:02x}{pairs[i + 1]:02x}" for i in range(0, len(pairs), 2))
