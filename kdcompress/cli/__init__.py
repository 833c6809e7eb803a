"""The command line: one file per command, all printing in `_terminal`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its code; `--debug` anywhere asks for tracebacks."""
    from kdcompress.cli._app import app, debug

    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug.on = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments, prog_name="kdcompress")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if "tensorflow" in sys.modules and not debug.on:
            # TensorFlow complains on fd 2 while the interpreter shuts down; everything of ours is said by now.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
