"""The command line, with one module per command; all output goes through `_terminal`."""

from __future__ import annotations

import io
import os
import sys


def main() -> None:
    """Run the command line and exit with its code. `--debug` at any position enables tracebacks."""
    from kdcompress.missing import missing_package

    try:
        from kdcompress.cli._app import app, debug
    except ImportError as exc:
        if error := missing_package(exc, "the command line"):
            sys.exit(f"kdcompress: {error}")
        raise
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a console of cp1252 or ASCII has no letter for most names
            stream.reconfigure(errors="backslashreplace")
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug.on = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments, prog_name="kdcompress")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if "tensorflow" in sys.modules and not debug.on:
            # TensorFlow writes messages to fd 2 while the interpreter shuts down; our own output is complete by now
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
