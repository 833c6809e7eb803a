"""Opening and running of ncnn folders on the CPU; requires ncnn only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import ModelError
from kdcompress.metadata import parse_metadata
from kdcompress.paths import check_regular_file, safe_join

GRAPH, WEIGHTS, METADATA = "model.ncnn.param", "model.ncnn.bin", "metadata.json"
FILES = "|".join(map(re.escape, (GRAPH, WEIGHTS, METADATA)))
IMAGE, LOGITS = "in0", "out0"  # as pnnx names them
_MAGIC = "7767517"  # first line of every graph
_MAX_GRAPH = 64 << 20  # bytes; weights are in the other file
_HALF = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic")
_NEVER = ("use_bf16_storage", "use_bf16_packed", "use_vulkan_compute")


class NcnnNet:
    """A network of ncnn with one image as its input.

    Args:
        path: Folder of a graph, weights and metadata.
        threads: Number of threads.

    Raises:
        ModelError: A file is missing or damaged, or the graph has an operator that this ncnn lacks.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self.metadata = read_metadata(path)
        self.shape = image_shape(self.metadata, path)
        graph, weights = (_file(path, name) for name in (GRAPH, WEIGHTS))
        import ncnn

        check_graph(graph)
        self._path, self._mat, self._net = path, ncnn.Mat, ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        for name in _NEVER:
            setattr(options, name, False)
        for name in _HALF:  # on CPUs that compute in half precision: only files of that precision
            setattr(options, name, self.metadata.get("precision") == "fp16")
        if self._net.load_param(str(graph)) != 0 or self._net.load_model(str(weights)) != 0:
            raise ModelError(f"{path} cannot be opened by ncnn: its graph or its weights are damaged; export it again")

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute logits one image at a time, as ncnn does: (n, H, W, C) to (n, classes)."""
        return np.stack([self._run(image) for image in images])

    def _run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        extractor = self._net.create_extractor()
        extractor.input(IMAGE, self._mat(image).clone())  # a Mat of an array has no padding between its channels
        status, logits = extractor.extract(LOGITS)
        if status != 0:
            raise ModelError(f"{self._path} cannot be run by ncnn on an image {image.shape} (status {status})")
        return np.array(logits, np.float32).reshape(-1)


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata that `export` wrote.

    Args:
        path: Folder.

    Returns:
        The metadata.

    Raises:
        ModelError: There are none, or they are damaged.
    """
    file = _file(path, METADATA)
    return parse_metadata(file.read_bytes(), file)


def image_shape(metadata: dict[str, Any], path: Path) -> tuple[int, int, int]:
    """Read the shape of an image, which ncnn's own files do not tell.

    Args:
        metadata: Metadata of a folder.
        path: The folder, for errors.

    Returns:
        (H, W, C).

    Raises:
        ModelError: The metadata have no such shape.
    """
    declared = metadata.get("input")
    shape = declared.get("shape") if isinstance(declared, dict) else None
    if not isinstance(shape, list) or len(shape) != 3 or not all(type(size) is int and size > 0 for size in shape):
        raise ModelError(f"{path}: its metadata tell no shape of an image (H, W, C); export it again")
    return shape[0], shape[1], shape[2]


def unknown_operators(graph: Path) -> list[str]:
    """List the operators of a graph that this ncnn lacks.

    Args:
        graph: The file.

    Returns:
        Their names, as the graph has them, in its order.

    Raises:
        ModelError: It is no graph of ncnn.
    """
    import ncnn

    kinds = dict.fromkeys(line.split()[0] for line in _lines(graph))
    return [kind for kind in kinds if ncnn.layer_to_index(kind) < 0]


def check_graph(graph: Path) -> None:
    """Check that every operator of a graph is known, and that its inputs are computed before it.

    ncnn itself reads a graph without such checks, and ends the process where it is damaged.

    Args:
        graph: The file.

    Raises:
        ModelError: It is damaged, or has an operator that this ncnn lacks.
    """
    if unknown := unknown_operators(graph):
        raise ModelError(f"{graph} has operator {unknown[0]}, which this ncnn lacks; install a later one")
    known: set[str] = set()
    for line in _lines(graph):
        words = line.split()
        try:
            inputs, outputs = int(words[2]), int(words[3])
            names = words[4 : 4 + inputs + outputs]
            whole = inputs >= 0 and outputs > 0 and len(names) == inputs + outputs
            if not whole or not known.issuperset(names[:inputs]) or not known.isdisjoint(names[inputs:]):
                raise ValueError
        except (ValueError, IndexError):
            raise ModelError(f"{graph} is damaged at {line[:60]!r}; export it again") from None
        known.update(names[inputs:])
    if not known.issuperset((IMAGE, LOGITS)):
        raise ModelError(f"{graph} must compute {LOGITS} from {IMAGE}, as pnnx writes it; export it again")


def _lines(graph: Path) -> list[str]:
    """Read the lines of a graph's operators."""
    if graph.stat().st_size > _MAX_GRAPH:
        raise ModelError(f"{graph} has more than {_MAX_GRAPH >> 20} MB, and is no graph of ncnn")
    try:
        magic, counts, *lines = graph.read_text(encoding="utf-8").splitlines()
        if magic != _MAGIC or [len(lines)] != [int(counts.split()[0])] or not all(line.strip() for line in lines):
            raise ValueError
    except (ValueError, IndexError):
        raise ModelError(f"{graph} is no graph of ncnn, or damaged; export it again") from None
    return lines


def _file(path: Path, name: str) -> Path:
    if not path.is_dir():
        raise ModelError(f"{path} is no folder of ncnn files ({GRAPH}, {WEIGHTS}, {METADATA}); export it again")
    file = safe_join(path, name, str(path), ModelError)
    check_regular_file(file, ModelError)
    if not file.is_file():
        raise ModelError(f"{path} has no {name}; export it again")
    return file
