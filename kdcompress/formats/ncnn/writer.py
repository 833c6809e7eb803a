"""ncnn: float32 or float16 weights, for one image at a time; converted from ONNX by pnnx."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.config.images import read_image_settings
from kdcompress.errors import ExportError
from kdcompress.exporting._base import FP16, FP32, ExportedModel, Format, Images, Logits, Options
from kdcompress.exporting._network import Network
from kdcompress.formats.ncnn.conversion import convert, find_converter
from kdcompress.formats.ncnn.model import FILES, GRAPH, METADATA, WEIGHTS, NcnnNet, unknown_operators
from kdcompress.formats.ncnn.trial import try_run
from kdcompress.leftovers import temporary_folder
from kdcompress.metadata import read_classes


class Ncnn(Format):
    """Folders of graph, weights and metadata.json, from input `in0`, float32 (H, W, C), to output `out0`, (classes)."""

    suffix = ".ncnn"
    contents = FILES
    precisions = (FP32, FP16)
    extra = "ncnn"

    def write(
        self,
        network: Network,
        path: Path,
        precision: str,
        options: Options,
        calibration: Images | None,
        metadata: dict[str, Any],
    ) -> None:
        """Write an ONNX file, convert it with pnnx, and try it in a process of its own."""
        from kdcompress.exporting import make_format

        find_converter()
        with temporary_folder() as folder:
            source = folder / "model.onnx"
            make_format("onnx").write(network, source, FP32, options, None, {})
            graph, weights = convert(source, network.input_shape, half=precision == FP16)
            if unknown := unknown_operators(graph):
                subject = f"{unknown[0]}{_location(source, unknown[0], network)}"
                raise ExportError(f"ncnn cannot express operator {subject}; replace it, or export another --format")
            path.mkdir()
            shutil.copyfile(graph, path / GRAPH)
            shutil.copyfile(weights, path / WEIGHTS)
        taken = {**metadata.get("input", {}), "shape": list(network.input_shape)}
        document = {**metadata, "precision": precision, "input": taken}
        (path / METADATA).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        try_run(path)

    def open(self, path: Path, threads: int = 1) -> ExportedModel:
        """Open a folder with ncnn."""
        net = NcnnNet(path, threads)

        def run(images: Images) -> Logits:
            return net(np.ascontiguousarray(images, np.float32))

        classes = read_classes(net.metadata, path)
        return ExportedModel(run, net.shape, classes, read_image_settings(net.metadata, str(path)))


def _location(source: Path, operator: str, network: Network) -> str:
    """Name the layer of the first operator of a type in an ONNX file; empty for one that is pnnx's own."""
    import onnx

    nodes = onnx.load(str(source), load_external_data=False).graph.node
    layers = (network.layer_name(node.name) for node in nodes if node.op_type == operator)
    layer = next((layer for layer in layers if layer in network.layers), None)
    return f" of layer {layer}" if layer else ""


FORMAT = Ncnn
