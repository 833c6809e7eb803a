"""The parts of a recipe, each a section of its TOML file: what may be asked for, and within which limits."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
)

from kdcompress.config.initialization import Initialization
from kdcompress.config.limits import MAX_CLASSES, MAX_IMAGES, MAX_PARTS, MAX_SCALE, MAX_SIDE
from kdcompress.config.settings import Section
from kdcompress.config.training import TrainingSection

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Pixel = Annotated[float, Field(ge=-MAX_SCALE, le=MAX_SCALE)]
Pixels = Annotated[tuple[Pixel, ...], Field(min_length=1, max_length=1024)]
ClassNames = Annotated[tuple[str, ...], Field(max_length=MAX_CLASSES)]
# What the int64 and the float32 of a model's inputs hold; the lowest float32 stands for minus infinity at times
Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Real = Annotated[float, Field(ge=-3.5e38, le=3.5e38)]
# PyTorch's older exporter numbers what it names
Name = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]


class SplitSection(Section):
    """How train is cut; the seed stands apart from the run's, so that a kept teacher never saw validation images."""

    validation_fraction: float = Field(0.05, gt=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**32)
    limit: int | None = Field(None, ge=1, le=MAX_IMAGES)


class ViewsSection(Section):
    """`count` views of every training image: view 0 is the image itself, the others are flipped, turned and shifted.

    With `flips`, view k has the (k modulo 8)-th of the eight flips and quarter turns (of images that are not square: of
    the four flips); each view but 0 is then turned by up to `rotation_deg` and shifted by up to `shift_px`. `fill` is
    what comes in at the edges.
    """

    count: int = Field(1, ge=1, le=64)
    shift_px: float = Field(2.0, ge=0, le=64)
    rotation_deg: float = Field(10.0, ge=0, le=180)
    flips: bool = False
    fill: Literal["black", "reflect"] = "black"

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the images: with one view, how others would be drawn does not."""
        return self.model_dump() if self.count > 1 else {"count": 1}


class PreprocessingSection(Section):
    """What a teacher expects of an image, as far as it does not do it itself: (pixel * scale - mean) / std.

    Pixels are 0 to 255; `mean` and `std` are one number or one for each channel, in the teacher's order of channels.
    `size` (H or H, W) is needed where the teacher leaves it open; `classes` are its outputs, in its order, by name.
    """

    scale: float = Field(1.0, ge=1 / MAX_SCALE, le=MAX_SCALE)
    mean: Pixel | Pixels = 0.0
    std: Pixel | Pixels = 1.0
    layout: Literal["auto", "nhwc", "nchw"] = "auto"
    channel_order: Literal["rgb", "bgr"] = "rgb"
    size: Side | tuple[Side, Side] | None = None
    classes: ClassNames | None = None

    @property
    def is_identity(self) -> bool:
        """Whether pixels are given as they are."""
        return (self.scale, self.mean, self.std, self.channel_order) == (1.0, 0.0, 1.0, "rgb")

    @field_validator("scale", mode="before")
    @classmethod
    def _fraction(cls, value: Any) -> Any:
        """1/255 has no short decimal: a fraction is read from text."""
        if not isinstance(value, str):
            return value
        try:
            above, _, below = value.partition("/")
            return float(above) / float(below or 1)
        except (ValueError, ZeroDivisionError):
            raise ValueError("is a number above 0, or a fraction such as '1/255'") from None

    @field_validator("std")
    @classmethod
    def _above_0(cls, value: float | tuple[float, ...]) -> float | tuple[float, ...]:
        if min(value if isinstance(value, tuple) else (value,), default=0.0) < 1 / MAX_SCALE:
            raise ValueError(f"must be > 0 for every channel, and not below {1 / MAX_SCALE:g}")
        return value


class ModelSection(Section):
    """A model, and what it starts from if it is of the zoo and knows such settings.

    `pretrained` is none, imagenet (Keras's own download) or a weights file; `width` multiplies the filters.
    """

    model: str
    pretrained: str = "none"
    width: float = Field(1.0, gt=0, le=8)

    @property
    def initialization(self) -> Initialization:
        """What the model starts from."""
        return Initialization(self.pretrained, self.width)


class SingleTeacherSection(ModelSection):
    """One teacher; a zoo model is trained by us (and kept), a file or function comes as it is.

    `weights` says whether we train a zoo model, `pretrained` what it starts from.
    `input` and `output` name what to use of a file that has several; `constants` are what its other inputs are given.
    """

    weights: Literal["train", "none"] = "train"
    seed: int = Field(0, ge=0, lt=2**32)
    training: TrainingSection = TrainingSection()
    input: Name | None = None
    output: Name | None = None
    constants: dict[str, bool | Whole | Real] = Field(default_factory=dict, max_length=MAX_PARTS)
    outputs: Literal["auto", "logits", "probabilities"] = "auto"
    preprocessing: PreprocessingSection = PreprocessingSection()


class MemberSection(SingleTeacherSection):
    """One teacher of several, and what it weighs beside the others."""

    weight: float = Field(1.0, gt=0, le=MAX_SCALE)


class TeacherSection(SingleTeacherSection):
    """The teacher, or several `members` whose answers are averaged.

    `check` stops a teacher that knows the labelled training images no better than chance, or answers in another order
    of classes.
    """

    model: str = ""
    members: tuple[MemberSection, ...] = Field((), max_length=MAX_PARTS)
    combine: Literal["probabilities", "logits"] = "probabilities"
    check: bool = True

    @property
    def teachers(self) -> tuple[SingleTeacherSection, ...]:
        """The teachers, one or several."""
        return self.members or (self,)

    @property
    def display_name(self) -> str:
        """What the recipe calls it."""
        return ", ".join(one.model for one in self.teachers)


class UnlabelledSection(Section):
    """Further images without labels, from which the student learns what the teacher makes of them."""

    PATHS: ClassVar[tuple[str, ...]] = ("dir",)

    dir: str
    limit: int | None = Field(None, ge=1, le=MAX_IMAGES)


class StudentSection(ModelSection):
    """The student, trained with and without the teacher."""
