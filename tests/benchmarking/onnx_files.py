"""ONNX files for tests, made without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def dense(path: Path, width: int = 8, sizes: tuple[Any, ...] = ("batch", 8, 8, 1), inputs: int = 1) -> Path:
    """Pixels to `width` values, through a square matrix of it, to 10 logits: 2 * width^2 operations and some."""
    names = [f"image{index}" if index else "image" for index in range(inputs)]
    rng = np.random.default_rng(0)
    shapes = {"into": (64, width), "square": (width, width), "out": (width, 10)}
    weights = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
    weights["flat"] = np.array([-1, 64], np.int64)
    nodes = [
        helper.make_node("Reshape", ["image", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "into"], ["wide"]),
        helper.make_node("MatMul", ["wide", "square"], ["wider"]),
        helper.make_node("MatMul", ["wider", "out"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name in names],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("batch", 10))],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
