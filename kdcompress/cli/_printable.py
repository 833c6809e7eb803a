"""Text as a terminal may show it: names from files may hold escape sequences, marks that turn a line round, or bytes
that are no text."""

from __future__ import annotations

import unicodedata

_KEPT = "\t\u200c\u200d"  # tabs, and the joiners that words of some languages need
# Control characters, those that are not shown but change what is (bidirectional marks), halves of characters (bytes of
# a file's name that are not UTF-8), and what ends a line or a paragraph
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def printable(text: str) -> str:
    """The text with every character that does more than show itself as an escape (\\x1b, \\u202e); tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(letter) for letter in text)


def printable_json(document: str) -> str:
    """A JSON document with the same characters as JSON's own escapes: it says the same, and its line ends stay."""
    if document.isascii():
        return document
    return "".join(letter if letter == "\n" or not _is_hidden(letter) else _in_json(letter) for letter in document)


def _is_hidden(letter: str) -> bool:
    return letter not in _KEPT and unicodedata.category(letter) in _HIDDEN


def _escaped(letter: str) -> str:
    if not _is_hidden(letter):
        return letter
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # the byte itself
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _in_json(letter: str) -> str:
    pairs = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pairs[i]:02x}{pairs[i + 1]:02x}" for i in range(0, len(pairs), 2))
