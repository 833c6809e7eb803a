"""The page of the command line, from the Typer application."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import typer
from schema_types import escape

from kdcompress.cli._app import app

PROGRAM = "kdcompress"
_VERBATIM = "\b"  # begins a paragraph whose line breaks stay


def commands() -> Iterator[tuple[str, Any]]:
    """Iterate over all commands, those of groups after their group.

    Yields:
        The whole name, such as `kdcompress data check`, and the command.
    """
    yield from _walk(PROGRAM, typer.main.get_command(app))


def page() -> str:
    """Write the page: purpose, usage, arguments and options of each command."""
    parts = ["# Command line", "The text of `kdcompress COMMAND --help`, generated from the program itself."]
    for name, command in commands():
        context = command.make_context(name, [], resilient_parsing=True)
        parts += [f"## {name}" if name != PROGRAM else "## The program", *_paragraphs(command.help or "")]
        parts.append(f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```")
        for kind, title in (("argument", "Argument"), ("option", "Option")):
            records = [parameter.get_help_record(context) for parameter in command.params if _is(parameter, kind)]
            parts.append(_table(title, [record for record in records if record]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    yield name, command
    for child, subcommand in getattr(command, "commands", {}).items():
        yield from _walk(f"{name} {child}", subcommand)


def _is(parameter: Any, kind: str) -> bool:
    return bool(parameter.param_type_name == kind and not getattr(parameter, "hidden", False))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        if not paragraph.strip().startswith(_VERBATIM):
            yield paragraph.strip()
            continue
        lines = [line for line in paragraph.replace(_VERBATIM, "").split("\n") if line.strip()]
        commands = [line.startswith((" ", PROGRAM)) for line in lines]
        for is_command, group in itertools.groupby(zip(commands, lines, strict=True), lambda pair: pair[0]):
            block = "\n".join(line.strip() for _, line in group)
            yield f"```bash\n{block}\n```" if is_command else block


def _table(title: str, records: list[tuple[str, str]]) -> str:
    rows = [f"| `{name}` | {escape(text)} |" for name, text in records]
    return "\n".join([f"| {title} | |", "|---|---|", *rows]) if rows else ""
