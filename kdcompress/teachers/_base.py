"""The interface of teachers: logits for images, and a digest that identifies the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kdcompress import registry
from kdcompress.batches import default_batch_size
from kdcompress.config.sections import SingleTeacherSection, ViewsSection
from kdcompress.data import Images, Samples, iter_blocks, resize_images
from kdcompress.errors import DataError, ModelError, TargetsError, one_line
from kdcompress.teachers._embedding import Embedder, EmbeddingSource
from kdcompress.teachers._outputs import N_INSPECTED
from kdcompress.teachers._reading import inspect_outputs
from kdcompress.teachers._spec import OutputSpec, Selection, TargetRows


class Teacher(EmbeddingSource, ABC):
    """A teacher of any framework, of which only outputs are needed.

    Attributes:
        description: Name of the teacher in messages.
        digest: Digest of the model, which identifies its cached targets.
        selection: The part of the file that is used.
        converts_to: Suffixes of other kinds of files that `write_part` writes, in float32.
        input_notes: What was assumed of its input, as messages to follow the description.
        quantization_step: Distance between neighbouring outputs of a quantized model, otherwise 0.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Suffixes of the files of this kind."""
    module: ClassVar[str] = ""
    """The package that runs them, by the name to import it by."""
    traceable: ClassVar[bool] = False
    """Whether TensorFlow runs the model, so that `network` can be traced and exported."""
    copy_suffix: ClassVar[str | None] = None
    """Suffix of the copy in a run folder; None for a kind that is not copied."""

    digest: str
    model: Any = None
    """The Keras model, where the teacher is one."""
    uses_images: bool = True
    """Whether outputs are computed from images; if not, they are looked up by sample ids."""
    selection: Selection = Selection()
    quantization_step: float = 0.0
    input_notes: tuple[str, ...] = ()
    converts_to: tuple[str, ...] = ()

    @classmethod
    def owns(cls, path: Path) -> bool:
        """Whether a file or folder is of this kind, by its name.

        Args:
            path: The file or folder.
        """
        return path.suffix.lower() in cls.suffixes

    @classmethod
    @abstractmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> Teacher:
        """Open a file of this kind.

        Args:
            path: The file or folder.
            section: Settings of the teacher.
            spec: Images and outputs that are required.
            description: Name of the teacher in messages.

        Raises:
            ModelError: The file is damaged, cannot be run, or does not match `spec`.
        """

    @classmethod
    def owns_model(cls, model: Any) -> bool:
        """Whether a model in memory, such as a user's function returns, is of this kind; by default none is."""
        return False

    @classmethod
    def of_model(cls, model: Any, section: SingleTeacherSection, spec: OutputSpec, description: str) -> Teacher:
        """Make a teacher of a model in memory, for which `owns_model` returns True; otherwise as `open`."""
        raise ModelError(f"{description} is made of a file, not of a model in memory")

    @abstractmethod
    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Run the model.

        Args:
            batch: Inputs as `adapter.prepare` returns them.

        Returns:
            Outputs (n, outputs) in the model's own order of classes.
        """

    @abstractmethod
    def save_copy(self, path: Path) -> None:
        """Write a copy of the model atomically.

        Args:
            path: Destination, with the suffix `copy_suffix`.
        """

    @property
    def uses_part(self) -> bool:
        """Whether the file computes other outputs, too, or takes other inputs: `write_part` then leaves these out."""
        return False

    def write_part(self, path: Path) -> Teacher:
        """Write the part of the file that computes the selected output from images, for a teacher that `uses_part`.

        Args:
            path: Destination, with the suffix of the file or one of `converts_to`.

        Returns:
            The part as a teacher.

        Raises:
            ModelError: It cannot be cut out.
        """
        raise ModelError(f"{self.description} has other inputs or outputs, which cannot be cut out of its file")

    def count_outputs(self) -> int:
        """Count the outputs per image by running the model on a blank image.

        Raises:
            ModelError: The model fails, or its output is not a row of numbers per image.
        """
        blank = np.zeros((1, *self.adapter.input_shape), np.uint8)
        size = "x".join(map(str, self.adapter.input_shape))
        try:
            outputs = self.run(self.adapter.prepare(blank))
        except (DataError, TargetsError):
            raise
        except Exception as exc:
            reason = str(exc).removeprefix(f"{self.description} ") if isinstance(exc, ModelError) else one_line(exc)
            raise ModelError(
                f"{self.description} fails on an image of {size}: {reason}; "
                "teacher.preprocessing.size and layout say what it takes"
            ) from exc
        if outputs.ndim != 2 or len(outputs) != 1:
            raise ModelError(
                f"{self.description} has an output of shape {outputs.shape} for one image; it must be (1, classes)"
            )
        return int(outputs.shape[1])

    def open_embedder(self, name: str | None) -> Embedder:
        """Open the output of the model's file that is its embedding; see `EmbeddingSource.open_embedder`."""
        if name is None or self.path is None:
            raise ModelError(
                f"{self.description} does not say which of its outputs is its embedding: name it with teacher.embedding"
            )
        section = self.section.model_copy(update={"output": name, "embedding": None})
        try:
            part = type(self).open(self.path, section, self.spec, self.description)
        except ModelError as exc:
            raise ModelError(str(exc).replace("teacher.output", "teacher.embedding")) from exc
        return Embedder(name, part.run, channels_first=self.channels_first)

    @property
    def identity(self) -> dict[str, Any]:
        """What the outputs depend on beside the image, as JSON values; part of the keys of caches."""
        return {"teacher": self.digest, "outputs": self.reading.identity, "preprocessing": self.adapter.identity}

    def logits(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Compute logits.

        Args:
            images: Pixels (n, H, W, C) of 0 to 255, of the teacher's input size.

        Returns:
            Shape (n, classes), in the data's order of classes.
        """
        return self.to_logits(self.run(self.adapter.prepare(images)))

    def resize(self, images: Images) -> Images:
        """Convert images of the data to the size and number of channels of the teacher's input.

        Args:
            images: Images (n, H, W, C), in memory or read on access.
        """
        return resize_images(images, self.adapter.input_shape, self.adapter.section.resize)

    def predict(self, samples: Samples) -> NDArray[np.float32]:
        """Compute the logits of all samples, batch by batch.

        Args:
            samples: Samples of the data.

        Returns:
            Shape (n, classes).
        """
        images = self.resize(samples.images)
        return np.concatenate(
            [self.logits(block) for block in iter_blocks(images, default_batch_size(images.shape[1:]))]
        )

    def network(self) -> Any:
        """Return a function network(images, training=False) that TensorFlow can trace, from prepared images to outputs.

        Raises:
            ModelError: The teacher is not `traceable`, or its input cannot be exported.
        """
        raise ModelError(f"{self.description} is not run by TensorFlow, and is not exported")

    def check_samples(self, ids: NDArray[np.str_], views: ViewsSection) -> None:
        """Check that the teacher has outputs for all samples and views; by default it computes them from images.

        Args:
            ids: Ids of the samples (n,).
            views: The views of each sample.

        Raises:
            TargetsError: Outputs are missing.
        """
        return

    def stored_logits(self, samples: Samples) -> TargetRows | None:
        """Return logits that are stored and need no inference, None by default.

        Args:
            samples: Samples of the data.

        Returns:
            Shape (n, 1, classes).
        """
        return None

    def set_reading(self, section: SingleTeacherSection, samples: Samples) -> None:
        """Set `reading` from the recipe, or from the outputs for some images; a zoo model gives logits.

        Args:
            section: Settings of the teacher.
            samples: Samples of the data.

        Raises:
            ModelError: The outputs cannot be what the recipe says.
        """
        if section.outputs == "auto" and registry.contains("models", section.model):
            return
        outputs = self.run(self.adapter.prepare(self.resize(samples.images)[:N_INSPECTED]))
        self.reading = inspect_outputs(outputs, self.quantization_step, section.outputs, self.description)
