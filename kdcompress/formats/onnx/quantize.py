"""Float16 weights of ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np


def halve_weights(model: Any) -> None:
    """Store float32 weights as float16 and cast them back before use, in place.

    Arithmetic remains in float32, which every CPU supports; runtimes fold the casts when they open the file. Biases and
    scales, which are small, and tensors with values beyond float16's range remain float32.

    Args:
        model: ModelProto.
    """
    import onnx

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or len(weight.dims) < 2:
            continue
        values = onnx.numpy_helper.to_array(weight)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = weight.name
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
