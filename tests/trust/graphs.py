"""SavedModels whose graphs do more than compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_file_model(folder: Path, target: str) -> None:
    """A SavedModel that writes `target` when it is called."""
    import tensorflow as tf

    def effect(image: Any) -> None:
        tf.io.write_file(target, "written by a graph")

    save(folder, effect)


def save(folder: Path, effect: Callable[[Any], Any]) -> None:
    """A classifier of 28x28 images whose serving function also has `effect`, added to its logits if it is a number."""
    import tensorflow as tf

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(tf.random.normal([784, 10], seed=1) * 0.01)

        @tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.float32, name="image")])
        def serve(self, image: Any) -> Any:
            more = effect(image)
            logits = tf.matmul(tf.reshape(image, [-1, 784]) / 255.0, self.weights)
            return {"logits": logits + more if tf.is_tensor(more) and more.dtype == tf.float32 else logits}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})


def write_at_load(folder: Path, target: str) -> None:
    """A classifier whose SavedModel writes `target` when it is loaded: a resource's initializer does it."""
    import tensorflow as tf

    class Resource(tf.saved_model.experimental.TrackableResource):
        def _create_resource(self) -> Any:
            return tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="table")

        def _initialize(self) -> None:
            tf.io.write_file(target, "written at load")

    resource = Resource()

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.resource = resource
            self.weights = tf.Variable(tf.random.normal([784, 10], seed=1) * 0.01)

        @tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.float32, name="image")])
        def serve(self, image: Any) -> Any:
            size = tf.raw_ops.LookupTableSizeV2(table_handle=self.resource.resource_handle)
            flat = tf.reshape(image, [-1, 784]) / 255.0 + tf.cast(size, tf.float32)
            return {"logits": tf.matmul(flat, self.weights)}

    model = Model()
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.serve})
    Path(target).unlink(missing_ok=True)
