"""What lies between raw pixels and a teacher from elsewhere: its size, scale, layout, and its order of classes."""

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

_CHANNELS = (1, 3, 4)  # what tells an axis of channels from one of height or width


@dataclass(frozen=True)
class InputAdapter:
    """How raw pixels become a teacher's input, and its outputs the data's classes.

    `input_shape` (H, W, C) is what images are fitted to for it; `nchw` its layout; `columns` the place of each of the
    data's classes among its outputs, None where the two agree.
    """

    input_shape: Shape
    section: PreprocessingSection
    nchw: bool = False
    columns: tuple[int, ...] | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides the teacher's outputs."""
        plain = self.section.model_dump(mode="json", exclude={"layout", "size", "classes"})
        return {
            **plain,
            "input_shape": list(self.input_shape),
            "nchw": self.nchw,
            "columns": self.columns and list(self.columns),
        }

    def prepare(self, images: NDArray[Any]) -> NDArray[Any]:
        """(pixel * scale - mean) / std of pixels (n, *input_shape), in the teacher's channel order and layout."""
        given = self.section
        if given.channel_order == "bgr":
            images = images[..., ::-1]
        if not given.is_identity:
            mean, std = np.asarray(given.mean, np.float32), np.asarray(given.std, np.float32)
            images = (images.astype(np.float32) * np.float32(given.scale) - mean) / std
        return np.ascontiguousarray(np.moveaxis(images, -1, 1)) if self.nchw else images

    def arrange(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The outputs in the data's order of classes."""
        return outputs if self.columns is None else outputs[:, self.columns]

    def with_preprocessing(self, **changes: Any) -> InputAdapter:
        """The same with another scale, mean, std or channel order."""
        return dataclasses.replace(self, section=self.section.model_copy(update=changes))


def make_input_adapter(
    section: PreprocessingSection, own: Sequence[int | None] | None, data: Shape, classes: tuple[str, ...], what: str
) -> InputAdapter:
    """The fit of a teacher `what` whose input sizes, without the batch, are `own` (None where it does not say).

    Sizes that it leaves open are those of the section, else of the data. Errors: ModelError where the layout cannot be
    told; RecipeError for settings that do not fit it.
    """
    if own is not None and len(own) != 3:
        raise ModelError(f"{what} takes inputs of rank {len(own) + 1}; a teacher takes a batch of images, of rank 4")
    nchw = _is_nchw(section, own, what)
    sizes = (own[1], own[2], own[0]) if own is not None and nchw else tuple(own or (None, None, None))
    if section.size is not None:
        asked = section.size if isinstance(section.size, tuple) else (section.size, section.size)
        if any(mine not in (None, size) for mine, size in zip(sizes, asked, strict=False)):
            raise RecipeError(f"teacher.preprocessing.size is {_size(asked)}, but {what} takes {_size(sizes)}")
        sizes = (*asked, sizes[2])
    height, width, channels = (size or mine for size, mine in zip(sizes, data, strict=True))
    if channels not in _CHANNELS:
        raise ModelError(
            f"{what} takes images of {channels} channels; there are images of 1, 3 and 4 "
            "(teacher.preprocessing.layout says which axis holds them)"
        )
    for name in ("mean", "std"):
        value = getattr(section, name)
        if isinstance(value, tuple) and len(value) not in (1, channels):
            raise RecipeError(f"teacher.preprocessing.{name} has {len(value)} values, {what} takes {channels} channels")
    if section.channel_order == "bgr" and channels != 3:
        raise RecipeError(f"teacher.preprocessing.channel_order = 'bgr' is for 3 channels, {what} takes {channels}")
    check_image_size((height, width, channels), what)
    return InputAdapter((height, width, channels), section, nchw, _columns(section.classes, classes))


def _is_nchw(section: PreprocessingSection, own: Sequence[int | None] | None, what: str) -> bool:
    if section.layout != "auto":
        return section.layout == "nchw"
    if own is None:
        return False
    first, last = own[0] in _CHANNELS, own[2] in _CHANNELS
    if first == last and None not in own:
        raise ModelError(
            f"{what} takes images of {_size(own)}: which axis holds the channels cannot be told; "
            "set teacher.preprocessing.layout to nhwc or nchw"
        )
    return first and not last


def _columns(theirs: tuple[str, ...] | None, ours: tuple[str, ...]) -> tuple[int, ...] | None:
    if theirs is None:
        return None
    if len(set(theirs)) < len(theirs):
        twice = next(name for name in theirs if theirs.count(name) > 1)
        raise RecipeError(f"teacher.preprocessing.classes names {twice!r} twice")
    for name in ours:
        if name not in theirs:
            raise RecipeError(
                f"teacher.preprocessing.classes lacks {name!r}{did_you_mean(name, theirs)}; it names the teacher's "
                "outputs in the teacher's order, by the data's names"
            )
    columns = tuple(theirs.index(name) for name in ours)
    return None if theirs == ours else columns


def _size(shape: Sequence[int | None]) -> str:
    return "x".join("?" if part is None else str(part) for part in shape)
