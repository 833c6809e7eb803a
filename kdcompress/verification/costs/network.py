"""Cost of a Keras model: the profiler's FLOPs by layer, and MACs counted in two independent ways."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.models import declared_shape, resolve_image_shape
from kdcompress.verification.costs._base import Cost, LayerCost, Shape
from kdcompress.verification.costs._statistics import MAC_OPS, operation_flops, uncounted_type
from kdcompress.verification.costs._trace import Trace, trace

OTHER = "(other)"  # row of the operations that belong to no layer
TOLERANCE = 0.05  # relative difference of the two counts of MACs above which a warning is issued


def cost_of_model(model: Any, input_shape: Shape | None, name: str | None = None) -> Cost:
    """Compute the cost of a Keras model on one image.

    FLOPs are the profiler's. MACs are counted from the layers' kernels and shapes, and from the FLOPs of the graph's
    convolutions and matrix products. A layer gets the larger count, since either can only miss work (formulas that of
    custom layers, the graph that of operations without a statistic); a difference becomes a warning.

    Args:
        model: Keras model; it is built if necessary.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        name: Name of the model in errors.

    Returns:
        The cost.

    Raises:
        ModelError: The model cannot be run on an image of this shape, or cannot be traced.
    """
    traced, shape = _traced(model, input_shape, name)
    return _cost(model, traced, shape)


def flops_of_model(model: Any, input_shape: Shape | None) -> int:
    """Count the FLOPs of a Keras model on one image, as `cost_of_model` does.

    Args:
        model: Keras model; it is built if necessary.
        input_shape: (H, W, C); required if the model leaves a dimension open.

    Returns:
        FLOPs without those of the preprocessing.

    Raises:
        ModelError: The model cannot be traced.
    """
    flops, _, _ = _by_layer(_traced(model, input_shape, None)[0])
    return flops.total()


def _traced(model: Any, input_shape: Shape | None, name: str | None) -> tuple[Trace, Shape]:
    name = name or f"model {model.name}"
    shape = resolve_image_shape(declared_shape(model, name), input_shape, name)
    try:
        _build(model, shape)
        return trace(model, shape), shape
    except Exception as exc:
        raise ModelError(f"{name} fails on an image of {'x'.join(map(str, shape))}: {one_line(exc)}") from exc


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
        warnings=(*_uncounted_warnings(traced), *_mac_warnings(traced, graph_macs)),
    )


def _by_layer(traced: Trace) -> tuple[Counter[str], Counter[str], int]:
    """Count FLOPs and graph MACs by path without the preprocessing, and the FLOPs of the preprocessing."""
    flops: Counter[str] = Counter()
    macs: Counter[str] = Counter()
    preprocessing = 0
    for name, count in operation_flops(traced.graph, traced.recurrent).items():
        if name in traced.unused:
            continue
        if name in traced.preprocessing:
            preprocessing += count
            continue
        flops[traced.owner(name)] += count
        if traced.graph.get_operation_by_name(name).type in MAC_OPS:
            macs[traced.owner(name)] += count // 2
    return flops, macs, preprocessing


def _uncounted_warnings(traced: Trace) -> list[str]:
    excluded = traced.preprocessing | traced.unused
    paths: dict[str, list[str]] = {}
    for operation in traced.graph.get_operations():
        kind = None if operation.name in excluded else uncounted_type(operation)
        if kind:
            paths.setdefault(kind, []).append(traced.owner(operation.name) or OTHER)
    return [f"not counted: {kind} in {_names(owners)}" for kind, owners in paths.items()]


def _mac_warnings(traced: Trace, graph_macs: Counter[str]) -> list[str]:
    pairs = {path: (row.analytic, graph_macs[path]) for path, row in traced.rows.items()}
    differing = {path: pair for path, pair in pairs.items() if abs(pair[0] - pair[1]) > TOLERANCE * max(pair)}
    if not differing:
        return []
    shapes, graph = (sum(pair[i] for pair in differing.values()) for i in (0, 1))
    names = _names([path or OTHER for path in differing])
    return [f"the two counts of MACs disagree: {shapes:,} from layers' shapes, {graph:,} from the graph, in {names}"]


def _names(paths: list[str]) -> str:
    distinct = list(dict.fromkeys(paths))
    more = f" and {len(distinct) - 5} more" if len(distinct) > 5 else ""
    return ", ".join(distinct[:5]) + more


def _build(model: Any, shape: Shape) -> None:
    """Create the weights of an unbuilt model, which tracing cannot do."""
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
