"""`kdcompress compress`."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import typer

from kdcompress.cli._compression import describe_step, print_compression
from kdcompress.cli._terminal import TRUST, Terminal, log_of, working

_ENGINES = ("native", "tfmot", "none")


class CompressCommand(typer.core.TyperCommand):
    """The command, whose option --qat has a value that may be left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Add the value of --qat where it is missing."""
        following = itertools.chain(args[1:], [""])
        given = [
            f"{arg}=native" if arg == "--qat" and not _may_be_engine(value) else arg
            for arg, value in zip(args, following, strict=False)
        ]
        return super().parse_args(ctx, given)


def _may_be_engine(value: str) -> bool:
    """Whether an argument behind --qat is its value, or a misspelt one, and not the run or another option."""
    is_run = ":" in value or Path(value).exists()
    return value in _ENGINES or not (is_run or value.startswith("-") or not value)


def compress(
    source: Path = typer.Argument(
        ..., metavar="RUN", help="A run; RUN:NAME of a student compressed before; RUN:baseline without the teacher."
    ),
    channels: float = typer.Option(None, help="Remove this share of the channels, 0 to 1: smaller and faster."),
    importance: str = typer.Option("taylor", help="Rank channels by taylor (change of the loss) or l1 (weights)."),
    rounds: int = typer.Option(1, help="Remove the channels in so many rounds, each followed by tuning."),
    max_flops_ratio: float = typer.Option(None, help="A budget for --channels: student / teacher FLOPs."),
    max_params_ratio: float = typer.Option(None, help="Likewise: student / teacher parameters."),
    max_latency_ratio: float = typer.Option(None, help="Likewise: latency, as measured here on onnxruntime."),
    prune: float = typer.Option(None, help="Set this share of the weights to 0: smaller by gzip, not faster."),
    cluster: int = typer.Option(None, help="Leave so many different values in each kernel: smaller by gzip."),
    qat: str = typer.Option(
        None,
        metavar="[native|tfmot]",
        help="Train with int8 in mind, in Keras 3: files hold its integers.",
    ),
    ship: str = typer.Option(
        "better", help="After --qat: better (trained integers if they beat int8 after training) or trained."
    ),
    epochs: int = typer.Option(None, help="Epochs of tuning in each step."),
    learning_rate: float = typer.Option(None, help="Learning rate of the tuning."),
    seed: int = typer.Option(None, help="The order of batches. [default: that of the run]"),
    name: str = typer.Option(None, help="Name of the student. [default: its options, such as channels-0.5-qat]"),
    data_dir: str = typer.Option(None, metavar="DIR|URL", help="The data set's folder, if it has moved."),
    fresh: bool = typer.Option(False, "--fresh", help="Throw away an earlier student of this name."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would happen, and stop."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The result as one JSON document on stdout."),
) -> None:
    """Make a trained student smaller still, tuned with its teacher in every step.

    The result is another student of the run, in students/NAME; verify, export, bench, predict and report take it as
    RUN:NAME. The steps may be combined, and are taken in the order in which each keeps what the others won: channels,
    zeros, clusters, int8. A broken-off compression goes on when the same command is given again.

    \b
    Half the channels, ranked on training images, tuned with the teacher:
      kdcompress compress runs/demo --channels 0.5
    As many as a quarter of the teacher's FLOPs allows, in two rounds:
      kdcompress compress runs/demo --max-flops-ratio 0.25 --rounds 2
    int8 files with trained integers, compared with plain int8 on validation:
      kdcompress compress runs/demo --qat
    The smallest download: zeros, clusters and int8
      kdcompress compress runs/demo --prune 0.8 --cluster 16 --qat
    What the teacher brings in it:
      kdcompress compress runs/demo:baseline --channels 0.5
    """
    from kdcompress import api

    options: dict[str, Any] = {
        "channels": channels,
        "importance": importance,
        "rounds": rounds,
        "max_flops_ratio": max_flops_ratio,
        "max_params_ratio": max_params_ratio,
        "max_latency_ratio": max_latency_ratio,
        "prune": prune,
        "cluster": cluster,
        "qat": qat or "none",
        "ship": ship,
        "epochs": epochs,
        "learning_rate": learning_rate,
    }
    general: dict[str, Any] = {"seed": seed, "name": name, "data_dir": data_dir, "trust_code": trust_code}
    with working(log_of(source)) as terminal:
        if dry_run:
            plan = api.plan_compression(source, options, progress=terminal.progress, **general)
            terminal.json(plan) if as_json else _print_plan(plan, terminal)
            return
        result = api.compress(source, fresh=fresh, progress=terminal.progress, **general, **options)
        terminal.json(result) if as_json else print_compression(result, terminal)


def _print_plan(plan: dict[str, Any], terminal: Terminal) -> None:
    before = plan["before"]
    flops = f", {before['flops']:,} FLOPs" if before["flops"] else ""
    terminal.result(f"{plan['start']:<9} {before['params']:,} parameters{flops}")
    for step in plan["steps"]:
        terminal.result(f"{step['name']:<9} {describe_step(step)}")
    terminal.result(f"student   {plan['run']}: {plan['state']}")
