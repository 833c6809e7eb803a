"""Conversion of raw pixels to a teacher's input (size, scale, layout), and of its outputs to the data's classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import PreprocessingSection
from kdcompress.data import Shape
from kdcompress.errors import ModelError, RecipeError
from kdcompress.models import check_image_size
from kdcompress.registry import did_you_mean
from kdcompress.teachers._spec import OutputSpec

_CHANNELS = (1, 3, 4)  # sizes that distinguish the channel axis from height and width

Sizes = Sequence[int | None]


@dataclass(frozen=True)
class InputAdapter:
    """Conversion between the data's images and classes and those of a teacher.

    Attributes:
        input_shape: Shape (H, W, C) that images are resized to.
        section: Preprocessing that the model does not contain.
        nchw: Whether the model's input has the layout NCHW.
        columns: Index of each of the data's classes among the model's outputs; None if the order is the same.
    """

    input_shape: Shape
    section: PreprocessingSection
    nchw: bool = False
    columns: tuple[int, ...] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that influence the teacher's outputs, as JSON values; part of the keys of caches."""
        plain = self.section.model_dump(mode="json", exclude={"layout", "size", "classes"}, exclude_none=True)
        return {
            **plain,
            "input_shape": list(self.input_shape),
            "nchw": self.nchw,
            "columns": self.columns and list(self.columns),
        }

    def prepare(self, images: NDArray[Any]) -> NDArray[Any]:
        """Preprocess images: (pixel * scale - mean) / std, in the teacher's channel order and layout.

        Args:
            images: Pixels (n, *input_shape) of 0 to 255.

        Returns:
            The model's input (n, H, W, C) or (n, C, H, W).
        """
        section = self.section
        if section.channel_order == "bgr":
            images = images[..., ::-1]
        if not section.is_identity:
            mean, std = np.asarray(section.mean, np.float32), np.asarray(section.std, np.float32)
            images = (images.astype(np.float32) * np.float32(section.scale) - mean) / std
        return np.ascontiguousarray(np.moveaxis(images, -1, 1)) if self.nchw else images

    def arrange(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Select and reorder outputs to match the data's classes.

        Args:
            outputs: Shape (n, outputs).

        Returns:
            Shape (n, classes).
        """
        return outputs if self.columns is None else outputs[:, self.columns]

    def with_preprocessing(self, **changes: Any) -> InputAdapter:
        """Return a copy with another preprocessing.

        Args:
            **changes: New values of scale, mean, std, channel_order or resize.
        """
        return dataclasses.replace(self, section=self.section.model_copy(update=changes))


def make_input_adapter(
    section: PreprocessingSection, model_sizes: Sizes | None, spec: OutputSpec, description: str
) -> InputAdapter:
    """Make the adapter of a teacher.

    Args:
        section: Preprocessing that the model does not contain.
        model_sizes: Sizes of the model's input without the batch, each None if it is open; None if nothing is known.
            Open sizes are taken from the section, otherwise from the data.
        spec: Images and classes of the data.
        description: Name of the teacher in messages.

    Returns:
        The adapter.

    Raises:
        ModelError: The input is not a batch of images, or its layout cannot be detected.
        RecipeError: The preprocessing does not match the model.
    """
    if model_sizes is not None and len(model_sizes) != 3:
        raise ModelError(
            f"{description} takes inputs of rank {len(model_sizes) + 1}; a teacher takes a batch of images, of rank 4"
        )
    nchw = _is_nchw(section, model_sizes, description)
    sizes = _with_size(section, _channels_last(model_sizes, nchw), description)
    height, width, channels = (size or data_size for size, data_size in zip(sizes, spec.input_shape, strict=True))
    _check_channels(section, channels, description)
    check_image_size((height, width, channels), description)
    return InputAdapter((height, width, channels), section, nchw, _columns(section.classes, spec))


def _channels_last(sizes: Sizes | None, nchw: bool) -> tuple[int | None, ...]:
    if sizes is None:
        return None, None, None
    return (sizes[1], sizes[2], sizes[0]) if nchw else tuple(sizes)


def _with_size(
    section: PreprocessingSection, sizes: tuple[int | None, ...], description: str
) -> tuple[int | None, ...]:
    """Fill in the section's size where the model leaves it open."""
    if section.size is None:
        return sizes
    size = section.size if isinstance(section.size, tuple) else (section.size, section.size)
    if any(fixed not in (None, wanted) for fixed, wanted in zip(sizes, size, strict=False)):
        raise RecipeError(f"teacher.preprocessing.size is {_format(size)}, but {description} takes {_format(sizes)}")
    return (*size, sizes[2])


def _check_channels(section: PreprocessingSection, channels: int, description: str) -> None:
    if channels not in _CHANNELS:
        raise ModelError(
            f"{description} takes images of {channels} channels; there are images of 1, 3 and 4 "
            "(teacher.preprocessing.layout says which axis holds them)"
        )
    for name in ("mean", "std"):
        value = getattr(section, name)
        if isinstance(value, tuple) and len(value) not in (1, channels):
            raise RecipeError(
                f"teacher.preprocessing.{name} has {len(value)} values, {description} takes {channels} channels"
            )
    if section.channel_order == "bgr" and channels != 3:
        raise RecipeError(
            f"teacher.preprocessing.channel_order = 'bgr' is for 3 channels, {description} takes {channels}"
        )


def _is_nchw(section: PreprocessingSection, sizes: Sizes | None, description: str) -> bool:
    if section.layout != "auto":
        return section.layout == "nchw"
    if sizes is None:
        return False
    first, last = sizes[0] in _CHANNELS, sizes[2] in _CHANNELS
    if first == last and None not in sizes:
        raise ModelError(
            f"{description} takes images of {_format(sizes)}: which axis holds the channels cannot be told; "
            "set teacher.preprocessing.layout to nhwc or nchw"
        )
    return first and not last


def _columns(output_names: tuple[str, ...] | None, spec: OutputSpec) -> tuple[int, ...] | None:
    if output_names is None:
        return None
    classes = spec.classes
    if len(set(output_names)) < len(output_names):
        duplicate = next(name for name in output_names if output_names.count(name) > 1)
        raise RecipeError(f"teacher.preprocessing.classes names {duplicate!r} twice")
    for name in classes:
        if name not in output_names:
            raise RecipeError(
                f"teacher.preprocessing.classes lacks {name!r}{did_you_mean(name, output_names)}; it names the "
                f"teacher's outputs in the teacher's order, by the data's names{spec.merging}"
            )
    return None if output_names == classes else tuple(output_names.index(name) for name in classes)


def _format(sizes: Sizes) -> str:
    return "x".join("?" if size is None else str(size) for size in sizes)
