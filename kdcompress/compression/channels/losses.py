"""The loss of each training image under a method, by which channels are ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kdcompress.methods import Method
from kdcompress.training.feed import Feed
from kdcompress.training.weights import LossWeights


def sample_losses(method: Method, feed: Feed) -> Callable[..., Any]:
    """Return the loss that training minimises in its first epoch, as a function of single images.

    Args:
        method: The method.
        feed: Training data, whose batches it takes.

    Returns:
        Function loss(outputs, labels, weights) that returns shape (batch,), where labels and weights are the second and
        third part of the feed's batches; weights are empty if images are not weighted.
    """
    import keras

    cross_entropy = keras.losses.sparse_categorical_crossentropy
    if feed.has_soft_labels:
        cross_entropy = keras.losses.categorical_crossentropy
    loss_weights = LossWeights(method, 1).values

    def loss(outputs: Any, labels: dict[str, Any], weights: dict[str, Any]) -> Any:
        losses = {"label": cross_entropy(labels["label"], method.class_logits(outputs), from_logits=True)}
        if method.needs_targets:
            targets, target_labels = feed.packing.unpack(labels["targets"])
            losses["targets"] = method.targets_loss(targets, outputs, target_labels)
        losses |= {name: extra.loss(labels[name], outputs) for name, extra in method.extra_losses.items()}
        return sum(loss_weights[name] * weights.get(name, 1.0) * value for name, value in losses.items())

    return loss


def batches_of(feed: Feed, images: int) -> Iterator[tuple[Any, Any, Any]]:
    """Return batches of the first epoch, for `sample_losses`.

    Args:
        feed: Training data.
        images: Number of images, at least; at most an epoch.

    Returns:
        Batches (images, labels, weights).
    """
    for image, labels, *weights in feed.dataset(0, 1).take(-(-images // feed.batch)):
        yield image, labels, weights[0] if weights else {}
