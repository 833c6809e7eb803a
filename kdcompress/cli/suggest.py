"""`kdcompress suggest`."""

from __future__ import annotations

from typing import Any

import typer

from kdcompress.cli._terminal import TRUST, Terminal, working

_MAX_ROWS = 20


def suggest(
    recipe: str = typer.Argument(..., help="A recipe file or the name of a built-in one (`kdcompress list recipes`)."),
    max_flops_ratio: float = typer.Option(None, help="At most this share of the teacher's FLOPs. [default: 0.1]"),
    max_params_ratio: float = typer.Option(None, help="At most this share of the teacher's parameters."),
    data_dir: str = typer.Option(
        None, metavar="DIR|URL", help="The data set's own folder; nothing else is searched then."
    ),
    teacher: list[str] = typer.Option(None, help="As for distill."),
    settings: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Any key of the recipe; repeatable."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The result as one JSON document on stdout."),
) -> None:
    """Suggest students: the zoo models that fit a budget of the teacher's costs, for the images of a recipe.

    Each is built for the data's images and classes and counted as verify counts. Those with most FLOPs, which learn
    most, come first; how well they learn is what distill tells.

    \b
    kdcompress suggest my-recipe.toml --max-flops-ratio 0.1
    kdcompress suggest mnist --max-params-ratio 0.05
    """
    from kdcompress import api
    from kdcompress.config.toml_values import parse_setting

    with working() as terminal:
        result = api.suggest(
            recipe,
            max_flops_ratio=max_flops_ratio,
            max_params_ratio=max_params_ratio,
            data_dir=data_dir,
            teacher=teacher,
            settings=dict(parse_setting(text) for text in settings),
            trust_code=trust_code,
            progress=terminal.progress,
        )
        terminal.json(result) if as_json else _print_result(result, recipe, terminal)


def _print_result(result: dict[str, Any], recipe: str, terminal: Terminal) -> None:
    teacher, students = result["teacher"], result["students"]
    basis = "flops" if teacher["flops"] is not None else "macs"
    word = {"flops": "FLOPs", "macs": "MACs"}[basis]
    width = max(16, *(len(row["model"]) for row in [teacher, *students]))
    terminal.result(f"{'model':<{width}} width {'parameters':>13} {'ratio':>8} {word:>16} {'ratio':>8}")
    if teacher["params"]:
        costs = f"{teacher['params']:>13,} {'':8} {teacher[basis] or 0:>16,}"
        terminal.result(f"{teacher['model']:<{width}} {'':5} {costs}  (the teacher)")
    for row in students[:_MAX_ROWS]:
        terminal.result(
            f"{row['model']:<{width}} {row['width']:<5g} {row['params']:>13,} {_ratio(row['params_ratio'])} "
            f"{row[basis]:>16,} {_ratio(row[f'{basis}_ratio'])}{'  pretrained' if row['pretrained'] else ''}"
        )
    if len(students) > _MAX_ROWS:
        terminal.result(f"{len(students) - _MAX_ROWS} more with fewer {word} (--json lists all)")
    height, across, channels = result["input_shape"]
    images, unfit = f"{height}x{across}x{channels}", result["unfit"]
    terminal.progress.note(f"{result['too_large']} larger ones are left out")
    if unfit:
        first = next(iter(unfit.values()))
        terminal.progress.note(f"{len(unfit)} models do not take images of {images}; the first: {first}")
    if students:
        largest = students[0]
        scaled = f" --set student.width={largest['width']:g}" if largest["width"] != 1 else ""
        terminal.progress.note(f"take one with: kdcompress distill {recipe} --student {largest['model']}{scaled}")
    else:
        terminal.failure("no model of the zoo fits the budget: raise it, or shrink the images (data.size)")


def _ratio(value: float | None) -> str:
    return f"{'' if value is None else f'{value:.3g}':>8}"
