"""SavedModels whose graphs read, write or call what a classifier never needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trust.commands import FOLDERS
from trust.graphs import save, write_at_load, write_file_model
from trust.place import Place
from trust.registry import kind

_AT = "bad_model"


def _graph(name: str, abuses: str, fuse: bool = True) -> Callable[[Callable[[Place], Callable[[Any], Any]]], None]:
    """Register a function that gives what a serving function does beside its work."""

    def register(effect: Callable[[Place], Callable[[Any], Any]]) -> None:
        @kind(name, abuses, at=_AT, commands=FOLDERS, refused=FOLDERS, fuse="saved_model" if fuse else None)
        def make(place: Place) -> None:
            save(place.work / _AT, effect(place))
            for mark in place.markers.iterdir():
                mark.unlink()

    return register


@kind("graph-write", "WriteFile when it is called", at=_AT, commands=FOLDERS, refused=FOLDERS, fuse="saved_model")
def _(place: Place) -> None:
    write_file_model(place.work / _AT, place.mark("written"))


@kind(
    "graph-write-at-load", "WriteFile in an initializer", at=_AT, commands=FOLDERS, refused=FOLDERS, fuse="saved_model"
)
def _(place: Place) -> None:
    write_at_load(place.work / _AT, place.mark("written"))


@_graph("graph-write-nested", "WriteFile three functions deep")
def _(place: Place) -> Callable[[Any], Any]:
    import tensorflow as tf

    target = place.mark("nested")

    @tf.function
    def innermost() -> None:
        tf.io.write_file(target, "written")

    @tf.function
    def inner() -> None:
        innermost()

    return lambda image: inner()


@_graph("graph-write-branch", "WriteFile in a branch of an If")
def _(place: Place) -> Callable[[Any], Any]:
    import tensorflow as tf

    def write() -> Any:
        tf.io.write_file(place.mark("branch"), "written")
        return tf.constant(0)

    return lambda image: tf.cond(tf.reduce_sum(image) > -1.0, write, lambda: tf.constant(1))


@_graph("graph-write-loop", "WriteFile in the body of a While")
def _(place: Place) -> Callable[[Any], Any]:
    import tensorflow as tf

    def body(step: Any) -> Any:
        tf.io.write_file(place.mark("loop"), "written")
        return step + 1

    return lambda image: tf.while_loop(lambda step: step < tf.shape(image)[0], body, [tf.constant(0)])


@_graph("graph-write-map", "WriteFile in a function of tf.data")
def _(place: Place) -> Callable[[Any], Any]:
    import tensorflow as tf

    def write(number: Any) -> Any:
        tf.io.write_file(place.mark("map"), "written")
        return number

    return lambda image: tf.data.Dataset.range(2).map(write).reduce(tf.constant(0, tf.int64), lambda a, b: a + b)


@_graph("graph-read", "ReadFile of another file of the user", fuse=False)
def _(place: Place) -> Callable[[Any], Any]:
    import tensorflow as tf

    secret = str(place.outside / "canary.txt")
    return lambda image: tf.debugging.assert_greater(tf.strings.length(tf.io.read_file(secret)), 0)


@_graph("graph-print-file", "PrintV2 into a file")
def _(place: Place) -> Callable[[Any], Any]:
    import tensorflow as tf

    return lambda image: tf.print("printed", output_stream=f"file://{place.mark('printed')}")


@_graph("graph-save", "SaveV2 when it is called")
def _(place: Place) -> Callable[[Any], Any]:
    import tensorflow as tf

    def write(image: Any) -> Any:
        saved = tf.raw_ops.SaveV2(
            prefix=place.mark("saved"), tensor_names=["x"], shape_and_slices=[""], tensors=[image]
        )
        with tf.control_dependencies([saved]):
            return tf.identity(tf.constant(0.0))

    return write


@_graph("graph-delete", "a summary writer's file, and matching of file names")
def _(place: Place) -> Callable[[Any], Any]:
    import tensorflow as tf

    def write(image: Any) -> None:
        names = tf.io.matching_files(str(place.outside / "*"))
        tf.io.write_file(place.mark("names"), tf.strings.reduce_join(names))

    return write


@_graph("graph-py-function", "EagerPyFunc: a token of Python's", fuse=False)
def _(place: Place) -> Callable[[Any], Any]:
    import tensorflow as tf

    return lambda image: tf.py_function(lambda: 0, [], tf.int32)


@kind("graph-asset", "an asset whose name climbs out of the folder", at=_AT, commands=FOLDERS)
def _(place: Place) -> None:
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    words = place.root / "io" / "words.txt"
    words.write_text("a\nb\n", encoding="utf-8")

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = tf.saved_model.Asset(str(words))

        @tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.float32, name="image")])
        def serve(self, image: Any) -> Any:
            length = tf.cast(tf.strings.length(self.words.asset_path), tf.float32)
            return {"logits": tf.reshape(image, [-1, 784])[:, :10] + length}

    model = Model()
    tf.saved_model.save(model, str(place.work / _AT), signatures={"serving_default": model.serve})
    path = place.work / _AT / "saved_model.pb"
    stored = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for graph in stored.meta_graphs:
        for asset in graph.asset_file_def:
            asset.filename = "../../../../outside/canary.txt"
    path.write_bytes(stored.SerializeToString())


@kind("graph-variables-link", "variables that are a link to elsewhere", at=_AT, commands=FOLDERS)
def _(place: Place) -> None:
    save(place.work / _AT, lambda image: None)
    (place.work / _AT / "variables").rename(place.outside / "variables")
    (place.work / _AT / "variables").symlink_to(place.outside / "variables")


@kind("graph-metadata", "JSON nested without end beside the graph", at=_AT, commands=FOLDERS)
def _(place: Place) -> None:
    save(place.work / _AT, lambda image: None)
    (place.work / _AT / "assets.extra").mkdir()
    (place.work / _AT / "assets.extra" / "kdcompress.json").write_text("[" * 200_000, encoding="utf-8")


@kind("graph-garbage", "a saved_model.pb of random bytes", at=_AT, commands=FOLDERS, refused=FOLDERS)
def _(place: Place) -> None:
    import numpy as np

    (place.work / _AT).mkdir()
    (place.work / _AT / "saved_model.pb").write_bytes(np.random.default_rng(0).bytes(5000))


@kind("honest-graph", "nothing: a control", at=_AT, commands=("verify", "teacher", "sweep-teacher"), sound=True)
def _(place: Place) -> None:
    save(place.work / _AT, lambda image: None)
