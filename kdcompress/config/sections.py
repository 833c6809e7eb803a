"""Sections of a recipe, with the types and limits of their values."""

from __future__ import annotations

import operator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from kdcompress.config.fractions import Factor
from kdcompress.config.images import Resize
from kdcompress.config.initialization import Initialization
from kdcompress.config.limits import MAX_CLASSES, MAX_IMAGES, MAX_PARTS, MAX_SCALE, MAX_SIDE
from kdcompress.config.settings import Section
from kdcompress.config.training import TrainingSection

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Pixel = Annotated[float, Field(ge=-MAX_SCALE, le=MAX_SCALE)]
Pixels = Annotated[tuple[Pixel, ...], Field(min_length=1, max_length=1024)]
ClassNames = Annotated[tuple[str, ...], Field(max_length=MAX_CLASSES)]
# Values of int64 and float32 inputs; some models use the lowest float32 as minus infinity
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Real = Annotated[float, Field(ge=-3.5e38, le=3.5e38)]
# The older exporter of PyTorch names tensors by numbers
Name = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]


class SplitSection(Section):
    """Split of the training data into train and validation.

    Attributes:
        validation_fraction: Fraction of the training data for validation, in (0, 1).
        seed: Seed of the split. It is separate from that of the run, so that no cached teacher has been trained on
            validation images.
        limit: Maximum number of training images.
        labels_per_class: Number of training images of each class that keep their label. Validation keeps as large a
            share of its images, and at least one of each class.
        labels_seed: Seed by which those are drawn.
        rest: Whether the student learns from the other training images as images without labels, or they are left
            out, while its epochs keep their number of steps.
    """

    validation_fraction: float = Field(0.05, gt=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**32)
    limit: int | None = Field(None, ge=1, le=MAX_IMAGES)
    labels_per_class: int | None = Field(None, ge=1, le=MAX_IMAGES)
    # Not written at their defaults, so that recipes, and what is cached by them, are those of before they were there
    labels_seed: int = Field(0, ge=0, lt=2**32, exclude_if=operator.not_)
    rest: Literal["unlabelled", "left out"] = Field("unlabelled", exclude_if=lambda value: value == "unlabelled")

    @model_validator(mode="after")
    def _check_few_labels(self) -> SplitSection:
        if self.labels_per_class is None and (self.labels_seed or self.rest != "unlabelled"):
            key = "labels_seed" if self.labels_seed else "rest"
            raise ValueError(f"{key} goes with labels_per_class, which is missing; leave it out, or set both")
        return self


class ViewsSection(Section):
    """Enumerated augmentation: a fixed number of views of each training image. View 0 is the image itself.

    Attributes:
        count: Number of views K.
        shift_px: Maximum shift of the other views along each axis, in pixels.
        rotation_deg: Maximum rotation of the other views, in degrees.
        flips: Whether view k gets the (k modulo 8)-th of the eight flips and quarter turns, or of the four flips if
            images are not square, before rotation and shift.
        fill: Pixels outside the image: black, or the reflected image.
    """

    count: int = Field(1, ge=1, le=64)
    shift_px: float = Field(2.0, ge=0, le=64)
    rotation_deg: float = Field(10.0, ge=0, le=180)
    flips: bool = False
    fill: Literal["black", "reflect"] = "black"

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that influence the images: with one view, the count alone."""
        return self.model_dump() if self.count > 1 else {"count": 1}


class PreprocessingSection(Section):
    """Preprocessing that a teacher expects and does not contain: (pixel * scale - mean) / std for pixels of 0 to 255.

    Attributes:
        scale: Factor, also as the text of a fraction such as "1/255".
        mean: One number, or one per channel in the teacher's channel order.
        std: As `mean`; > 0.
        layout: Axis order of the teacher's input; auto detects it.
        channel_order: Channel order of the teacher's input.
        size: Side, or (H, W), of the teacher's input, where the model leaves it open.
        resize: How images of another aspect ratio than the teacher's input are resized: squash, crop or pad; by default
            as `data.resize` says.
        classes: Names of the teacher's outputs in their order, where it differs from that of the data.
    """

    scale: Factor = 1.0
    mean: Pixel | Pixels = 0.0
    std: Pixel | Pixels = 1.0
    layout: Literal["auto", "nhwc", "nchw"] = "auto"
    channel_order: Literal["rgb", "bgr"] = "rgb"
    size: Side | tuple[Side, Side] | None = None
    resize: Resize | None = None
    classes: ClassNames | None = None

    @property
    def is_identity(self) -> bool:
        """Whether pixels are passed on unchanged."""
        return (self.scale, self.mean, self.std, self.channel_order) == (1.0, 0.0, 1.0, "rgb")

    @field_validator("std")
    @classmethod
    def _check_positive(cls, value: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if min(value if isinstance(value, tuple) else (value,), default=0.0) < 1 / MAX_SCALE:
            raise ValueError(f"must be > 0 for every channel, and not below {1 / MAX_SCALE:g}")
        return value


class ModelSection(Section):
    """A model and, for zoo models that support it, its initialization.

    Attributes:
        model: Name of a zoo model, model file, or module:function.
        pretrained: none, imagenet (downloaded by Keras), or a weights file.
        width: Multiplier of the number of filters.
    """

    model: str
    pretrained: str = "none"
    width: float = Field(1.0, gt=0, le=8)

    @property
    def initialization(self) -> Initialization:
        """The initialization of the model."""
        return Initialization(self.pretrained, self.width)


class SingleTeacherSection(ModelSection):
    """One teacher: a zoo model, which is trained first and cached, or a model file or function, which is used as it is.

    Attributes:
        weights: Whether a zoo model is trained; `none` uses its initialization.
        seed: Seed of the training of a zoo model.
        training: Training of a zoo model.
        labels: Whether a zoo model, or a linear head on an embedding, is trained with the labels that
            `split.labels_per_class` leaves, or with all of the training images, as a large model that exists already.
        input: Name of the image input of a file with several inputs.
        output: Name of the output of a file with several outputs.
        constants: Values of further inputs, by name.
        outputs: Whether the outputs are logits or probabilities; auto detects it.
        embedding: Layer, tensor or output that is the teacher's embedding; by default what its last layer reads, or its
            output if it gets a probe.
        probe: Whether a linear head is fitted on the embeddings of the labelled images first, for a network without
            classes of its own.
        preprocessing: Preprocessing that the model does not contain.
    """

    weights: Literal["train", "none"] = "train"
    seed: int = Field(0, ge=0, lt=2**32)
    training: TrainingSection = TrainingSection()
    labels: Literal["kept", "all"] = Field("kept", exclude_if=lambda value: value == "kept")
    input: Name | None = None
    output: Name | None = None
    constants: dict[str, bool | Whole | Real] = Field(default_factory=dict, max_length=MAX_PARTS)
    outputs: Literal["auto", "logits", "probabilities", "sigmoids"] = "auto"
    # Not written where it is not set, so that recipes, and what is cached by them, are those of before it was there
    embedding: Name | None = Field(None, exclude_if=lambda value: value is None)
    probe: bool = Field(False, exclude_if=operator.not_)
    preprocessing: PreprocessingSection = PreprocessingSection()


class MemberSection(SingleTeacherSection):
    """One teacher of an ensemble.

    Attributes:
        weight: Weight in the mean over the ensemble, > 0; weights need not sum to 1.
    """

    weight: float = Field(1.0, gt=0, le=MAX_SCALE)


class TeacherSection(SingleTeacherSection):
    """The teacher, or an ensemble of several `members`.

    Attributes:
        members: Teachers whose outputs are averaged; `model` is empty then.
        combine: Whether probabilities or logits of the members are averaged.
        check: Whether a teacher is refused if its accuracy on training images is no better than chance, or if its
            classes are in another order.
    """

    model: str = ""
    members: tuple[MemberSection, ...] = Field((), max_length=MAX_PARTS)
    combine: Literal["probabilities", "logits"] = "probabilities"
    check: bool = True

    @property
    def teachers(self) -> tuple[SingleTeacherSection, ...]:
        """The sections of all teachers, one or several."""
        return self.members or (self,)

    @property
    def display_name(self) -> str:
        """The models of all teachers, separated by commas."""
        return ", ".join(teacher.model for teacher in self.teachers)


class UnlabelledSection(Section):
    """Further images without labels, on which the student is trained with the teacher's outputs alone.

    Attributes:
        dir: Folder of the images.
        limit: Maximum number of images.
    """

    PATHS: ClassVar[tuple[str, ...]] = ("dir",)

    dir: str
    limit: int | None = Field(None, ge=1, le=MAX_IMAGES)


class StudentSection(ModelSection):
    """The student, which is trained with and without the teacher."""
