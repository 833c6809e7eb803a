"""Preprocessing in a frozen graph: arithmetic between the raw pixels and constants that are no weights."""

from __future__ import annotations

from typing import Any

# Arithmetic, resizing, and crops, borders, channels and choices by size
_NAMES = (
    "Identity Cast Add AddV2 Sub Mul RealDiv ResizeBilinear ResizeNearestNeighbor ResizeBicubic ResizeArea "
    "ScaleAndTranslate StridedSlice Slice Pad PadV2 Unpack Pack If StatelessIf"
)
_TYPES = frozenset(_NAMES.split())


def preprocessing_operations(operations: list[Any]) -> set[str]:
    """Find the operations whose inputs are the image and constants only, and what only they need.

    Args:
        operations: Operations of a frozen graph of one image, from the image to the output.

    Returns:
        Their names.
    """
    fixed, pixels = set[str](), set[str]()
    for operation in operations:
        producers = [tensor.op.name for tensor in operation.inputs]
        if operation.type == "Placeholder":
            pixels.add(operation.name)
        elif operation.type == "Shape" or (_is_fixed(operation) and fixed.issuperset(producers)):
            fixed.add(operation.name)
        elif pixels.intersection(producers) and (fixed | pixels).issuperset(producers) and operation.type in _TYPES:
            pixels.add(operation.name)
    for operation in reversed(operations):
        consumers = {target.name for tensor in operation.outputs for target in tensor.consumers()}
        if operation.name in fixed and consumers and pixels.issuperset(consumers):
            pixels.add(operation.name)
    return pixels


def _is_fixed(operation: Any) -> bool:
    """Return whether an operation of constants gives one; freezing replaces a variable's read by an Identity."""
    return not (operation.type == "Identity" and "ReadVariableOp" in operation.name)
