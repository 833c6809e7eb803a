"""Base class of the zoo's architectures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from kdcompress.models._published import PublishedWeights


class Architecture(ABC):
    """A network that is built for an image size and a number of classes.

    If `build` has a parameter `width` > 0, which multiplies the filters of every layer, the recipe's section accepts
    `width`. If a subclass overrides `published`, the section accepts `pretrained`.

    Attributes:
        widths: Widths that `kdcompress suggest` tries.
    """

    widths: ClassVar[tuple[float, ...]] = (1.0,)

    @staticmethod
    @abstractmethod
    def build(input_shape: tuple[int, int, int], classes: int) -> Any:
        """Build the network with random weights.

        Args:
            input_shape: (H, W, C).
            classes: Number of classes.

        Returns:
            A Keras 3 model from raw pixels (batch, H, W, C), 0 to 255, to logits (batch, classes), with a last layer
            named `logits`.
        """

    @staticmethod
    def published(input_shape: tuple[int, int, int]) -> PublishedWeights:
        """Return the published ImageNet weights. Architectures without such weights do not override this method.

        Args:
            input_shape: (H, W, C).

        Returns:
            The weights file, without the head.
        """
        raise NotImplementedError

    @staticmethod
    def estimate_flops(input_shape: tuple[int, int, int], width: float = 1.0) -> float | None:
        """Estimate the FLOPs of an image without building the network, for which large ones take seconds.

        Args:
            input_shape: (H, W, C).
            width: Multiplier of the filters.

        Returns:
            FLOPs, right within a factor of 2; None if there is no estimate.
        """
        return None
