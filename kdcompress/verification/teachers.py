"""Costs of a run's teachers: Keras models, model files, or logits without a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from kdcompress.errors import KDCompressError
from kdcompress.teachers import Teacher
from kdcompress.verification.costs import Cost, cost_of_file, cost_of_model
from kdcompress.verification.flops import count_flops_or_none
from kdcompress.verification.sizes import model_bytes, saved_bytes

logger = logging.getLogger(__name__)
_TOTALS = (
    "params", "trainable_params", "non_trainable_params", "macs", "flops", "preprocessing_flops", "weight_bytes",
    "bytes",
)  # fmt: skip


def cost_of_teachers(teachers: Sequence[Teacher], names: Sequence[str]) -> dict[str, Any]:
    """Compute the cost of one teacher, or the summed cost of an ensemble.

    Args:
        teachers: The teachers.
        names: Their names, which prefix those of their layers in an ensemble.

    Returns:
        `Cost.to_dict()` with `bytes`. A total is None if it is unknown for any teacher; all are for logits without a
        model.

    Raises:
        ModelError: The cost of a teacher cannot be computed.
    """
    costs = [_cost(teacher) for teacher in teachers]
    if len(costs) == 1:
        return costs[0]
    layers = [
        {**layer, "name": f"{name}/{layer['name']}"}
        for name, cost in zip(names, costs, strict=True)
        for layer in cost["layers"]
    ]
    totals = {key: _sum([cost[key] for cost in costs]) for key in _TOTALS}
    basis = "flops" if totals["flops"] is not None else "macs"
    total = totals[basis] or 0
    for layer in layers:
        layer["share"] = (layer[basis] or 0) / total if total else 0.0
    warnings = [f"{name}: {warning}" for name, cost in zip(names, costs, strict=True) for warning in cost["warnings"]]
    return {**totals, "input_shape": costs[0]["input_shape"], "layers": layers, "warnings": warnings}


def count_params_and_flops(teachers: Sequence[Teacher]) -> dict[str, int | None]:
    """Count parameters and FLOPs of all teachers together.

    Args:
        teachers: The teachers.

    Returns:
        `params` and `flops`; None, with the reason logged, for what cannot be counted.
    """
    counts = [_params_and_flops(teacher) for teacher in teachers]
    return {key: _sum([count[key] for count in counts]) for key in ("params", "flops")}


def _params_and_flops(teacher: Teacher) -> dict[str, int | None]:
    if teacher.model is not None:
        flops = count_flops_or_none(teacher.model, teacher.adapter.input_shape)
        return {"params": teacher.model.count_params(), "flops": flops}
    try:
        cost = _cost(teacher)
        return {"params": cost["params"], "flops": cost["flops"]}
    except KDCompressError as exc:
        logger.warning("the cost of %s cannot be counted: %s", teacher.description, exc)
        return {"params": None, "flops": None}


def _cost(teacher: Teacher) -> dict[str, Any]:
    shape = teacher.adapter.input_shape
    if teacher.model is not None:
        model, path = teacher.model, teacher.path
        size = model_bytes(path, model) if path else saved_bytes(model)
        return {**cost_of_model(model, shape, teacher.description).to_dict(), "bytes": size}
    if teacher.path is None:
        return {**dict.fromkeys(_TOTALS), "input_shape": list(shape), "layers": [], "warnings": []}
    cost: Cost = cost_of_file(teacher.path, shape, teacher.selection)
    return {**cost.to_dict(), "bytes": model_bytes(teacher.path)}


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
