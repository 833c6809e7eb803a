"""Cost of a .pt2 file: MACs as PyTorch's own counter has them, and the weights that the output needs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.torch.model import Program, open_program
from kdcompress.teachers import Selection
from kdcompress.verification.costs._base import Cost, FileCosts, LayerCost, Shape

_FLOPS_PER_MAC = 2
_CHANNELS = (1, 3, 4)
_WRAPPER = "model."  # of names of weights, where a module was exported with one of its outputs


def cost_of_program(program: Program, input_shape: Shape | None, name: str) -> Cost:
    """Count the cost of a network on one image; FLOPs are unknown, since PyTorch counts those of products only.

    Args:
        program: The network.
        input_shape: (H, W, C); required if the network leaves a dimension open.
        name: Name of the model in messages.

    Returns:
        The cost. Parameters are trainable, batch normalization statistics are not.

    Raises:
        ModelError: The network fails on an image of this shape, or the shape is incomplete.
    """
    import torch

    sizes, shape = _sizes(program, input_shape, name)
    try:
        with _plain_operators(), torch.inference_mode():
            counter = _make_counter(program.module)
            counter.run(torch.zeros(sizes, dtype=program.dtype))
    except Exception as exc:
        raise ModelError(f"{name} fails on an image of {'x'.join(map(str, shape))}: {one_line(exc)}") from exc
    layers = [
        LayerCost(row.name, row.kind, row.params, row.macs // sizes[0], None)
        for row in counter.rows
        if row.params or row.macs
    ]
    parameters, buffers, weight_bytes = counter.weights()
    return Cost(
        parameters + buffers,
        parameters,
        buffers,
        sum(layer.macs for layer in layers),
        None,
        None,
        weight_bytes,
        shape,
        tuple(layers),
        (),
    )


class TorchCosts(FileCosts):
    """Counts the cost of .pt2 files."""

    kind = ".pt2"

    def count(self, path: Path, input_shape: Shape | None, selection: Selection) -> Cost:
        """Count the cost with `cost_of_program`."""
        return cost_of_program(open_program(path, selection.output), input_shape, f"PyTorch model {path}")


COSTS = TorchCosts


def _sizes(program: Program, input_shape: Shape | None, name: str) -> tuple[tuple[int, ...], Shape]:
    """Return the shape of a batch of as few images as possible, and (H, W, C)."""
    batch, *image = program.sizes
    nchw = image[0] in _CHANNELS or image[2] not in _CHANNELS
    given = None if input_shape is None else (input_shape[2], *input_shape[:2]) if nchw else input_shape
    sizes = [size if size is not None else given[i] if given else None for i, size in enumerate(image)]
    if None in sizes:
        raise ModelError(f"{name} takes images of any size; name one with --input-shape, such as 224,224,3")
    known = [size for size in sizes if size is not None]
    if given is not None and tuple(known) != tuple(given):
        order = "CxHxW" if nchw else "HxWxC"
        raise ModelError(f"{name} takes {order} of {'x'.join(map(str, known))}, got --input-shape {input_shape}")
    height, width, channels = (*known[1:], known[0]) if nchw else known
    return (batch or 1, *known), (height, width, channels)


class _Row:
    """Cost of one node of the graph."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind, self.params, self.macs = name, kind, 0, 0


def _make_counter(module: Any) -> Any:
    """Make an interpreter of a graph module that counts its nodes."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    state = module.state_dict(keep_vars=True)
    wrapped = all(name.startswith(_WRAPPER) for name in state)

    class Counter(torch.fx.Interpreter):  # type: ignore[misc]
        """Runs a graph node by node, and counts each."""

        def __init__(self) -> None:
            super().__init__(module)
            self.rows: list[_Row] = []
            self._weights: dict[int, tuple[Any, bool]] = {}

        def run_node(self, node: Any) -> Any:
            """Run a node and count its MACs, and the weights that no earlier node used."""
            if node.op != "call_function":
                return super().run_node(node)
            weights = [item for item in node.all_input_nodes if item.op == "get_attr"]
            owner = weights[0].target.removeprefix(_WRAPPER if wrapped else "").rpartition(".")[0] if weights else ""
            row = _Row(owner or node.name, str(node.target).removeprefix("aten.").partition(".")[0])
            row.params = sum(self._add_weight(self.env[item], item.target) for item in weights)
            with FlopCounterMode(display=False) as counter:
                result = super().run_node(node)
            row.macs = counter.get_total_flops() // _FLOPS_PER_MAC
            self.rows.append(row)
            return result

        def weights(self) -> tuple[int, int, int]:
            """Count the parameters, the numbers in buffers, and the bytes of both."""
            values = list(self._weights.values())
            sizes = {kind: sum(v.numel() for v, is_param in values if is_param == kind) for kind in (True, False)}
            return sizes[True], sizes[False], sum(v.numel() * v.element_size() for v, _ in values)

        def _add_weight(self, value: Any, name: str) -> int:
            if id(value) in self._weights or name not in state or not value.is_floating_point():
                return 0
            self._weights[id(value)] = value, isinstance(value, torch.nn.Parameter)
            return int(value.numel())

    return Counter()


@contextmanager
def _plain_operators() -> Iterator[None]:
    """Context manager in which attention and recurrent layers are computed as the products that they consist of."""
    logging.getLogger("torch.utils.flop_counter").setLevel(logging.ERROR)  # it warns that Triton is not installed
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
            yield
