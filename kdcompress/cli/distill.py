"""`kdcompress distill`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from kdcompress.cli._compression import describe_step, print_compression
from kdcompress.cli._terminal import CLUSTER, OBSERVER, TRUST, WORKERS, Terminal, working
from kdcompress.verification.origin import synthetic_notice

_METRIC_NAMES = {"auc": "AUC", "accuracy": "accuracy"}


def distill(
    recipe: str = typer.Argument(..., help="A recipe file or the name of a built-in one (`kdcompress list recipes`)."),
    out: Path = typer.Option(None, help="The run folder. [default: runs/NAME-DIGEST]"),
    data_dir: str = typer.Option(
        None, metavar="DIR|URL", help="The data set's own folder; nothing else is searched then."
    ),
    teacher: list[str] = typer.Option(
        None,
        help="A zoo name, a model file or folder (Keras, ONNX, TFLite, SavedModel, PyTorch's .pt2, transformers, "
        "logits), or module:function, also of a torch.nn.Module; several are averaged.",
    ),
    student: str = typer.Option(None, help="A zoo name, a Keras file, or module:function that returns a model."),
    unlabelled: str = typer.Option(
        None, metavar="DIR|URL", help="Further images, without labels: the teacher's answers are theirs."
    ),
    method: str = typer.Option(None, help="The distillation method (`kdcompress list methods`)."),
    temperature: float = typer.Option(None, "-T", "--temperature", help="Softens both distributions; > 0."),
    alpha: float = typer.Option(None, help="Weight of the distillation loss, 0 to 1; the labels weigh the rest."),
    epochs: int = typer.Option(None, help="Epochs of every training, also of a teacher that we train."),
    seed: int = typer.Option(None, help="The student's initial weights and the order of batches."),
    limit: int = typer.Option(None, help="Train on a stratified N images; test stays whole."),
    observers: list[str] = typer.Option([], "--observer", metavar="NAME", help=OBSERVER),
    cluster: str = typer.Option(None, metavar="auto|HOST:PORT", help=CLUSTER),
    workers: int = typer.Option(None, metavar="N", help=WORKERS),
    settings: list[str] = typer.Option([], "--set", metavar="KEY=VALUE", help="Any key of the recipe; repeatable."),
    baseline: bool = typer.Option(None, "--baseline/--no-baseline", help="Also train the student without the teacher."),
    fresh: bool = typer.Option(False, "--fresh", help="Throw away an earlier run in the folder."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would happen, with sizes, and stop."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The result as one JSON document on stdout."),
) -> None:
    """Train a small student from a teacher, and the same student without it.

    The teacher is run once over the training images and its outputs are kept; the student then learns from them and
    from the labels. The run folder gets student.keras, which plain Keras opens, the teacher, the baseline, the history
    and all figures. A broken-off run goes on when the same command is given again.

    \b
    Try it in a few minutes on 5,000 digits that need no download:
      kdcompress distill mnist-demo
    The paper's pair on the whole MNIST, softer targets, another seed:
      kdcompress distill mnist -T 8 --alpha 0.7 --seed 1 --out runs/t8
    Your own models (raw pixels in, logits out), saved by Keras or built by a function in my_models.py:
      kdcompress distill mnist --teacher big.keras --student my_models:small
    Your own images in class folders, and a teacher from PyTorch (what it expects of an image stands in the recipe):
      kdcompress distill my-recipe.toml --data-dir photos/ --teacher big.onnx --unlabelled more-photos/
    What would it do, and how big is it all?
      kdcompress distill mnist --teacher big.keras --dry-run
    Any key of the recipe (`kdcompress init` writes one with comments):
      kdcompress distill mnist --set training.learning_rate=0.0005 --set views.count=4
    """
    from kdcompress import api
    from kdcompress.config.checks import check_files
    from kdcompress.config.toml_values import parse_setting
    from kdcompress.observers import check_observers
    from kdcompress.runs.folder import RunFolder
    from kdcompress.runs.names import LOG
    from kdcompress.trust import trusting_code

    with working():  # custom methods or data sets may import libraries that print
        resolved = api.recipe_of(
            recipe,
            data_dir=data_dir,
            teacher=teacher,
            student=student,
            unlabelled=unlabelled,
            method=method,
            temperature=temperature,
            alpha=alpha,
            epochs=epochs,
            seed=seed,
            limit=limit,
            baseline=baseline,
            observers=observers,
            cluster=cluster,
            workers=workers,
            settings=dict(parse_setting(text) for text in settings),
            files=False,
        )
    folder = out or api.default_out(resolved)
    if dry_run or fresh or not RunFolder(folder).is_finished():
        check_files(resolved)
        check_observers(resolved.observers.values())
    if dry_run:
        with working() as terminal, trusting_code(trust_code):
            plan = api.plan(resolved, folder, terminal.progress)
            terminal.json(plan) if as_json else _print_plan(plan, terminal)
        return
    run_folder = RunFolder(folder)
    run_folder.prepare(fresh)
    with working(run_folder / LOG) as terminal, trusting_code(trust_code):
        run = api.distill_resolved(resolved, folder, fresh, terminal.progress)
        terminal.json(run.result) if as_json else _print_result(run.result, terminal)


def _print_result(result: dict[str, Any], terminal: Terminal) -> None:
    teacher, student, baseline = result["teacher"], result["student"], result["baseline"]
    scores = {"teacher": teacher["metrics"], "student": student["metrics"]}
    if baseline:
        scores["without teacher"] = baseline["metrics"]
    if notice := synthetic_notice(result["dataset"]):
        terminal.result(notice)
    # Two classes have both metrics; runs of version 0.1 may have accuracy alone
    keys = [key for key in ("auc", "accuracy") if all(metrics.get(key) is not None for metrics in scores.values())]
    for key in keys:
        values = ", ".join(f"{name} {100 * metrics[key]:.2f} %" for name, metrics in scores.items())
        terminal.result(f"test {_METRIC_NAMES[key]:<9} {values}  ({result['dataset']['n_test']:,} images)")
    if baseline:
        gains = {key: 100 * (student["metrics"][key] - baseline["metrics"][key]) for key in keys}
        points = ", ".join(f"{gain:+.2f} points{_of(key, keys)}" for key, gain in gains.items())
        text = f"{points} from the teacher, in this one seed"
        if chance := result.get("at_chance"):
            text = f"cannot be told: {' and '.join(chance)} not shown to be better than a constant answer"
        terminal.result(f"gain           {text}")
    for assistant in result.get("assistants", ()):
        values = ", ".join(f"{_METRIC_NAMES[key]} {100 * assistant['metrics'][key]:.2f} %" for key in keys)
        terminal.result(f"{assistant['name']:<14} {assistant['model']}: {values}, {assistant['params']:,} parameters")
    if teacher["params"]:
        terminal.result(_ratio("parameters", student["params"], teacher["params"]))
    if student["flops"] and teacher["flops"]:
        terminal.result(_ratio("FLOPs", student["flops"], teacher["flops"]))
    terminal.result(
        f"run            {result['run']}  ({result['seconds']:.0f} s; student.keras opens with plain Keras)"
    )
    if result.get("compressed"):
        terminal.result("")
        print_compression(result["compressed"], terminal)


def _of(key: str, keys: list[str]) -> str:
    return f" of {_METRIC_NAMES[key]}" if len(keys) > 1 else ""


def _ratio(name: str, student: int, teacher: int) -> str:
    return f"{name:<14} {student:,} against the teacher's {teacher:,}: ratio {student / teacher:.3g}"


def _print_plan(plan: dict[str, Any], terminal: Terminal) -> None:
    data, targets = plan["dataset"], plan["targets"]
    terminal.result(f"data      {data['name']} from {data['source']}")
    unlabelled = f", unlabelled {data['n_unlabelled']:,}" if "n_unlabelled" in data else ""
    sizes = f"train {data['n_train']:,}, validation {data['n_val']:,}, test {data['n_test']:,}{unlabelled}"
    terminal.result(f"          {sizes}")
    for name, classes in plan.get("superclasses", {}).items():
        terminal.result(f"          class {name}: {', '.join(classes)} of the data")
    between = [(one["name"], one) for one in plan.get("assistants", ())]
    for role, part in [("teacher", plan["teacher"]), *between, ("student", plan["student"])]:
        flops = f", {part['flops']:,} FLOPs" if part["flops"] else ""
        params = "size not known" if part["params"] is None else f"{part['params']:,} parameters"
        terminal.result(f"{role:<9} {part['model']}: {params}{flops}; {part['todo']}")
    method = ", ".join(f"{key} {value}" for key, value in plan["method"].items() if key != "name")
    terminal.result(f"method    {plan['method']['name']}{f' ({method})' if method else ''}")
    terminal.result(f"targets   {targets['bytes'] / 1e6:.1f} MB for {targets['views']} view(s); {targets['todo']}")
    terminal.result(f"baseline  {plan['baseline']}")
    for step in plan.get("compress", []):
        terminal.result(f"{step['name']:<9} {describe_step(step)}")
    terminal.result(f"run       {plan['run']}: {plan['state']}")
