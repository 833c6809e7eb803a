"""Cost of a model, in total and by layer, and the interface that counts a kind of model file."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kdcompress.teachers import Selection

Shape = tuple[int, int, int]
Sizes = Sequence[int]


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer.

    Attributes:
        name: Path of the layer, such as "backbone/conv1".
        kind: Class of the layer, or type of the operation.
        params: Number of parameters.
        macs: Multiply-accumulates.
        flops: Floating-point operations; None for files without FLOP statistics (ONNX, TFLite).
    """

    name: str
    kind: str
    params: int
    macs: int
    flops: int | None


@dataclass(frozen=True)
class Cost:
    """Cost of one forward pass on one image (batch size 1); None stands for what a file does not tell.

    Attributes:
        params: Number of parameters.
        trainable: Number of trainable parameters.
        non_trainable: Number of the others.
        macs: Multiply-accumulates of convolutions and matrix products.
        flops: The profiler's total without the preprocessing.
        preprocessing_flops: FLOPs of the preprocessing layers.
        weight_bytes: Bytes of all weights as stored.
        input_shape: (H, W, C).
        layers: Costs by layer, in network order; they add up to the totals exactly.
        warnings: What was not counted, or counted with doubt.
    """

    params: int
    trainable: int | None
    non_trainable: int | None
    macs: int
    flops: int | None
    preprocessing_flops: int | None
    weight_bytes: int
    input_shape: Shape
    layers: tuple[LayerCost, ...]
    warnings: tuple[str, ...]

    @classmethod
    def of_file(
        cls, layers: Sequence[LayerCost], weight_bytes: int, input_shape: Shape, warnings: Sequence[str]
    ) -> Cost:
        """Create the cost of a file without FLOP statistics and without information about training.

        Args:
            layers: Costs by layer.
            weight_bytes: Bytes of all weights as stored.
            input_shape: (H, W, C).
            warnings: What was not counted.

        Returns:
            The cost, with totals summed over the layers.
        """
        return cls(
            params=sum(layer.params for layer in layers),
            trainable=None,
            non_trainable=None,
            macs=sum(layer.macs for layer in layers),
            flops=None,
            preprocessing_flops=None,
            weight_bytes=weight_bytes,
            input_shape=input_shape,
            layers=tuple(layers),
            warnings=tuple(warnings),
        )

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON types; `share` is a layer's fraction of the FLOPs, or of the MACs if FLOPs are unknown."""
        return {
            "params": self.params,
            "trainable_params": self.trainable,
            "non_trainable_params": self.non_trainable,
            "macs": self.macs,
            "flops": self.flops,
            "preprocessing_flops": self.preprocessing_flops,
            "weight_bytes": self.weight_bytes,
            "input_shape": list(self.input_shape),
            "layers": [self._row(layer) for layer in self.layers],
            "warnings": list(self.warnings),
        }

    def _row(self, layer: LayerCost) -> dict[str, Any]:
        part, total = (layer.macs, self.macs) if self.flops is None else (layer.flops or 0, self.flops)
        row = {"name": layer.name, "kind": layer.kind, "params": layer.params}
        return {**row, "macs": layer.macs, "flops": layer.flops, "share": part / total if total else 0.0}


class FileCosts(ABC):
    """Counts the cost of one kind of model file.

    Attributes:
        kind: Suffix of the files, or their name.
    """

    kind: ClassVar[str]

    def owns(self, path: Path) -> bool:
        """Return whether a file or folder is of this kind; by default, whether its suffix is `kind`."""
        return path.is_file() and path.suffix == self.kind

    @abstractmethod
    def count(self, path: Path, input_shape: Shape | None, selection: Selection) -> Cost:
        """Count the cost of a file on one image.

        Args:
            path: A file for which `owns` returns True.
            input_shape: (H, W, C); required if the model leaves a dimension open.
            selection: The part of the file that counts: what one output needs, with constants for other inputs.

        Returns:
            The cost.

        Raises:
            ModelError: The file cannot be read, or the shape is incomplete or contradicts the model.
        """


def einsum_macs(equation: str, *shapes: Sizes) -> int:
    """Compute the MACs of an einsum: the product of the sizes of all its indices.

    Args:
        equation: Einstein summation, such as "ab,bc->ac"; "..." is allowed.
        *shapes: Shapes of the operands.

    Returns:
        MACs; 0 for a single operand.
    """
    sizes: dict[str, int] = {}
    operands = equation.replace(" ", "").split("->")[0].split(",")
    for labels, shape in zip(operands, shapes, strict=True):
        head, dots, tail = labels.partition("...")
        hidden = len(shape) - len(head) - len(tail)
        names = [*head, *(f"...{hidden - i}" for i in range(hidden if dots else 0)), *tail]
        for name, size in zip(names, shape, strict=True):
            sizes[name] = max(size, sizes.get(name, 1))
    return math.prod(sizes.values()) if len(shapes) > 1 else 0
