"""What a model costs: the figures, and one row per layer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

Shape = tuple[int, int, int]
Sizes = Sequence[int]


@dataclass(frozen=True)
class LayerCost:
    """One layer's share of the cost; a layer inside others is named "backbone/conv1".

    `flops` is None for files whose operations have no FLOP statistics (ONNX, TFLite).
    """

    name: str
    kind: str
    params: int
    macs: int
    flops: int | None


@dataclass(frozen=True)
class Cost:
    """What one forward pass on one image costs (batch 1), and what is stored for it.

    `macs` are those of convolutions and matrix products alone; `flops` the profiler's total behind the preprocessing;
    `weight_bytes` all weights as stored. None stands where a file does not say. `layers` are in the order of the
    network; their params, MACs and FLOPs add up to the totals exactly.
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
        """The cost of a file whose operations have no FLOP statistics and that says nothing of training."""
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
        """For JSON; `share` is a layer's fraction of the FLOPs, or of the MACs where FLOPs are not known."""
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
        part, whole = (layer.macs, self.macs) if self.flops is None else (layer.flops or 0, self.flops)
        row = {"name": layer.name, "kind": layer.kind, "params": layer.params}
        return {**row, "macs": layer.macs, "flops": layer.flops, "share": part / whole if whole else 0.0}


class FileCosts(ABC):
    """How the cost of one kind of model file is counted; `kind` is the ending of the files, or what they are called."""

    kind: ClassVar[str]

    def owns(self, path: Path) -> bool:
        """Whether a file or folder is of this kind: by default a file with the ending `kind`."""
        return path.is_file() and path.suffix == self.kind

    @abstractmethod
    def count(self, path: Path, input_shape: Shape | None) -> Cost:
        """The cost of a file on one image.

        Args:
            path: The file, which `owns` takes.
            input_shape: (H, W, C), needed where the file leaves a size open.

        Raises:
            ModelError: The file cannot be read, or leaves a size open that is not given.
        """


def einsum_macs(equation: str, *shapes: Sizes) -> int:
    """MACs of an einsum of two or more operands: the product of the sizes of all its indices (0 for one operand)."""
    sizes: dict[str, int] = {}
    operands = equation.replace(" ", "").split("->")[0].split(",")
    for labels, shape in zip(operands, shapes, strict=True):
        head, dots, tail = labels.partition("...")
        hidden = len(shape) - len(head) - len(tail)
        names = [*head, *(f"...{hidden - i}" for i in range(hidden if dots else 0)), *tail]
        for name, size in zip(names, shape, strict=True):
            sizes[name] = max(size, sizes.get(name, 1))
    return math.prod(sizes.values()) if len(shapes) > 1 else 0
