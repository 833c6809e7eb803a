"""The paper's MHIST student: MobileNetV2 on RGB images from 96 pixels (2,260,546 parameters with 2 classes)."""

from __future__ import annotations

from typing import Any

from kdcompress.errors import ModelError
from kdcompress.models._backbone import classifier
from kdcompress.models._base import Architecture
from kdcompress.models._published import KERAS, PublishedWeights

_SIZES, _WIDTHS = (96, 128, 160, 192, 224), (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)


class MobileNetV2(Architecture):
    """The paper's MHIST student."""

    widths = _WIDTHS

    @staticmethod
    def build(input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> Any:
        """Build the model for RGB images of at least 96 pixels; see `Architecture.build`.

        Args:
            input_shape: (H, W, 3).
            classes: Number of classes.
            width: > 0, multiplies the filters of every layer (Sandler et al. 2018, section 5).

        Returns:
            The Keras model.
        """
        from keras import applications

        return classifier(applications.MobileNetV2, "mobilenetv2", input_shape, classes, alpha=width)

    @staticmethod
    def published(input_shape: tuple[int, int, int], width: float = 1.0) -> PublishedWeights:
        """Return the ImageNet weights that Keras publishes.

        Args:
            input_shape: (H, W, 3); for sizes without weights of their own, those for 224 are taken.
            width: Multiplier of the filters.

        Returns:
            The weights file, without the head.

        Raises:
            ModelError: If there are no weights for this width.
        """
        if width not in _WIDTHS:
            raise ModelError(
                f"ImageNet weights of mobilenetv2 exist for the widths {', '.join(map(str, _WIDTHS))}, got {width:g}; "
                'take one of them, or pretrained = "none"'
            )
        height, across, _ = input_shape
        size = height if height == across and height in _SIZES else 224
        name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(width)}_{size}_no_top.h5"
        return PublishedWeights(f"{KERAS}/mobilenet_v2/{name}", None)


MODEL = MobileNetV2
