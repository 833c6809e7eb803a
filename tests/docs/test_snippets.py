"""Commands, recipes and programs that the documentation shows are ones that kdcompress takes."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from kdcompress.cli._app import app
from kdcompress.config.reading import read_values
from kdcompress.config.recipe import Recipe, resolve

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *ROOT.glob("examples/*/README.md"), *ROOT.glob("docs/pages/**/*.md")])
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_LINK = re.compile(r"(?:\]\(|src=\")([^)\s\"#:]+)(?:#[^)\s\"]*)?[)\"]")


def blocks(language: str) -> list[Any]:
    """The blocks of a language in all documents, as parameters of a test."""
    return [
        pytest.param(text, id=f"{path.relative_to(ROOT)}-{number}")
        for path in DOCUMENTS
        for number, (kind, text) in enumerate(_BLOCK.findall(path.read_text(encoding="utf-8")))
        if kind == language
    ]


def commands() -> Iterator[Any]:
    """The commands in all blocks, as parameters of a test."""
    for path in DOCUMENTS:
        lines = "\n".join(text for _, text in _BLOCK.findall(path.read_text(encoding="utf-8"))).replace("\\\n", " ")
        for line in re.findall(r"^(?:\$ |\s*- run: )?(kdcompress [a-z].*)$", lines, re.M):
            yield pytest.param(line, id=f"{path.relative_to(ROOT)}: {line[:50]}")


@pytest.mark.parametrize("line", commands())
def test_a_command_is_one(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(app)
    words = words[: words.index(">")] if ">" in words else words
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(command.name, words)
    if command.name in ("distill", "sweep"):
        assert not context.args


@pytest.mark.parametrize("text", [block for block in blocks("toml") if "entry-points" not in block.values[0]])
def test_a_part_of_a_recipe_is_valid(text: str) -> None:
    values = {**read_values("mnist"), **tomllib.loads(text)}
    if values["teacher"].keys() == {"preprocessing"}:
        values["teacher"]["model"] = "big.onnx"
    assert isinstance(resolve(values, files=False), Recipe)


@pytest.mark.parametrize("text", blocks("python"))
def test_a_program_is_one(text: str) -> None:
    compile(text, "documentation", "exec")


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 120
    assert [link for link in _LINK.findall(text) if not (ROOT / link).exists()] == []


def test_every_guide_is_in_the_readme() -> None:
    links = _LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    for path in ROOT.glob("docs/pages/guides/*.md"):
        assert path.relative_to(ROOT).as_posix() in links
