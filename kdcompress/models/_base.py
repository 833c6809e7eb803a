"""Base class of the zoo's architectures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from kdcompress.errors import ModelError
from kdcompress.models._pretrained import load_pretrained
from kdcompress.models._published import PublishedWeights


class Architecture(ABC):
    """A network that is built for an image size and a number of classes.

    If `build` has a parameter `width` > 0, which multiplies the filters of every layer, the recipe's section accepts
    `width`. If a subclass overrides `published` or `load_published`, the section accepts `pretrained`.

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

    @classmethod
    def load_published(
        cls, model: Any, input_shape: tuple[int, int, int], subject: str, note: Callable[[str], None], **settings: float
    ) -> None:
        """Load the published weights into a network that `build` made.

        Args:
            model: The network, whose head keeps its weights.
            input_shape: (H, W, C).
            subject: Role and name of the model, for messages.
            note: Called with messages, such as which layers were loaded.
            **settings: `width`, if `build` takes it.

        Raises:
            ModelError: The weights cannot be downloaded, or are damaged.
        """
        path = cls.published(input_shape, **settings).fetch(subject, note)
        try:
            note(load_pretrained(model, path, subject))
        except ModelError as exc:
            raise ModelError(f"{exc}; delete it, and it is downloaded again") from exc

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
