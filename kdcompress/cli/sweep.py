"""`kdcompress sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from kdcompress.cli._terminal import CLUSTER, OBSERVER, TRUST, WORKERS, Terminal, working
from kdcompress.errors import UsageError


def sweep(
    recipe: str = typer.Argument(..., help="A recipe file or the name of a built-in one (`kdcompress list recipes`)."),
    temperatures: str = typer.Option(None, "-T", "--temperature", metavar="N,..", help="Temperatures to try; > 0."),
    alphas: str = typer.Option(None, "--alpha", metavar="A,..", help="Weights of the distillation loss, 0 to 1."),
    methods: str = typer.Option(
        None, "--method", metavar="X,..|all", help="Methods (`kdcompress list methods`); all: those that fit."
    ),
    seeds: int = typer.Option(3, help="Student seeds for every setting, from the recipe's own seed on."),
    trials: int = typer.Option(None, help="Let TPE propose so many settings between the values of -T and --alpha."),
    jobs: int = typer.Option(1, help="Processes, which divide the cores among them."),
    storage: str = typer.Option(None, metavar="URL", help="An Optuna database URL. [default: a file in the sweep]"),
    out: Path = typer.Option(None, help="The sweep's folder. [default: sweeps/NAME-DIGEST]"),
    data_dir: str = typer.Option(
        None, metavar="DIR|URL", help="The data set's own folder; nothing else is searched then."
    ),
    teacher: list[str] = typer.Option(None, help="As for distill."),
    student: str = typer.Option(None, help="As for distill."),
    epochs: int = typer.Option(None, help="Epochs of every training, also of a teacher that we train."),
    limit: int = typer.Option(None, help="Train on a stratified N images; test stays whole."),
    observers: list[str] = typer.Option([], "--observer", metavar="NAME", help=OBSERVER),
    cluster: str = typer.Option(None, metavar="auto|HOST:PORT", help=CLUSTER),
    workers: int = typer.Option(None, metavar="N", help=WORKERS),
    settings: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Any key of the recipe; repeatable."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The result as one JSON document on stdout."),
) -> None:
    """Try settings over several seeds: which is best on validation, and what the teacher brings on test.

    The teacher and its answers are computed once for the whole sweep. Settings are chosen on validation; test is looked
    at for the chosen one and the baseline alone, and the gain comes with its interval. Whether the chosen one is better
    than the others is tested over the seeds, and said. A killed sweep goes on when the
    same command runs again, also in several terminals at once.

    \b
    kdcompress sweep mnist -T 1,2,4,8,16 --seeds 3
    kdcompress sweep mnist -T 1,32 --alpha 0.1,0.9 --trials 20 --jobs 2
    kdcompress sweep mnist --method all         which method? each with its own settings, and the baseline
    kdcompress sweep mnist --seeds 5            is there a gain at all, as the recipe stands?
    kdcompress report sweeps/mnist-...          curves with intervals
    """
    from kdcompress import api
    from kdcompress.config.toml_values import parse_setting

    varied: dict[str, Any] = {
        "temperatures": _numbers("--temperature", temperatures),
        "alphas": _numbers("--alpha", alphas),
        "methods": _split(methods),
        "settings": dict(parse_setting(text) for text in settings),
    }
    with working() as terminal:
        result = api.sweep(
            recipe,
            seeds=seeds,
            trials=trials,
            jobs=jobs,
            storage=storage,
            out=out,
            data_dir=data_dir,
            teacher=teacher,
            student=student,
            epochs=epochs,
            limit=limit,
            observers=observers,
            cluster=cluster,
            workers=workers,
            trust_code=trust_code,
            progress=terminal.progress,
            **varied,
        )
        terminal.json(result) if as_json else _print_result(result, terminal)


def _split(text: str | None) -> list[str] | None:
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def _numbers(option: str, text: str | None) -> list[float] | None:
    try:
        parts = _split(text)
        return None if parts is None else [float(part) for part in parts]
    except ValueError:
        raise UsageError(f"{option} takes numbers between commas, such as 1,2,4, got {text!r}") from None


def _print_result(result: dict[str, Any], terminal: Terminal) -> None:
    from kdcompress.metrics.classification import METRIC_NAMES

    metric = METRIC_NAMES[result["metric"]]
    _print_settings(result, metric, terminal)
    for left_out in result["left_out"]:
        terminal.result(f"left out       {left_out['method']}: {left_out['reason']}")
    if result["comparison"]:
        terminal.result(f"compared       {result['comparison']['sentence']}")
    n, student, baseline = result["dataset"]["n_test"], result["student"]["test"], result["baseline"]["test"]
    terminal.result(
        f"test {metric:<9} teacher {100 * result['teacher']['test']:.2f} %, student {_interval(student)}, "
        f"without teacher {_interval(baseline)}  ({n:,} images)"
    )
    terminal.result(f"gain           {result['sentence']}")
    terminal.result(f"verdict        {result['worth']['sentence']}")
    terminal.result(f"sweep          {result['sweep']}  ({result['seconds']:.0f} s)")


def _print_settings(result: dict[str, Any], metric: str, terminal: Terminal) -> None:
    """Print a row for each setting, with its distance from the chosen one."""
    others = {_key(one): one for one in (result["comparison"] or {}).get("others", ())}
    width = max(10, *(len(setting["method"]) for setting in result["settings"]))
    behind = "   behind the best, 95 % each alone" if others and len(result["space"]["seeds"]) > 1 else ""
    terminal.result(f"{'method':<{width}} {'T':>6} {'alpha':>6}   {f'validation {metric}':<26}{behind}".rstrip())
    for setting in result["settings"]:
        tuned = " ".join(_column(setting[key]) for key in ("temperature", "alpha"))
        outcome = _interval(setting["val"]) or setting["reason"]
        mark = "chosen" if _key(setting) == _key(result["best"]) else _behind(others.get(_key(setting)))
        terminal.result(f"{setting['method']:<{width}} {tuned}   {outcome:<26}{f'   {mark}' if mark else ''}".rstrip())


def _behind(other: dict[str, Any] | None) -> str:
    """How far a setting is behind the best one, in points, and whether that is shown."""
    if other is None or other["difference"]["low"] is None:
        return ""
    mean, low, high = (100 * other["difference"][key] for key in ("mean", "low", "high"))
    return f"{mean:.2f} points ({low:+.2f} to {high:+.2f}){', shown' if other['shown'] else ''}"


def _column(value: float | None) -> str:
    return f"{'-':>6}" if value is None else f"{value:>6.4g}"


def _key(setting: dict[str, Any]) -> tuple[Any, ...]:
    return setting["method"], setting["temperature"], setting["alpha"]


def _interval(mean: dict[str, Any] | None) -> str:
    """A mean with its interval, in per cent."""
    if mean is None:
        return ""
    if mean["low"] is None:
        return f"{100 * mean['mean']:.2f} %"
    low, high = max(0.0, mean["low"]), min(1.0, mean["high"])
    return f"{100 * mean['mean']:.2f} % ({100 * low:.2f} to {100 * high:.2f})"
