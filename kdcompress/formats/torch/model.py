"""Opening and running of .pt2 files (torch.export) on the CPU; requires PyTorch only."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import MissingExtraError, ModelError, one_line
from kdcompress.formats.torch.archive import read_archive
from kdcompress.plugins import block_triton

_TRAINING = {"batch_norm": 5, "dropout": 2, "native_dropout": 2, "_native_batch_norm_legit": 5}


@dataclass(frozen=True)
class Program:
    """A network of one image input, with one of its outputs selected.

    Attributes:
        module: torch.fx.GraphModule from a batch of images to outputs.
        sizes: Shape of the input with the batch; None for open dimensions.
        dtype: torch.dtype of the input.
        output: Name of the selected output; None for the only one.
        settings: What was stored beside the model, as JSON values.
    """

    module: Any
    sizes: tuple[int | None, ...]
    dtype: Any
    output: str | None
    settings: Mapping[str, Any]

    def run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Run one batch in inference mode.

        Args:
            images: Input, of any numeric type.

        Returns:
            The output as float32.
        """
        import torch

        with torch.inference_mode():
            return np.asarray(self.module(self.tensor(images)).float().numpy())

    def tensor(self, images: NDArray[Any]) -> Any:
        """Convert images to a tensor of the input's type."""
        import torch

        return torch.from_numpy(np.array(images)).to(self.dtype)


def require_torch(subject: str) -> None:
    """Check that PyTorch is installed, and can be imported beside TensorFlow.

    Args:
        subject: Name of what needs it, in the message.

    Raises:
        MissingExtraError: It is not.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError(f"{subject} is run by PyTorch, which is not installed: pip install 'kdcompress[torch]'")
    block_triton()


def open_program(path: Path, output: str | None = None) -> Program:
    """Open a .pt2 file, after a check that it is a graph of operators that only compute, with raw tensors.

    Args:
        path: The file.
        output: Name of an output; by default the only one, or `logits`.

    Returns:
        The network.

    Raises:
        ModelError: The file is damaged, could run code, has been exported in training mode, or does not take one batch
            of images.
        MissingExtraError: PyTorch is not installed.
    """
    require_torch(str(path))
    import torch

    archive = read_archive(path)
    try:
        exported = torch.export.load(archive.rewrite())
    except Exception as exc:
        raise ModelError(f"{path} cannot be loaded by PyTorch {torch.__version__}: {one_line(exc)}") from exc
    return program_of(exported, str(path), output, archive.settings)


def program_of(exported: Any, name: str, output: str | None, settings: Mapping[str, Any] | None = None) -> Program:
    """Make a network of an exported program.

    Args:
        exported: torch.export.ExportedProgram.
        name: Name of the model in messages.
        output: Name of an output; by default the only one, or `logits`.
        settings: What is stored beside the model.

    Returns:
        The network.

    Raises:
        ModelError: It has been exported in training mode, or does not take one batch of images.
    """
    _check_inference(exported, name)
    images = [node for node in exported.graph.nodes if node.name in exported.graph_signature.user_inputs]
    value = images[0].meta.get("val") if len(images) == 1 else None
    if value is None or getattr(value, "dim", lambda: 0)() != 4:
        shapes = ", ".join(str(tuple(getattr(node.meta.get("val"), "shape", ()))) for node in images)
        raise ModelError(f"{name} takes inputs of shape {shapes or '()'}; it must take one batch of images, of rank 4")
    sizes = tuple(size if isinstance(size, int) else None for size in value.shape)
    module = exported.module(check_guards=False)
    selected = _select_output(module, exported, name, output)
    return Program(module, sizes, value.dtype, selected, settings or {})


def named_outputs(value: Any) -> dict[str, Any]:
    """List the outputs of a module by name: keys of a mapping, fields of a named tuple, or positions of a tuple.

    Args:
        value: What the module returns.

    Returns:
        Outputs by name; "" for a single tensor.
    """
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items() if item is not None}
    if isinstance(value, tuple | list):
        names = getattr(value, "_fields", range(len(value)))
        return {str(name): item for name, item in zip(names, value, strict=True) if item is not None}
    return {"": value}


def select_output(names: list[str], selected: str | None, name: str, setting: str = "teacher.output") -> str:
    """Select an output of a module.

    Args:
        names: Names of all outputs.
        selected: Name in the recipe; by default the only output, or `logits`.
        name: Name of the model in messages.
        setting: The recipe's key.

    Returns:
        The name.

    Raises:
        ModelError: There is none of this name, or it is not clear which is to be used.
    """
    named = [key for key in names if key]
    if selected is not None:
        if selected not in named:
            has = f"it has {', '.join(named)}" if named else "it has one output; leave it out"
            raise ModelError(f"{setting}: {name} has no {selected!r} among its outputs; {has}")
        return selected
    if len(names) == 1 or "logits" in names:
        return "logits" if "logits" in names else names[0]
    raise ModelError(f"{name} has {len(names)} outputs ({', '.join(names)}); name the one to use with {setting}")


def operator_name(node: Any) -> str:
    """Name the operator of a graph's node, such as linear; empty for a node that is none.

    Args:
        node: torch.fx.Node.
    """
    is_call = getattr(node, "op", None) == "call_function"
    return str(node.target).removeprefix("aten.").partition(".")[0] if is_call else ""


def is_mutation(node: Any) -> bool:
    """Whether a node of a graph changes a tensor in place, which matters though nothing reads its result.

    Args:
        node: torch.fx.Node.
    """
    return node.op == "call_function" and bool(getattr(getattr(node.target, "_schema", None), "is_mutable", False))


def reduce_to(module: Any, node: Any) -> None:
    """Reduce a graph module to one tensor and what it needs, in place.

    Args:
        module: torch.fx.GraphModule.
        node: The torch.fx.Node that computes the tensor.
    """
    (output,) = [other for other in module.graph.nodes if other.op == "output"]
    output.args = (node,)
    # Dropout counts as an effect, though it has none at inference
    module.graph.eliminate_dead_code(lambda other: other.op in ("placeholder", "output") or is_mutation(other))
    module.recompile()


@contextmanager
def deterministic() -> Iterator[None]:
    """Context manager in which PyTorch uses deterministic algorithms, and warns of operators that have none."""
    import torch

    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)


def _check_inference(exported: Any, name: str) -> None:
    training = bool(exported.graph_signature.buffers_to_mutate)
    for node in exported.graph.nodes:
        position = _TRAINING.get(operator_name(node))
        if position is not None and len(node.args) > position:
            training |= node.args[position] is True
    if training:
        raise ModelError(
            f"{name} was exported in training mode (batch normalization or dropout): call model.eval() before "
            "torch.export.export"
        )


def _select_output(module: Any, exported: Any, name: str, selected: str | None) -> str | None:
    """Reduce a graph module to one output tensor and what it needs; return the name of the output."""
    import torch

    spec = exported.call_spec.out_spec
    places = named_outputs(torch.utils._pytree.tree_unflatten(list(range(spec.num_leaves)), spec))
    key = select_output(list(places), selected, name)
    place = places[key]
    (output,) = [node for node in module.graph.nodes if node.op == "output"]
    flat = output.args[0]
    node = flat[place] if isinstance(place, int) and isinstance(flat, tuple | list) else flat
    if not isinstance(node, torch.fx.Node):
        raise ModelError(f"output {key!r} of {name} is no tensor; name another one with teacher.output")
    module.graph.set_codegen(torch.fx.graph.CodeGen())
    reduce_to(module, node)
    return key if len(places) > 1 else None
