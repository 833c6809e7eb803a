"""ncnn on the CPU, for the folders that `export --format ncnn` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.benchmarking._base import Images, Runtime, RuntimeSession, Shape, Signature
from kdcompress.errors import ModelError
from kdcompress.formats.ncnn.model import NcnnNet, image_shape, read_metadata


class NcnnRuntime(Runtime):
    """ncnn with one net per model, which runs the images of a batch one after the other."""

    package = module = "ncnn"
    suffixes = (".ncnn",)

    def settings(self) -> dict[str, Any]:
        """Return the options of the nets."""
        return {
            "num_threads": "as `threads` of each model",
            "fp16": "packed, stored and computed in fp16 files alone, where the CPU can",
            "bf16": False,
            "vulkan": False,
        }

    def signature(self, path: Path) -> Signature:
        """Read the input shape and the precision from the metadata, since ncnn's files do not tell them."""
        metadata = read_metadata(path)
        precision = metadata.get("precision")
        return Signature((None, *image_shape(metadata, path)), precision if isinstance(precision, str) else None)

    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """Open a net; a call sets each image of the batch, runs, and reads its logits."""
        net = NcnnNet(path, threads)
        if net.shape != shape[1:]:
            raise ModelError(f"{path} cannot be run by ncnn on images {shape}: it takes {net.shape}")
        return RuntimeSession(lambda images: np.ascontiguousarray(images, np.float32), net)

    def operators(self, path: Path, threads: int, images: Images) -> None:
        """Return None, since ncnn's wheels are built without its profiler."""


RUNTIME = NcnnRuntime
