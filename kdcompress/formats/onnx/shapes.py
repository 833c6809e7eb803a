"""Shape inference for ONNX graphs on one image of a fixed size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.onnx.external import load_onnx
from kdcompress.formats.onnx.model import run_with_timeout
from kdcompress.models import resolve_image_shape
from kdcompress.verification.costs._base import Shape

_CHANNELS = (1, 3, 4)  # numbers of channels by which a layout is recognised


def load(path: Path) -> Any:
    """Load an ONNX model with its external data.

    Args:
        path: ONNX file.

    Returns:
        The ModelProto, with its local functions inlined.

    Raises:
        ModelError: The file is damaged or empty, or external data is missing.
    """
    import onnx

    model = load_onnx(path)
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded as an ONNX model: {one_line(exc)}") from exc
    if not model.graph.node:
        raise ModelError(f"{path} cannot be loaded as an ONNX model: it holds no operation")
    return onnx.inliner.inline_local_functions(model) if model.functions else model


def image_input(graph: Any, name: str) -> Any:
    """Find the input for the images.

    Args:
        graph: GraphProto.
        name: Name of the model in errors.

    Returns:
        The ValueInfoProto of the only input that is not a weight.

    Raises:
        ModelError: There is not exactly one, or its rank is not 4.
    """
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    if len(inputs) != 1 or len(inputs[0].type.tensor_type.shape.dim) != 4:
        got = ", ".join(f"{v.name} of rank {len(v.type.tensor_type.shape.dim)}" for v in inputs) or "none"
        raise ModelError(f"{name} must have one input, a batch of images of rank 4, got {got}")
    return inputs[0]


def fix_image(image: Any, input_shape: Shape | None, name: str) -> Shape:
    """Set the shape of a graph input to one image, in place, in the layout (NHWC or NCHW) of the input.

    The layout is the one that `input_shape` fits, or the one with 1, 3 or 4 channels.

    Args:
        image: ValueInfoProto of the input.
        input_shape: (H, W, C); required if the model leaves a dimension open.
        name: Name of the model in errors.

    Returns:
        (H, W, C).

    Raises:
        ModelError: Both layouts fit, or neither.
    """
    dims = image.type.tensor_type.shape.dim
    sizes = [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in dims]
    layouts = {(1, 2, 3): [sizes[1], sizes[2], sizes[3]], (2, 3, 1): [sizes[2], sizes[3], sizes[1]]}
    fitting = {axes: declared for axes, declared in layouts.items() if _fits(declared, input_shape)}
    if len(fitting) == 2:
        fitting = {axes: declared for axes, declared in fitting.items() if declared[2] in _CHANNELS} or fitting
    if len(fitting) != 1:
        option = f", --input-shape {','.join(map(str, input_shape))}" if input_shape else ""
        text = "x".join("?" if size is None else str(size) for size in sizes)
        raise ModelError(f"{name} takes {text}{option}: its channel axis cannot be told; pass a fitting H,W,C")
    (axes, declared) = next(iter(fitting.items()))
    shape = resolve_image_shape(declared, input_shape, name)
    dims[0].dim_value = 1
    for axis, size in zip(axes, shape, strict=True):
        dims[axis].dim_value = size
    return shape


def _fits(declared: list[int | None], input_shape: Shape | None) -> bool:
    if input_shape is None:
        return declared[2] is None or declared[2] in _CHANNELS
    return all(size in (None, actual) for size, actual in zip(declared, input_shape, strict=True))


def tensor_shapes(model: Any, image: Any, names: set[str]) -> dict[str, list[int]]:
    """Determine the shapes of tensors by ONNX shape inference, and where that fails by a run on a blank image.

    Args:
        model: ModelProto, whose value_info is cleared.
        image: Input with a fixed shape.
        names: Names of tensors.

    Returns:
        Shapes by name, at least of these tensors.
    """
    import onnx

    _clear_shapes(model.graph)
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    graph = inferred.graph
    known = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.output, *graph.input):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dim.dim_value > 0 for dim in dims):
            known.setdefault(value.name, [dim.dim_value for dim in dims])
    unknown = sorted(names - set(known))
    return {**known, **(_observed(model, image, unknown) if unknown else {})}


def _clear_shapes(graph: Any) -> None:
    """Remove the exporter's shapes, which are for its own batch size and would override the inference."""
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
    results = run_with_timeout(session, names, {image.name: blank}, "the model")
    return {name: list(np.shape(result)) for name, result in zip(names, results, strict=True)}
