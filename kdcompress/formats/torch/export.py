"""Export of PyTorch modules in memory to .pt2 files, in which form teachers are run, copied, counted and timed."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdcompress.cache import cache_dir
from kdcompress.errors import ModelError, one_line
from kdcompress.files import write_atomically
from kdcompress.formats.torch.model import Program, named_outputs, select_output
from kdcompress.sealed import is_sealed, seal

SETTINGS_FILE = "kdcompress.json"
_BATCH = 2  # of the example: sizes 0 and 1 are specialized


def cache_module(
    module: Any,
    shapes: Sequence[tuple[int, ...]],
    output: str | None,
    name: str,
    settings: Mapping[str, Any],
    embedding: str | None = None,
) -> Path:
    """Export a module in evaluation mode to the cache, in a folder named by its digest.

    Args:
        module: torch.nn.Module, which is moved to the CPU and set to evaluation mode.
        shapes: Shapes of one image in the module's layout, the likeliest first; the first that the module accepts.
        output: Name of the output; by default the only one, or `logits`.
        name: Name of the model in messages.
        settings: JSON values to store beside the model.
        embedding: Name of the output that is the embedding, which is exported, too.

    Returns:
        The .pt2 file.

    Raises:
        ModelError: The module fails on images of all shapes, or torch.export cannot capture it.
    """
    import torch

    exported = export_module(module, shapes, output, name, embedding)
    path = cache_dir("models") / program_digest(exported, settings) / "model.pt2"
    if not is_sealed(path):
        extra = {SETTINGS_FILE: json.dumps(settings, sort_keys=True)}
        write_atomically(path, lambda part: torch.export.save(exported, part, extra_files=extra))
        seal(path)
    return path


def export_module(
    module: Any, shapes: Sequence[tuple[int, ...]], output: str | None, name: str, embedding: str | None = None
) -> Any:
    """Export a module with one output, for batches of any size where it allows that.

    Args:
        module: torch.nn.Module.
        shapes: Shapes of one image, the likeliest first.
        output: Name of the output; by default the only one, or `logits`.
        name: Name of the model in messages.
        embedding: Name of the output that is the embedding, if that is one.

    Returns:
        The torch.export.ExportedProgram, from images to one tensor, or to a dict of the output and the embedding.

    Raises:
        ModelError: The module fails on images of all shapes, or torch.export cannot capture it.
    """
    import torch

    module = module.cpu().eval()
    example, outputs = _run_example(module, shapes, name)
    names = list(outputs)
    pooled = None if embedding is None else select_output(names, embedding, name, "teacher.embedding")
    key = select_output(names, output, name)

    class Selected(torch.nn.Module):  # type: ignore[misc]
        """The module with one of its outputs, and its embedding if that is one of them."""

        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def forward(self, images: Any) -> Any:
            found = named_outputs(self.model(images))
            return found[key] if pooled is None else {name: found[name] for name in (key, pooled)}

    wrapped = (Selected() if key else module).eval()
    try:
        with torch.no_grad():
            exported = torch.export.export(wrapped, (example,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
            if exported.range_constraints:
                return exported
            return torch.export.export(wrapped, (example[:1],))  # its code fixes the batch size
    except Exception as exc:
        raise ModelError(
            f"{name} cannot be captured by torch.export: {one_line(exc)}; give its ONNX export, or a module without "
            "control flow that depends on values"
        ) from exc


def require_onnxscript(name: str) -> None:
    """Check that PyTorch can write ONNX files.

    Args:
        name: Name of the model in the message.

    Raises:
        ModelError: onnxscript is not installed.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise ModelError(f"{name} is converted to ONNX by onnxscript, which is not installed: pip install onnxscript")


def write_onnx(program: Program, shape: tuple[int, int, int], path: Path, name: str) -> None:
    """Write a network to an ONNX file by torch.onnx.export.

    Args:
        program: The network.
        shape: Shape of one image in the network's layout.
        path: The file.
        name: Name of the model in messages.

    Raises:
        ModelError: onnxscript is not installed, or an operator cannot be expressed.
    """
    import torch

    require_onnxscript(name)
    fixed = program.sizes[0]
    example = torch.zeros((fixed or _BATCH, *shape), dtype=program.dtype)
    dynamic = None if fixed else ({0: torch.export.Dim("batch")},)
    options = {"dynamo": True, "external_data": False, "verbose": False, "dynamic_shapes": dynamic}
    try:
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(program.module, (example,), str(path), **options)
    except Exception as exc:
        raise ModelError(f"{name} cannot be converted to ONNX by PyTorch {torch.__version__}: {one_line(exc)}") from exc


def program_digest(exported: Any, settings: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of a program's operators, and of names, types, shapes and bytes of its weights.

    Args:
        exported: torch.export.ExportedProgram.
        settings: JSON values stored beside the model.

    Returns:
        64 hex digits.
    """
    import torch

    digest = hashlib.sha256(json.dumps([exported.graph_module.code, settings], sort_keys=True).encode())
    for name, value in sorted({**exported.state_dict, **exported.constants}.items()):
        tensor = value.detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _run_example(module: Any, shapes: Sequence[tuple[int, ...]], name: str) -> tuple[Any, dict[str, Any]]:
    """Return the first example batch that a module accepts, and its outputs by name."""
    import torch

    weights = [value for value in module.state_dict().values() if value.is_floating_point()]
    dtype = weights[0].dtype if weights else torch.float32
    problem: Exception | None = None
    for shape in dict.fromkeys(shapes):
        example = torch.zeros((_BATCH, *shape), dtype=dtype)
        try:
            with torch.no_grad():
                return example, named_outputs(module(example))
        except Exception as exc:
            problem = problem or exc
    size = "x".join(map(str, shapes[0]))
    raise ModelError(
        f"{name} fails on an image of {size} (PyTorch's layout is channels, height, width): "
        f"{one_line(problem or ValueError())}; teacher.preprocessing.size and layout say what it takes"
    ) from problem
