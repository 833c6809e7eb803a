"""The application: its commands, and the conversion of errors to one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import Any

import typer

from kdcompress._version import __version__
from kdcompress.cli import (
    _documents,
    bench,
    bundle,
    cache,
    compress,
    data,
    demo,
    distill,
    export,
    init,
    list,
    predict,
    report,
    suggest,
    sweep,
    verify,
)
from kdcompress.cli._printable import printable
from kdcompress.errors import KDCompressError
from kdcompress.missing import missing_package

_OS_RULES = {
    errno.ENOSPC: "no space left on the disk; free some, then run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space, then run the same command again",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied",
    errno.EFBIG: "the file grows past what the system allows",
}


class _Debug:
    on = False


debug = _Debug()


class _Group(typer.core.TyperGroup):
    """Converts our own errors, errors of the operating system and Ctrl-C to one line on stderr and an exit code."""

    json = False  # whether the command prints JSON

    def main(self, args: Any = None, *rest: Any, **settings: Any) -> Any:
        self.json = "--json" in (sys.argv[1:] if args is None else args)
        _documents.reset()
        return super().main(args, *rest, **settings)

    def make_context(self, *args: Any, **settings: Any) -> Any:
        try:
            return super().make_context(*args, **settings)
        except Exception as exc:
            self._document_usage(exc)
            raise

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KDCompressError as exc:
            told = missing_package(exc, str(ctx.invoked_subcommand)) or exc
            self._fail(str(told), told.exit_code, exc, told.kind)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as exc:
            name = exc.filename2 or exc.filename  # filename2 is the target of a rename
            prefix = f"{name}: " if name else ""
            self._fail(f"{prefix}{_OS_RULES.get(exc.errno or 0, exc.strerror or exc)}", 1, exc, "system")
        except KeyboardInterrupt:
            message = "interrupted; what is finished is kept, give the same command again to go on"
            if self.json:
                _documents.print_failure("interrupted", message)
            print(f"\nkdcompress: {message}", file=sys.stderr)
            raise typer.Exit(130) from None
        except Exception as exc:
            if type(exc).__module__.split(".")[0] in ("typer", "click"):
                self._document_usage(exc)
                raise  # wrong usage and exits are handled by typer
            if error := missing_package(exc, str(ctx.invoked_subcommand)):
                self._fail(str(error), error.exit_code, exc, error.kind)
            self._fail(f"unexpected {type(exc).__name__}: {exc}; --debug shows where", 1, exc, "unexpected")

    def _fail(self, text: str, code: int, exc: BaseException, kind: str) -> None:
        if debug.on:
            traceback.print_exception(exc)
        message = " ".join(text.split())
        if self.json:
            _documents.print_failure(kind, message)
        print(f"kdcompress: {printable(message)}", file=sys.stderr)
        raise typer.Exit(code) from None

    def _document_usage(self, exc: Exception) -> None:
        """Print the document of wrong usage, which typer then tells on stderr."""
        if self.json and hasattr(exc, "format_message"):
            _documents.print_failure("usage", exc.format_message())


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(requested: bool) -> None:
    if requested:
        print(f"kdcompress {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Distil a big image classifier into a small one that is proven.

    Results go to stdout, progress and notes to stderr; with --json stdout is one JSON document. Exit codes: 0 done,
    1 failed, 2 wrong usage, 3 a gate or a parity check failed, 130 interrupted (the same command goes on). --debug,
    anywhere, shows tracebacks.
    """


app.command("distill")(distill.distill)
app.command("compress", cls=compress.CompressCommand)(compress.compress)
app.command("verify")(verify.verify)
app.command("export")(export.export)
app.command("bench")(bench.bench)
app.command("bundle")(bundle.bundle)
app.command("report")(report.report)
app.command("demo")(demo.demo)
app.command("suggest")(suggest.suggest)
app.command("sweep")(sweep.sweep)
app.command("predict")(predict.predict)
app.command("list")(list.list_choices)
app.command("init")(init.init)
app.command("cache")(cache.cache)
app.add_typer(data.app, name="data")
