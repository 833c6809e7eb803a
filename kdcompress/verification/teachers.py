"""What a run's teachers cost, whatever they are: Keras models, model files, or logits without a model."""

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
_TRAINED = ("trainable_params", "non_trainable_params")
_SUMS = ("params", *_TRAINED, "macs", "flops", "preprocessing_flops", "weight_bytes", "bytes")


def cost_of_teachers(teachers: Sequence[Teacher], names: Sequence[str]) -> dict[str, Any]:
    """As Cost.to_dict, with `bytes`, of one teacher, or of several together: an ensemble asks them all.

    A figure that is not known of one is None, and of the sum; so are all of logits without a model. Errors: ModelError.
    """
    costs = [_cost(teacher) for teacher in teachers]
    if len(costs) == 1:
        return costs[0]
    layers = [
        {**layer, "name": f"{name}/{layer['name']}"}
        for name, cost in zip(names, costs, strict=True)
        for layer in cost["layers"]
    ]
    sums = {key: _sum([cost[key] for cost in costs]) for key in _SUMS}
    basis = "flops" if sums["flops"] is not None else "macs"
    whole = sums[basis] or 0
    for layer in layers:
        layer["share"] = (layer[basis] or 0) / whole if whole else 0.0
    warnings = [f"{name}: {said}" for name, cost in zip(names, costs, strict=True) for said in cost["warnings"]]
    return {**sums, "input_shape": costs[0]["input_shape"], "layers": layers, "warnings": warnings}


def count_params_and_flops(teachers: Sequence[Teacher]) -> dict[str, int | None]:
    """{"params", "flops"} of teachers together; None for what cannot be counted (the reason is logged)."""
    found = [_brief(teacher) for teacher in teachers]
    return {key: _sum([one[key] for one in found]) for key in ("params", "flops")}


def _brief(teacher: Teacher) -> dict[str, int | None]:
    if teacher.model is not None:
        flops = count_flops_or_none(teacher.model, teacher.fit.input_shape)
        return {"params": teacher.model.count_params(), "flops": flops}
    try:
        cost = _cost(teacher)
        return {"params": cost["params"], "flops": cost["flops"]}
    except KDCompressError as exc:
        logger.warning("the cost of %s cannot be counted: %s", teacher.what, exc)
        return {"params": None, "flops": None}


def _cost(teacher: Teacher) -> dict[str, Any]:
    shape = teacher.fit.input_shape
    if teacher.model is not None:
        model, path = teacher.model, teacher.path
        size = model_bytes(path, model) if path else saved_bytes(model)
        return {**cost_of_model(model, shape, teacher.what).to_dict(), "bytes": size}
    if teacher.path is None:
        return {**dict.fromkeys(_SUMS), "input_shape": list(shape), "layers": [], "warnings": []}
    cost: Cost = cost_of_file(teacher.path, shape)
    return {**cost.to_dict(), "bytes": model_bytes(teacher.path)}


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
