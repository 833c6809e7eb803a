"""SavedModel: float32, for TensorFlow Serving and other TensorFlow programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.config.images import read_image_settings
from kdcompress.errors import ModelError
from kdcompress.exporting._base import FP32, ExportedModel, Format, Images, Logits, Options
from kdcompress.exporting._network import Network, trace
from kdcompress.files import read_json
from kdcompress.formats.saved_model.model import open_signature
from kdcompress.metadata import read_classes
from kdcompress.paths import safe_join

_METADATA = "assets.extra/kdcompress.json"  # the format reserves this folder for users


class SavedModel(Format):
    """SavedModel folders with signature `serving_default`: float32 image (batch, H, W, C) to logits (batch, classes).

    TensorFlow writes a unique ID into every SavedModel, so two exports of the same model differ in their bytes.
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
        """Write a SavedModel whose weights remain variables, so that they can be counted and trained."""
        import tensorflow as tf

        holder = tf.Module()
        holder.weights = [weight.value for weight in network.model.weights]  # TensorFlow saves tracked variables only
        signature = trace(network.model, network.input_shape)
        tf.saved_model.save(holder, str(path), signatures={"serving_default": signature})
        extra = path / _METADATA
        extra.parent.mkdir()
        extra.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")

    def open(self, path: Path, threads: int = 1) -> ExportedModel:
        """Open a SavedModel with TensorFlow, which uses the threads of the process."""
        import tensorflow as tf

        signature = open_signature(path)
        inputs = signature.structured_input_signature[1]
        shapes = [spec.shape for spec in inputs.values()]
        if len(shapes) != 1 or shapes[0].rank != 4 or None in shapes[0][1:] or len(signature.structured_outputs) != 1:
            description = ", ".join(f"{name} {spec.shape}" for name, spec in inputs.items())
            raise ModelError(f"{path} takes {description}; it must take one image (batch, H, W, C) and give one output")
        (name,) = inputs

        def run(images: Images) -> Logits:
            (logits,) = signature(**{name: tf.constant(images.astype(np.float32))}).values()
            return np.asarray(logits)

        height, width, channels = shapes[0][1:]
        metadata = _metadata(path)
        settings = read_image_settings(metadata, str(path))
        return ExportedModel(run, (height, width, channels), read_classes(metadata, path), settings)


def _metadata(path: Path) -> dict[str, Any]:
    try:
        return read_json(safe_join(path, _METADATA, str(path), ModelError), ModelError, "export it again")
    except FileNotFoundError:
        return {}


FORMAT = SavedModel
