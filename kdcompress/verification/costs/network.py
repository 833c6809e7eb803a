"""The cost of a Keras model: the profiler's FLOPs layer by layer, and MACs counted twice over."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.models import declared_shape, resolve_image_shape
from kdcompress.verification.costs._base import Cost, LayerCost, Shape
from kdcompress.verification.costs._statistics import MAC_OPS, profile, uncounted
from kdcompress.verification.costs._trace import Trace, trace

OTHER = "(other)"  # the row of what belongs to no layer
TOLERANCE = 0.05  # how far the two counts of MACs may differ before it is said


def cost_of_model(model: Any, input_shape: Shape | None, name: str | None = None) -> Cost:
    """The cost of a Keras model on one image (H, W, C); `input_shape` is needed where the model leaves a size open.

    FLOPs are the profiler's. MACs are counted from layers' kernels and shapes, and from the FLOPs of the graph's
    convolutions and matrix products; a layer has the larger of the two, since either can only miss work (a formula
    that of a custom layer, the graph that of an operation without statistic), and a difference becomes a warning.
    A model that was not built yet is built. Errors: ModelError, which speaks of the model by `name`.
    """
    traced, shape = _traced(model, input_shape, name)
    return _cost(model, traced, shape)


def flops_of_model(model: Any, input_shape: Shape | None) -> int:
    """The FLOPs of `cost_of_model` alone."""
    flops, _, _ = _by_layer(_traced(model, input_shape, None)[0])
    return flops.total()


def _traced(model: Any, input_shape: Shape | None, name: str | None) -> tuple[Trace, Shape]:
    what = name or f"model {model.name}"
    shape = resolve_image_shape(declared_shape(model, what), input_shape, what)
    try:
        _build(model, shape)
        return trace(model, shape), shape
    except Exception as exc:
        raise ModelError(f"{what} fails on an image of {'x'.join(map(str, shape))}: {one_line(exc)}") from exc


def _cost(model: Any, traced: Trace, shape: Shape) -> Cost:
    flops, graph_macs, preprocessing = _by_layer(traced)
    layers = []
    for path, row in traced.rows.items():
        macs = max(row.analytic, graph_macs[path])
        if path and (row.params or flops[path] or macs):
            layers.append(LayerCost(path, row.kind, row.params, macs, flops[path]))
    root = traced.rows[""]
    if root.params or flops[""] or graph_macs[""]:
        layers.append(LayerCost(OTHER, root.kind, root.params, graph_macs[""], flops[""]))
    return Cost(
        params=_params(model.weights),
        trainable=_params(model.trainable_weights),
        non_trainable=_params(model.non_trainable_weights),
        macs=sum(layer.macs for layer in layers),
        flops=flops.total(),
        preprocessing_flops=preprocessing,
        weight_bytes=_bytes(model.weights),
        input_shape=shape,
        layers=tuple(layers),
        warnings=(*_not_counted(traced), *_disagreements(traced, graph_macs)),
    )


def _by_layer(traced: Trace) -> tuple[Counter[str], Counter[str], int]:
    """FLOPs and graph MACs of each path behind the preprocessing, and the preprocessing's FLOPs."""
    flops: Counter[str] = Counter()
    macs: Counter[str] = Counter()
    preprocessing = 0
    for name, count in profile(traced.graph).items():
        if name in traced.preprocessing:
            preprocessing += count
            continue
        flops[traced.owner(name)] += count
        if traced.graph.get_operation_by_name(name).type in MAC_OPS:
            macs[traced.owner(name)] += count // 2
    return flops, macs, preprocessing


def _not_counted(traced: Trace) -> list[str]:
    where: dict[str, list[str]] = {}
    for operation in traced.graph.get_operations():
        kind = None if operation.name in traced.preprocessing else uncounted(operation)
        if kind:
            where.setdefault(kind, []).append(traced.owner(operation.name) or OTHER)
    return [f"not counted: {kind} in {_names(paths)}" for kind, paths in where.items()]


def _disagreements(traced: Trace, graph_macs: Counter[str]) -> list[str]:
    rows = {path: (row.analytic, graph_macs[path]) for path, row in traced.rows.items()}
    apart = {path: pair for path, pair in rows.items() if abs(pair[0] - pair[1]) > TOLERANCE * max(pair)}
    if not apart:
        return []
    shapes, graph = (sum(pair[i] for pair in apart.values()) for i in (0, 1))
    names = _names([path or OTHER for path in apart])
    return [f"the two counts of MACs disagree: {shapes:,} from layers' shapes, {graph:,} from the graph, in {names}"]


def _names(paths: list[str]) -> str:
    distinct = list(dict.fromkeys(paths))
    more = f" and {len(distinct) - 5} more" if len(distinct) > 5 else ""
    return ", ".join(distinct[:5]) + more


def _build(model: Any, shape: Shape) -> None:
    """Make the weights of a model that has none yet: a trace cannot."""
    import keras
    import numpy as np

    if isinstance(model, keras.Sequential) and not model.built:
        model.build((None, *shape))
    elif not getattr(model, "inputs", None):
        model(np.zeros((1, *shape), np.float32), training=False)


def _params(weights: list[Any]) -> int:
    return sum(math.prod(weight.shape) for weight in weights)


def _bytes(weights: list[Any]) -> int:
    import tensorflow as tf

    return sum(math.prod(weight.shape) * tf.as_dtype(weight.dtype).size for weight in weights)
