"""An ONNX file as a graph on one image of a fixed size, with the shape of every tensor known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.onnx.external import load_onnx
from kdcompress.formats.onnx.model import run_bounded
from kdcompress.models import resolve_image_shape
from kdcompress.verification.costs._base import Shape

_CHANNELS = (1, 3, 4)  # what an image may have, when the file alone must tell its layout


def load(path: Path) -> Any:
    """The ONNX model in a file with its external data; ModelError if it is none, damaged, or data are missing."""
    import onnx

    model = load_onnx(path)
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded as an ONNX model: {one_line(exc)}") from exc
    if not model.graph.node:
        raise ModelError(f"{path} cannot be loaded as an ONNX model: it holds no operation")
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def image_input(graph: Any, what: str) -> Any:
    """The one graph input that is no weight; ModelError unless it is a batch of images."""
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != 4:
        got = ", ".join(f"{v.name} of rank {len(v.type.tensor_type.shape.dim)}" for v in inputs) or "none"
        raise ModelError(f"{what} must have one input, a batch of images of rank 4, got {got}")
    return inputs[0]


def fix_image(image: Any, given: Shape | None, what: str) -> Shape:
    """Write batch 1 and the image's size into a graph input, in its own layout, and return (H, W, C).

    The layout is the one that `given` fits, or the one with 1, 3 or 4 channels. Errors: ModelError if that leaves
    both or neither.
    """
    dims = image.type.tensor_type.shape.dim
    sizes = [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims]
    readings = {(1, 2, 3): [sizes[1], sizes[2], sizes[3]], (2, 3, 1): [sizes[2], sizes[3], sizes[1]]}
    fitting = {axes: own for axes, own in readings.items() if _fits(own, given)}
    if len(fitting) == 2:
        fitting = {axes: own for axes, own in fitting.items() if own[2] in _CHANNELS} or fitting
    if len(fitting) != 1:
        asked = f", --input-shape {','.join(map(str, given))}" if given else ""
        text = "x".join("?" if size is None else str(size) for size in sizes)
        raise ModelError(f"{what} takes {text}{asked}: its channel axis cannot be told; pass a fitting H,W,C")
    (axes, own) = next(iter(fitting.items()))
    shape = resolve_image_shape(own, given, what)
    dims[0].dim_value = 1
    for axis, size in zip(axes, shape, strict=True):
        dims[axis].dim_value = size
    return shape


def _fits(own: list[int | None], given: Shape | None) -> bool:
    if given is None:
        return own[2] is None or own[2] in _CHANNELS
    return all(mine in (None, theirs) for mine, theirs in zip(own, given, strict=True))


def shapes_of(model: Any, image: Any, wanted: set[str]) -> dict[str, list[int]]:
    """The shapes of the tensors named, as far as ONNX infers them, else as one run on a blank image shows them."""
    import onnx

    _forget_batch(model.graph)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    graph = inferred.graph
    known = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.output, *graph.input):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.dim_value > 0 for dim in dims):
            known.setdefault(value.name, [dim.dim_value for dim in dims])
    open_ones = sorted(wanted - set(known))
    return {**known, **(_observed(model, image, open_ones) if open_ones else {})}


def _forget_batch(graph: Any) -> None:
    """Drop what the exporter noted of shapes: it holds for its batch, and would win over the inference."""
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def _observed(model: Any, image: Any, names: list[str]) -> dict[str, list[int]]:
    import numpy as np
    import onnx
    import onnxruntime

    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    tensor = image.type.tensor_type
    blank = np.zeros(
        [dim.dim_value for dim in tensor.shape.dim], onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results = run_bounded(session, names, {image.name: blank}, "the model")
    return {name: list(np.shape(result)) for name, result in zip(names, results, strict=True)}
