"""The paper's MHIST teacher: ResNet50V2 on RGB images from 96 pixels (23,568,898 parameters with 2 classes)."""

from __future__ import annotations

from typing import Any

from kdcompress.models._backbone import classifier
from kdcompress.models._base import Architecture
from kdcompress.models._published import KERAS, PublishedWeights


class ResNet50V2(Architecture):
    """The paper's MHIST teacher."""

    @staticmethod
    def build(input_shape: tuple[int, int, int], classes: int) -> Any:
        """Build the model for RGB images of at least 96 pixels; see `Architecture.build`."""
        from keras import applications, layers

        model = classifier(applications.ResNet50V2, "resnet50v2", input_shape, classes)
        # Keras does not name the pooling layers in its shortcuts, so their default names would depend on the process
        pooling = [layer for layer in model.layers if isinstance(layer, layers.MaxPooling2D)]
        pools = [layer for layer in pooling if layer.name != "pool1_pool"]
        for number, pool in enumerate(pools, start=1):
            pool.name = f"shortcut_pool{number}"
        return model

    @staticmethod
    def published(input_shape: tuple[int, int, int]) -> PublishedWeights:
        """Return the ImageNet weights that Keras publishes, the same for every image size."""
        name = "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5"
        return PublishedWeights(f"{KERAS}/resnet/{name}", "fac2f116257151a9d068a22e544a4917")


MODEL = ResNet50V2
