"""Conversion of ONNX files to ncnn's with pnnx, ncnn's own converter."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

from kdcompress.errors import ExportError
from kdcompress.missing import is_installed, remedy_for

_PROGRAM = "pnnx.exe" if sys.platform == "win32" else "pnnx"
_TIMEOUT_S = 1800.0
_BATCH = "batch"  # name of the open dimension of an export


def find_converter() -> Path:
    """Find the program in the package pnnx, whose Python part would import PyTorch.

    Returns:
        The program.

    Raises:
        ExportError: pnnx or ncnn is not installed.
    """
    for module in ("ncnn", "pnnx"):
        if not is_installed(module):
            raise ExportError(f"ncnn files are written with {module}, which is not installed; {remedy_for(module)}")
    spec = importlib.util.find_spec("pnnx")
    folders = spec.submodule_search_locations if spec else None
    program = Path(next(iter(folders or ("",)))) / _PROGRAM
    if not program.is_file():
        raise ExportError(f"the package pnnx has no program for this system ({program}): export on another one")
    return program


def convert(source: Path, shape: tuple[int, int, int], half: bool) -> tuple[Path, Path]:
    """Convert an ONNX file for one image.

    Args:
        source: ONNX file with an input (batch, H, W, C); files are written beside it.
        shape: (H, W, C).
        half: Whether weights are stored in half precision.

    Returns:
        (graph, weights).

    Raises:
        ExportError: The converter is not installed, or fails.
    """
    program, prepared = find_converter(), source.with_name("prepared.onnx")
    fold(source, prepared)
    sizes = ",".join(map(str, (1, *shape)))
    command = [str(program), prepared.name, f"inputshape=[{sizes}]f32", f"fp16={int(half)}"]
    try:
        done = subprocess.run(command, cwd=source.parent, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise ExportError(f"pnnx, ncnn's converter, did not end within {_TIMEOUT_S:g} s") from exc
    graph, weights = (prepared.with_suffix(f".ncnn.{end}") for end in ("param", "bin"))
    if done.returncode != 0 or not (graph.is_file() and weights.is_file()):
        raise ExportError(
            f"pnnx, ncnn's converter, fails on this network (exit {done.returncode}); export another --format"
        )
    return graph, weights


def fold(source: Path, target: Path) -> None:
    """Fix the batch size at 1, and fold what pnnx leaves in the graph: padding and batch normalization of convolutions.

    Args:
        source: ONNX file.
        target: The folded file.
    """
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.add_free_dimension_override_by_name(_BATCH, 1)
    # Basic optimizations leave only operators of the ONNX standard
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
