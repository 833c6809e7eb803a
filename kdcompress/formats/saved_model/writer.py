"""SavedModel: float32, for TensorFlow Serving and everything else that reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.errors import ModelError
from kdcompress.exporting._base import FP32, ExportedModel, Format, Images, Logits, Options
from kdcompress.exporting._network import Network, trace
from kdcompress.files import read_json
from kdcompress.formats.saved_model.model import open_signature
from kdcompress.metadata import read_classes
from kdcompress.paths import safe_join

_METADATA = "assets.extra/kdcompress.json"  # the place that the format leaves to its users


class SavedModel(Format):
    """A folder; signature `serving_default`: image (batch, H, W, C) float32 to logits (batch, classes) float32.

    TensorFlow stamps every SavedModel, so two of the same model differ in their bytes.
    """

    suffix = ".saved_model"
    precisions = (FP32,)
    reproducible = False

    def write(
        self,
        network: Network,
        path: Path,
        precision: str,
        options: Options,
        calibration: Images | None,
        metadata: dict[str, Any],
    ) -> None:
        """See Format.write; weights stay variables, so that whoever loads it can count and train them."""
        import tensorflow as tf

        holder = tf.Module()
        holder.weights = [weight.value for weight in network.model.weights]  # TensorFlow saves what it can reach
        signature = trace(network.model, network.input_shape)
        tf.saved_model.save(holder, str(path), signatures={"serving_default": signature})
        extra = path / _METADATA
        extra.parent.mkdir()
        extra.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")

    def open(self, path: Path, threads: int = 1) -> ExportedModel:
        """See Format.open; runs by TensorFlow, whose threads are those of the process."""
        import tensorflow as tf

        signature = open_signature(path)
        inputs = signature.structured_input_signature[1]
        shapes = [spec.shape for spec in inputs.values()]
        if len(shapes) != 1 or shapes[0].rank != 4 or None in shapes[0][1:] or len(signature.structured_outputs) != 1:
            given = ", ".join(f"{name} {spec.shape}" for name, spec in inputs.items())
            raise ModelError(f"{path} takes {given}; it must take one image (batch, H, W, C) and give one output")
        (name,) = inputs

        def run(images: Images) -> Logits:
            (logits,) = signature(**{name: tf.constant(images.astype(np.float32))}).values()
            return np.asarray(logits)

        height, width, channels = shapes[0][1:]
        return ExportedModel(run, (height, width, channels), read_classes(_metadata(path), path))


def _metadata(path: Path) -> dict[str, Any]:
    try:
        return read_json(safe_join(path, _METADATA, str(path), ModelError), ModelError, "export it again")
    except FileNotFoundError:
        return {}


FORMAT = SavedModel
