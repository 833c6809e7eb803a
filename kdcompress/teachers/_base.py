"""What a teacher is to the rest of kdcompress: numbers for images, and a digest that names who gave them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kdcompress.batches import default_batch_size
from kdcompress.config.sections import SingleTeacherSection, ViewsSection
from kdcompress.data import Images, Samples, Shape, iter_blocks, resize_images
from kdcompress.errors import DataError, ModelError, RecipeError, TargetsError, one_line
from kdcompress.teachers._adapter import InputAdapter

# Rows of probabilities sum to 1 within this, in float32 or float16.
_SUM_TOLERANCE = 1e-3
# Images whose outputs are looked at to tell probabilities from logits
N_INSPECTED = 64


RowIndex: TypeAlias = "tuple[NDArray[np.int64] | slice, NDArray[np.int64] | int]"


@dataclass(frozen=True)
class OutputSpec:
    """What a teacher is asked about: images (H, W, C) of these classes, and how many numbers it gives for each.

    That is one for each class, unless a method wants another head.
    """

    input_shape: Shape
    classes: tuple[str, ...]
    head: int = 0

    @property
    def n_outputs(self) -> int:
        """How many numbers a teacher gives for an image."""
        return self.head or len(self.classes)


class TargetRows(Protocol):
    """Targets (samples, views, ...) that are read when they are indexed: rows[samples, views]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, views, ...)."""

    def __getitem__(self, place: RowIndex) -> NDArray[np.float32]:
        """The targets (n, ...) of these samples in these views, or in one view."""


class Teacher(ABC):
    """A teacher from any framework: only its numbers are needed.

    `what` names it in messages; `digest` names who answers; `step` is the distance of two neighbouring outputs of one
    that answers in integers, else 0.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    """The endings of the files that are teachers of this kind."""
    traceable: ClassVar[bool] = False
    """Whether TensorFlow runs it, so that `network` can be traced and exported."""
    copy_suffix: ClassVar[str | None] = None
    """The ending of the copy that a run keeps; None for a kind of which nothing can be kept."""

    description: str
    digest: str
    adapter: InputAdapter
    path: Path | None = None
    """The model file or folder that is run; None of a model in memory, and where there is no model."""
    model: Any = None
    """The Keras model, of a teacher that is one."""
    uses_images: bool = True
    """Whether it looks at images, so that it answers any image in any preprocessing."""
    output_kind: str = "logits"
    quantization_step: float = 0.0

    @classmethod
    def owns(cls, path: Path) -> bool:
        """Whether a file or folder is a teacher of this kind, by its name."""
        return path.suffix.lower() in cls.suffixes

    @classmethod
    @abstractmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, what: str) -> Teacher:
        """Open a file of this kind; ModelError if it is none, cannot be run, or does not match the spec."""

    @abstractmethod
    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """The model's own outputs for its own input, in its own order of classes."""

    @abstractmethod
    def save_copy(self, path: Path) -> None:
        """Write a copy to `path`, which ends in `copy_suffix`, whole or not at all."""

    def count_outputs(self) -> int:
        """How many numbers it gives for an image, found out with a blank one; ModelError if it gives no row of them."""
        blank = np.zeros((1, *self.adapter.input_shape), np.uint8)
        shown = "x".join(map(str, self.adapter.input_shape))
        try:
            outputs = self.run(self.adapter.prepare(blank))
        except (DataError, TargetsError):
            raise
        except Exception as exc:
            said = str(exc).removeprefix(f"{self.description} ") if isinstance(exc, ModelError) else one_line(exc)
            raise ModelError(
                f"{self.description} fails on an image of {shown}: {said}; "
                "teacher.preprocessing.size and layout say what it takes"
            ) from exc
        if outputs.ndim != 2 or len(outputs) != 1:
            raise ModelError(
                f"{self.description} has an output of shape {outputs.shape} for one image; it must be (1, classes)"
            )
        return int(outputs.shape[1])

    @property
    def identity(self) -> dict[str, Any]:
        """Who answers, and how: what a cached answer depends on beside the image."""
        return {"teacher": self.digest, "outputs": self.output_kind, "preprocessing": self.adapter.identity}

    def raw_outputs(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Outputs (n, classes) in the data's order for pixels (n, H, W, C), 0 to 255, of the teacher's own size."""
        return self.adapter.arrange(self.run(self.adapter.prepare(images)))

    def logits(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """As `raw`, as logits: a teacher that ends in probabilities gives their logarithms."""
        return self.to_logits(self.raw_outputs(images))

    def resize(self, images: Images) -> Images:
        """Images of the data in the size and colours that this teacher takes."""
        return resize_images(images, self.adapter.input_shape)

    def predict(self, samples: Samples) -> NDArray[np.float32]:
        """The logits (n, classes) of all samples, read and asked batch by batch."""
        images = self.resize(samples.images)
        return np.concatenate(
            [self.logits(block) for block in iter_blocks(images, default_batch_size(images.shape[1:]))]
        )

    def network(self) -> Any:
        """What TensorFlow traces, as network(images, training=False), from prepared images to outputs.

        Errors: ModelError where it cannot; of teachers that are not `traceable`, always.
        """
        raise ModelError(f"{self.description} is not run by TensorFlow, and is not exported")

    def check_samples(self, ids: NDArray[np.str_], views: ViewsSection) -> None:
        """TargetsError unless the teacher can answer for the images of these ids, in so many views of each."""
        return  # by looking at them

    def stored_logits(self, samples: Samples) -> TargetRows | None:
        """The answers to samples that a teacher knows without being asked; None of one that must look at them."""
        return None

    def to_logits(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn the model's own outputs (..., classes) into logits; a 0 of one that counts in steps is half a step."""
        if self.output_kind == "probabilities":
            least = np.float32(max(float(np.finfo(np.float32).tiny), self.quantization_step / 2))
            return np.asarray(np.log(np.maximum(raw, least)), np.float32)
        return raw

    def detect_probabilities(self, images: NDArray[Any]) -> bool:
        """Look at the outputs for some images; returns whether they are probabilities, to be turned into logits."""
        probabilities = are_probabilities(self.raw_outputs(images), self.quantization_step)
        self.output_kind = "probabilities" if probabilities else "logits"
        return probabilities

    def set_output_kind(self, section: SingleTeacherSection, samples: Samples) -> None:
        """Take the outputs for what the recipe says they are, or for what they look like."""
        if section.outputs == "auto":
            self.detect_probabilities(self.resize(samples.images)[:N_INSPECTED])
        else:
            self.output_kind = section.outputs


def are_probabilities(outputs: NDArray[np.floating[Any]], step: float = 0.0) -> bool:
    """Whether outputs (n, classes) are probabilities, not logits: none is negative and every row sums to 1.

    Outputs that are rounded to `step` may miss 1 by half a step each.
    """
    tolerance = _SUM_TOLERANCE + outputs.shape[-1] * step / 2
    return bool((outputs >= 0).all() and (np.abs(outputs.sum(axis=-1) - 1) < tolerance).all())


def check_output_count(teacher: Teacher, spec: OutputSpec) -> None:
    """ModelError unless the teacher gives a row of numbers for an image, one for each class."""
    what, found, classes = teacher.description, teacher.count_outputs(), len(spec.classes)
    named = teacher.adapter.section.classes
    if spec.n_outputs != classes:
        if found != spec.n_outputs:
            raise ModelError(
                f"{what} has {found} outputs, and a subclass student learns from {spec.n_outputs} subclass logits; "
                "take a teacher that is trained for it (teacher.model = a zoo name), or another method"
            )
        if named is not None:
            raise RecipeError("teacher.preprocessing.classes orders classes, and the method wants subclasses")
        return
    if named is not None and len(named) != found:
        raise ModelError(f"{what} has {found} classes, teacher.preprocessing.classes names {len(named)}")
    if named is None and found != classes:
        more = "; name its outputs in teacher.preprocessing.classes" if found > classes else ""
        raise ModelError(
            f"{what} has {found} classes, the data has {classes} classes; "
            f"it must end in (batch, {classes}) logits{more}"
        )


def select_name(names: Sequence[str], asked: str | None, what: str, key: str) -> str:
    """The one of `names` that is asked for, or the only one; ModelError lists them, with the key that names one."""
    side = "inputs" if key == "teacher.input" else "outputs"
    if asked is not None:
        if asked not in names:
            raise ModelError(f"{key}: {what} has no {asked!r} among its {side}; it has {', '.join(names)}")
        return asked
    if len(names) != 1:
        raise ModelError(f"{what} has {len(names)} {side} ({', '.join(names)}); name the one to use with {key}")
    return names[0]
