"""Escaping of text for terminals: file names may contain escape sequences, bidirectional marks or invalid bytes."""

from __future__ import annotations

import unicodedata

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


def printable_json(document: str) -> str:
    """Escape the same characters in a JSON document, by JSON's own escapes.

    Args:
        document: A JSON document.

    Returns:
        An equivalent document; line ends are kept.
    """
    if document.isascii():
        return document
    return "".join(char if char == "\n" or not _must_escape(char) else _escape_for_json(char) for char in document)


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
