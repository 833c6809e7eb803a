"""Embeddings of teachers: what the head of a network reads, and the head as a matrix."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import Samples
from kdcompress.errors import ModelError
from kdcompress.teachers._conversion import LogitsConversion
from kdcompress.teachers._reading import with_both_classes
from kdcompress.teachers._spec import OutputSpec, TargetRows

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Classifier:
    """The last layer of a network: logits = embedding @ kernel + bias.

    Attributes:
        kernel: Shape (width, outputs).
        bias: Shape (outputs,).
    """

    kernel: Floats
    bias: Floats


@dataclass(frozen=True)
class Embedder:
    """The part of a network that computes its embedding.

    Attributes:
        layer: Name of the layer, tensor or output, part of the keys of caches.
        run: Maps inputs, as `adapter.prepare` returns them, to (n, width) or feature maps of rank 4.
        classifier: What follows, where that is one known layer.
        channels_first: Whether feature maps are (n, width, H, W).
    """

    layer: str
    run: Callable[[NDArray[Any]], NDArray[Any]]
    classifier: Classifier | None = None
    channels_first: bool = False

    def embed(self, inputs: NDArray[Any], description: str) -> Floats:
        """Compute embeddings; feature maps are averaged over height and width.

        Args:
            inputs: Inputs of the network.
            description: Name of the network in messages.

        Returns:
            Shape (n, width).

        Raises:
            ModelError: The output has another rank.
        """
        outputs = np.asarray(self.run(inputs), np.float32)
        if outputs.ndim == 4:
            outputs = outputs.mean(axis=(2, 3) if self.channels_first else (1, 2))
        if outputs.ndim != 2:
            raise ModelError(
                f"teacher.embedding: {self.layer} of {description} has an output of shape {outputs.shape[1:]} for each "
                "image; an embedding is a row of numbers, or feature maps of rank 3"
            )
        return outputs


class EmbeddingSource(LogitsConversion, ABC):
    """The part of a teacher that gives its embedding.

    Attributes:
        description: Name of the teacher in messages.
        section: Settings of the teacher.
        spec: Images and outputs that are required.
    """

    description: str
    path: Path | None = None
    """The model file or folder; None for a model in memory and where there is no model."""
    section: SingleTeacherSection = SingleTeacherSection(model="")
    spec: OutputSpec = OutputSpec((1, 1, 1), ())

    @abstractmethod
    def open_embedder(self, name: str | None) -> Embedder:
        """Open the part of the model that computes its embedding.

        Args:
            name: Setting teacher.embedding of the recipe.

        Raises:
            ModelError: The model has no such layer or output, or the recipe must name one.
        """

    channels_first: ClassVar[bool] = False
    """Whether feature maps are (n, width, H, W)."""

    @abstractmethod
    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the model; see `Teacher.run`."""

    def check_head(self) -> None:
        """Check that the model can be written with a head, before one is fitted.

        Raises:
            ModelError: That cannot be done for this kind of model, or what it takes is not installed.
        """
        raise ModelError(
            f"{self.description}: teacher.probe takes Keras, ONNX and PyTorch models; convert it to ONNX first"
        )

    def write_with_head(self, path: Path, head: Classifier, stored: Mapping[str, Any] | None = None) -> Path:
        """Write the model with a linear head behind its embedding, where `check_head` allows it.

        Args:
            path: Destination without a suffix.
            head: The head.
            stored: Preprocessing to store in the file, for a model whose own file holds it.

        Returns:
            The file.

        Raises:
            ModelError: The model cannot be written.
        """
        raise NotImplementedError(type(self).__name__)

    @cached_property
    def embedder(self) -> Embedder:
        """The part of the model that computes its embedding: the whole of a model that gets a probe."""
        if self.section.probe and self.section.embedding is None:
            return Embedder("output", self.run, channels_first=self.channels_first)
        return self.open_embedder(self.section.embedding)

    def embed(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Compute embeddings.

        Args:
            images: Pixels (n, H, W, C) of 0 to 255, of the teacher's input size.

        Returns:
            Shape (n, width).
        """
        return self.embedder.embed(self.adapter.prepare(images), self.description)

    @property
    def classifier(self) -> Classifier | None:
        """The layer from the embedding to logits, in the data's order of classes; None where it is not known."""
        last = self.embedder.classifier
        if last is None:
            return None
        kernel, bias = last.kernel, last.bias[None]
        if self.single_output:
            kernel, bias = with_both_classes(kernel), with_both_classes(bias)
        return Classifier(self.adapter.arrange(kernel), self.adapter.arrange(bias)[0])

    def stored_embeddings(self, samples: Samples) -> TargetRows | None:
        """Return embeddings that are stored and need no inference, None by default.

        Args:
            samples: Samples of the data.

        Returns:
            Shape (n, 1, width).
        """
        return None
