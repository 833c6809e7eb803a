"""The command line: one file per command, all printing in `_terminal`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code; `--debug` anywhere asks for tracebacks."""
    from kdcompress.cli._app import app, debug

    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug.on = len(arguments) < len(sys.argv) - 1
    app(arguments, prog_name="kdcompress")
