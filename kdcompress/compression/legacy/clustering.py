"""Weight clustering: wrappers of tensorflow-model-optimization around the layers of a model."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdcompress.compression.legacy.importing import import_tfmot
from kdcompress.compression.legacy.kernels import read_kernel
from kdcompress.compression.legacy.twins import wrap_layer


def wrap_for_clustering(layers: tuple[Any, ...], clusters: int) -> dict[int, Any]:
    """Wrap layers so that each kernel has few values, which are trained.

    The first values are those of k-means++. Where a kernel has zeros, one value is 0 and the zeros stay.

    Args:
        layers: Keras 3 layers, each kernel with more weights than clusters.
        clusters: Number of values of each kernel, zero included.

    Returns:
        Wrapped layers of tf_keras by the id of the layer.
    """
    import_tfmot()
    from tensorflow_model_optimization.python.core.clustering.keras import cluster_config
    from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster

    start = cluster_config.CentroidInitialization.KMEANS_PLUS_PLUS

    def wrap(layer: Any) -> Any:
        settings = {"preserve_sparsity": has_zeros(layer)}
        return wrap_layer(layer, lambda twin: cluster.cluster_weights(twin, clusters, start, **settings))

    return {id(layer): wrap(layer) for layer in layers}


def clustered_weights(wrapper: Any) -> list[Any]:
    """Return the weights of a wrapped layer, its kernel made of the clusters' values.

    Args:
        wrapper: The wrapped layer.
    """
    wrapper.update_clustered_weights_associations()
    layer = wrapper.layer
    return [layer.kernel, layer.bias] if layer.use_bias else [layer.kernel]


def has_zeros(layer: Any) -> bool:
    """Whether a kernel has zeros that are worth keeping, as a pruned one does.

    Args:
        layer: Keras 3 layer.
    """
    return bool(np.mean(read_kernel(layer) == 0) > 0.01)
