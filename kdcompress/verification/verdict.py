"""Verification: costs and metrics of a student against its teacher, or the cost of a single model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.errors import UsageError
from kdcompress.metrics.chance import roles_at_chance
from kdcompress.metrics.classification import primary_metric
from kdcompress.metrics.subclasses import subclass_usage
from kdcompress.models import is_keras_model, load_saved_model
from kdcompress.pipeline.reopening import open_model, reopen_teachers
from kdcompress.pipeline.subclass_outputs import read_subclass_outputs
from kdcompress.progress import Progress
from kdcompress.runs.documents import read_checked
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.machines import read_machines
from kdcompress.runs.names import remedy
from kdcompress.runs.outputs import read_classes, read_test_outputs, read_validation_outputs
from kdcompress.teachers import OutputSpec, teacher_of_model
from kdcompress.verification.costs import cost_of_file, cost_of_model
from kdcompress.verification.gates import Gates
from kdcompress.verification.latency import latency_ratio
from kdcompress.verification.machines import BENCH, machine_rows
from kdcompress.verification.outputs import measure_outputs
from kdcompress.verification.sizes import model_bytes, saved_bytes
from kdcompress.verification.slowdown import SlowdownLimit
from kdcompress.verification.teachers import cost_of_teachers

RESULT = "verify.json"
Shape = tuple[int, int, int]


def verify_model(path: Path, input_shape: Shape | None, gates: Gates) -> dict[str, Any]:
    """Compute the cost of a model file.

    Args:
        path: Model file or folder of any supported kind.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        gates: Must have no limits, since these compare two models.

    Returns:
        The document that `kdcompress verify MODEL --json` prints.

    Raises:
        UsageError: A gate is set.
        ModelError: The model cannot be opened or traced.
    """
    _reject_gates(gates)
    if path.suffix == ".keras":
        model = load_saved_model(path)
        cost, size = cost_of_model(model, input_shape, str(path)), model_bytes(path, model)
    else:
        cost, size = cost_of_file(path, input_shape), model_bytes(path)
    return {"model": {"path": str(path), **cost.to_dict(), "bytes": size}}


def verify_loaded(model: Any, name: str, input_shape: Shape | None, gates: Gates) -> dict[str, Any]:
    """Compute the cost of a model in memory.

    Args:
        model: Keras model, or of another kind that can be a teacher, such as a torch.nn.Module.
        name: Its name in messages and in the result.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        gates: Must have no limits, since these compare two models.

    Returns:
        The document of `verify_model`; `bytes` is the size of the model saved as a file.

    Raises:
        UsageError: A gate is set.
        ModelError: The model cannot be traced.
    """
    _reject_gates(gates)
    if not is_keras_model(model):
        return _verify_other(model, name, input_shape)
    cost = cost_of_model(model, input_shape, name).to_dict()
    return {"model": {"path": name, **cost, "bytes": saved_bytes(model)}}


def _verify_other(model: Any, name: str, input_shape: Shape | None) -> dict[str, Any]:
    """Compute the cost of a model that Keras does not run, in the form in which a run keeps it."""
    if input_shape is None:
        raise UsageError(f"{name} takes images of any size, as far as is known: name one with --input-shape 224,224,3")
    teacher = teacher_of_model(model, SingleTeacherSection(model=name), OutputSpec(input_shape, ()), name)
    return {"model": {**cost_of_teachers([teacher], [name]), "path": name}}


def _reject_gates(gates: Gates) -> None:
    if gates.enabled:
        raise UsageError(f"{', '.join(gates.enabled)} compares a student with its teacher: name a run, not a model")


def verify_run(
    run: RunFolder, input_shape: Shape | None, gates: Gates, progress: Progress, slowdown: SlowdownLimit | None = None
) -> dict[str, Any]:
    """Compute the costs, ratios and test metrics of a run's teacher and student, and evaluate the gates.

    Args:
        run: Folder of a finished run.
        input_shape: (H, W, C) for the student; by default that of the run.
        gates: Limits.
        progress: Receives notes.
        slowdown: Limit on the latency on one machine.

    Returns:
        The document that `kdcompress verify RUN --json` prints.

    Raises:
        RunError: The run is not finished, or one of its files has changed.
        ModelError: A model cannot be opened or traced.
    """
    run.check_all(but=RESULT)
    latency_gates = slowdown.evaluate(run) if slowdown else []  # first, since it may have nothing to judge
    outputs, classes = read_test_outputs(run), read_classes(run)
    measures, comparison = measure_outputs(outputs, read_validation_outputs(run), classes)
    progress.note("counting the teacher ...")
    ensemble = reopen_teachers(run, read_run_recipe(run))
    costs = {"teacher": cost_of_teachers(ensemble.teachers, ensemble.names)}
    progress.note("counting the student ...")
    costs["student"] = _cost(run, "student", input_shape)
    dataset = run.manifest().get("dataset", {})
    data = {key: dataset[key] for key in ("name", "source") if key in dataset}
    result: dict[str, Any] = {"run": str(run.path), "dataset": data, "classes": classes}
    result |= {role: {**costs.get(role, {}), "metrics": metrics} for role, metrics in measures.items()}
    ratios, basis = _ratios(result["student"], result["teacher"])
    metric = primary_metric(len(classes))
    drop = _difference(result, metric, "teacher", "student")
    gain = _difference(result, metric, "student", "baseline") if "baseline" in result else None
    verdicts = gates.evaluate(ratios, drop, result["student"]["metrics"]["accuracy"], gain)
    verdicts += latency_gates
    if (latency := _latency(run)) is not None:
        ratios["latency"] = latency
    machines = read_machines(run)
    for name, reason in machines.outdated.items():
        progress.warn(f"machine {name} is left out: it was measured with other files than the run has now ({reason})")
    return {
        **result,
        "machines": [row.to_dict() for row in machine_rows(None, machines.current)],
        "ratios": ratios,
        "flops_ratio_from": basis,
        "metric": metric,
        "metric_drop": drop,
        "comparison": comparison,
        "subclasses": _subclasses(run),
        "at_chance": roles_at_chance(outputs.logits, outputs.labels),
        "gates": verdicts,
        "passed": all(verdict["passed"] for verdict in verdicts),
    }


def _cost(run: RunFolder, role: str, input_shape: Shape | None) -> dict[str, Any]:
    model = open_model(run, role)
    recorded = run.manifest().get("input_shape")
    cost = cost_of_model(model, input_shape or (tuple(recorded) if recorded else None), f"the {role}")
    return {**cost.to_dict(), "bytes": model_bytes(run / f"{role}.keras", model)}


def _ratios(student: dict[str, Any], teacher: dict[str, Any]) -> tuple[dict[str, float | None], str]:
    """Compute student / teacher, and the basis of the FLOPs ratio: MACs if either model has no FLOPs."""
    basis = "flops" if student["flops"] and teacher["flops"] else "macs"
    pairs = {"params": "params", "flops": basis, "bytes": "bytes"}
    ratios = {name: student[key] / teacher[key] if teacher[key] else None for name, key in pairs.items()}
    return ratios, basis


def _latency(run: RunFolder) -> float | None:
    if not run.has_file(BENCH):
        return None
    return latency_ratio(read_checked(run / BENCH, remedy(BENCH, run.path)))


def _difference(result: dict[str, Any], metric: str, first: str, second: str) -> float | None:
    values = [result[role]["metrics"][metric] for role in (first, second)]
    return None if None in values else float(values[0] - values[1])


def _subclasses(run: RunFolder) -> dict[str, Any] | None:
    """Compute how teacher and student use subclasses; None for a run without subclasses."""
    outputs = read_subclass_outputs(run)
    if outputs is None:
        return None
    assigned = {"teacher": outputs.teacher, "student": outputs.student}
    return {role: subclass_usage(indices, outputs.sizes, outputs.known) for role, indices in assigned.items()}
