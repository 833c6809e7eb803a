"""What a zoo architecture is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from kdcompress.models._published import PublishedWeights


class Architecture(ABC):
    """A network that is built for an image size and a number of classes.

    `build` may take a parameter `width` > 0, which multiplies the filters of every layer and is then a key of a
    recipe's section; an architecture with published ImageNet weights overrides `published`, and its recipe's section
    takes `pretrained`.
    """

    @staticmethod
    @abstractmethod
    def build(input_shape: tuple[int, int, int], classes: int) -> Any:
        """Build the network with fresh weights.

        Args:
            input_shape: (H, W, C) of an image.
            classes: The number of outputs.

        Returns:
            A Keras 3 model from raw pixels (batch, H, W, C), 0 to 255, to logits (batch, classes), whose last layer is
            called `logits`.
        """

    @staticmethod
    def published(input_shape: tuple[int, int, int]) -> PublishedWeights:
        """The published ImageNet weights for an image size; of an architecture that overrides it alone."""
        raise NotImplementedError
