"""What files call themselves cannot steer a terminal."""

from __future__ import annotations

import io
import json
import logging

import pytest

from kdcompress.cli._printable import printable, printable_json
from kdcompress.cli._terminal import Terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\rc\x00", r"a\x0ab\x0dc\x00"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\x9b31m", r"\x9b31m"),
        ("caf\udce9.png", r"caf\xe9.png"),
        ("\u2028\u2066x\u2069", r"\u2028\u2066x\u2069"),
        ("\U000e0041", r"\U000e0041"),
        ("Köln, 東京, می‌خواهم, 👩‍🔬\t1", "Köln, 東京, می‌خواهم, 👩‍🔬\t1"),
    ],
)
def test_what_does_more_than_show_itself_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_json_says_the_same_in_its_own_escapes() -> None:
    value = {"name": "\x1b[2J\u202e\x9b\udce9 Köln \U000e0041", "list": [1, "\u2028"]}
    document = printable_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert json.loads(document) == value
    assert "Köln" in document
    assert not {"\x1b", "\u202e", "\x9b", "\udce9", "\u2028"} & set(document)
    document.encode()


def test_the_terminal_shows_a_name_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="kdcompress")  # workers of pytest-xdist cannot send lone surrogates
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal(out, err)
    for show in (terminal.result, terminal.progress.note, terminal.progress.warn, terminal.failure):
        show("x\n\x1b[1Ay\udcff")
    lines = (out.getvalue() + err.getvalue()).splitlines()
    assert len(lines) == 4
    assert all(line.endswith(r"x\x0a\x1b[1Ay\xff") for line in lines)
