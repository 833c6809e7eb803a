from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

from kdcompress.errors import ModelError
from kdcompress.formats.saved_model.graph_ops import COMPUTING, SAVING
from kdcompress.formats.saved_model.model import open_signature
from kdcompress.trust import trusting_code

RUN = Path(__file__).parents[2] / "data" / "run-0.1" / "exports" / "student-fp32.saved_model"
SPEC = tf.TensorSpec([None, 8, 8, 3])
IMAGES = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)


class Serving(tf.Module):
    """A model that is `body`, a function of a batch of images."""

    def __init__(self, body: Callable[[Any], Any], **parts: Any) -> None:
        super().__init__()
        self.weight = tf.Variable(tf.ones([3]))
        self.body = body
        for name, part in parts.items():
            setattr(self, name, part)

    @tf.function(input_signature=[SPEC])
    def serve(self, images: Any) -> Any:
        return self.body(images * self.weight)


def saved(body: Callable[[Any], Any], path: Path, **parts: Any) -> Path:
    module = Serving(body, **parts)
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, str(path), signatures=module.serve, options=options)
    return path


def means(images: Any) -> Any:
    return tf.reduce_mean(images, [1, 2])


def edited(path: Path, change: Callable[[Any], None]) -> Path:
    """The SavedModel with its first meta graph changed."""
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    change(model.meta_graphs[0])
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    return path


def answer(path: Path) -> Any:
    signature = open_signature(path)
    (name,) = signature.structured_input_signature[1]
    return signature(**{name: tf.constant(IMAGES)})


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        answer(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def function_of(meta: Any, part: str) -> Any:
    (found,) = (one for one in meta.graph_def.library.function if part in one.signature.name)
    return found


# Honest models


def convolutional() -> Any:
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = layers.RandomFlip()(layers.RandomRotation(0.1)(layers.RandomZoom(0.1)(layers.RandomContrast(0.1)(x))))
    x = layers.Normalization(mean=[0.0] * 3, variance=[1.0] * 3)(layers.Resizing(12, 12)(x))
    x = layers.BatchNormalization()(layers.Conv2D(8, 3, activation="gelu")(x))
    x = layers.SeparableConv2D(8, 3, activation="hard_silu")(layers.DepthwiseConv2D(3)(x))
    x = layers.Conv2DTranspose(8, 3)(layers.Conv2D(8, 3, groups=4, padding="same")(x))
    x = layers.GroupNormalization(4)(layers.UpSampling2D(interpolation="bilinear")(x))
    x = layers.Dropout(0.2)(layers.LayerNormalization()(layers.MaxPooling2D()(layers.ZeroPadding2D()(x))))
    x = layers.MultiHeadAttention(2, 4)(*[layers.Reshape((-1, 8))(layers.AveragePooling2D(2)(x))] * 2)
    return keras.Model(image, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def recurrent() -> Any:
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Reshape((8, 24))(image))
    x = layers.TimeDistributed(layers.Dense(4))(layers.GRU(4, return_sequences=True, unroll=False)(x))
    x = layers.SimpleRNN(4, return_sequences=True)(x)
    return keras.Model(image, layers.Dense(4)(layers.Concatenate()([layers.Flatten()(x), layers.Flatten()(image)])))


def looping(images: Any) -> Any:
    one = tf.map_fn(lambda image: tf.image.per_image_standardization(image), images)
    two = tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, tf.nn.relu(x) + 1), [0, one])[1]
    three = tf.cond(tf.reduce_sum(two) > 0, lambda: tf.image.resize(two, [4, 4]), lambda: tf.image.resize(one, [4, 4]))
    four = tf.switch_case(tf.shape(three)[0] % 2, [lambda: three, lambda: three * 2])
    five = tf.scan(lambda total, x: total + x, tf.vectorized_map(lambda x: x * 2, four))
    return tf.linalg.norm(tf.quantization.fake_quant_with_min_max_args(five), axis=[1, 2])


def augmenting(images: Any) -> Any:
    flipped = tf.image.random_flip_left_right(tf.image.random_crop(images, tf.shape(images)))
    coloured = tf.image.random_hue(tf.image.random_saturation(tf.clip_by_value(flipped, 0, 1), 0.5, 1.5), 0.1)
    noise = tf.random.stateless_uniform(tf.shape(coloured), [1, 2]) + tf.random.normal(tf.shape(coloured))
    return tf.nn.dropout(tf.image.adjust_contrast(coloured + noise, 2.0), 0.5)


@tf.custom_gradient
def twice(x: Any) -> Any:
    return x * 2, lambda upstream: upstream * 2


@pytest.mark.parametrize("make", [convolutional, recurrent])
def test_keras_models_as_keras_exports_them(tmp_path: Path, make: Callable[[], Any]) -> None:
    make().export(str(tmp_path / "m"), verbose=False)
    (output,) = answer(tmp_path / "m").values()
    assert output.shape == (2, 4)


def test_a_keras_model_with_its_optimiser(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    model.compile("adam", "mse")
    model.fit(IMAGES, np.zeros((2, 4)), verbose=0)
    tf.saved_model.save(model, str(tmp_path / "m"))
    answer(tmp_path / "m")


@pytest.mark.parametrize("body", [means, looping, augmenting, twice])
def test_modules_with_functions_loops_and_gradients(tmp_path: Path, body: Callable[[Any], Any]) -> None:
    answer(saved(body, tmp_path / "m"))


def test_a_model_that_was_loaded_and_saved_again(tmp_path: Path) -> None:
    loaded = tf.saved_model.load(str(saved(means, tmp_path / "m")))
    tf.saved_model.save(loaded, str(tmp_path / "again"), signatures=loaded.signatures)
    answer(tmp_path / "again")


def test_an_export_of_an_earlier_version() -> None:
    assert open_signature(RUN).structured_outputs


@pytest.fixture
def loops_of_tensorflow_1() -> Iterator[None]:
    tf.compat.v1.disable_control_flow_v2()
    yield
    tf.compat.v1.enable_control_flow_v2()


def first_kind(path: Path, build: Callable[[Any, Any], dict[str, Any]], **how: Any) -> Path:
    """A SavedModel of TensorFlow 1; `build` makes its output, and says more, from its input and in its session."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        images = v1.placeholder(tf.float32, [None, 8, 8, 3])
        made = build(images, session)
        signature = v1.saved_model.predict_signature_def({"image": images}, {"output": made.pop("output")})
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(path))
        signatures = {"serving_default": signature}
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, **{**made, **how})
        builder.save()
    return path


@pytest.mark.parametrize("resource", [True, False])
@pytest.mark.usefixtures("loops_of_tensorflow_1")
def test_models_of_tensorflow_1_with_variables(tmp_path: Path, resource: bool) -> None:
    def build(images: Any, session: Any) -> dict[str, Any]:
        v1 = tf.compat.v1
        weight = v1.get_variable("w", [3], initializer=v1.ones_initializer(), use_resource=resource)
        v1.train.Saver()  # of its training
        looped = tf.while_loop(lambda i, _: i < 3, lambda i, x: (i + 1, x + weight), [0, images])[1]
        return {"output": tf.map_fn(tf.reduce_mean, looped), "main_op": v1.tables_initializer()}

    answer(first_kind(tmp_path / "m", build))
    answer(first_kind(tmp_path / "sharded", build, saver=None))


def test_a_frozen_graph_of_tensorflow_1(tmp_path: Path) -> None:
    answer(
        first_kind(tmp_path / "m", lambda images, _: {"output": tf.nn.conv2d(images, tf.ones([3, 3, 3, 2]), 1, "SAME")})
    )


# Hostile models: each would write the marker, or read where it must not, when loaded or called


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that no refused model writes."""
    yield tmp_path / "marker"
    assert not list(tmp_path.glob("marker*"))


def writing(marker: Path) -> Callable[[Any], Any]:
    def body(images: Any) -> Any:
        tf.io.write_file(str(marker), "here")
        return means(images)

    return body


def test_a_trusted_model_writes_the_marker_and_only_a_trusted_one(tmp_path: Path) -> None:
    path, marker = saved(writing(tmp_path / "marker"), tmp_path / "m"), tmp_path / "marker"
    with trusting_code():
        answer(path)
    assert marker.read_text() == "here"
    marker.unlink()
    message = refusal(path)  # although it has been opened before
    assert not marker.exists()
    assert "holds the op 'WriteFile' (node 'WriteFile' of function '__inference_serve_" in message
    assert "--trust-code" in message and "module:function" in message


def nested(marker: Path) -> Callable[[Any], Any]:
    inner = tf.function(writing(marker))
    return lambda images: tf.function(lambda x: inner(x) + 1)(images)


def branching(marker: Path) -> Callable[[Any], Any]:
    return lambda images: tf.cond(tf.size(images) > 0, lambda: writing(marker)(images), lambda: means(images))


def choosing(marker: Path) -> Callable[[Any], Any]:
    def body(images: Any) -> Any:
        return tf.switch_case(tf.shape(images)[0] - 2, [lambda: writing(marker)(images), lambda: means(images)])

    return body


def repeating(marker: Path) -> Callable[[Any], Any]:
    def step(i: Any, x: Any) -> Any:
        tf.io.write_file(str(marker), "here")
        return i + 1, x

    return lambda images: tf.while_loop(lambda i, _: i < 2, step, [0, images])[1]


def in_a_gradient(marker: Path) -> Callable[[Any], Any]:
    @tf.custom_gradient
    def identity(x: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            tf.io.write_file(str(marker), "here")
            return upstream

        return tf.identity(x), gradient

    return identity


def reading(marker: Path) -> Callable[[Any], Any]:
    return lambda images: means(images) + tf.cast(tf.strings.length(tf.io.read_file(__file__)), tf.float32)


def python(marker: Path) -> Callable[[Any], Any]:
    return lambda images: tf.numpy_function(lambda x: marker.write_text("here") + x, [images], tf.float32)


def saving(marker: Path) -> Callable[[Any], Any]:
    def body(images: Any) -> Any:
        op = tf.raw_ops.SaveV2(prefix=str(marker), tensor_names=["x"], shape_and_slices=[""], tensors=[images])
        with tf.control_dependencies([op]):  # else TensorFlow leaves it out, since nothing needs it
            return means(images)

    return body


def moving(marker: Path) -> Callable[[Any], Any]:
    def body(images: Any) -> Any:
        tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=[str(marker)], destination_prefix=str(marker) + "2")
        return means(images)

    return body


def restoring(marker: Path) -> Callable[[Any], Any]:
    def body(images: Any) -> Any:
        prefix = str(RUN / "variables" / "variables")
        return tf.raw_ops.RestoreV2(prefix=prefix, tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])

    return body


@pytest.mark.parametrize(
    ("hostile", "op"),
    [
        *((how, "WriteFile") for how in (nested, branching, choosing, repeating, in_a_gradient)),
        *((reading, "ReadFile"), (python, "PyFunc"), (saving, "SaveV2"), (restoring, "RestoreV2")),
        (moving, "MergeV2Checkpoints"),
    ],
)
def test_ops_on_files_in_what_is_called(tmp_path: Path, marker: Path, hostile: Any, op: str) -> None:
    assert f"the op '{op}'" in refusal(saved(hostile(marker), tmp_path / "m"))


class Resource(tf.saved_model.experimental.TrackableResource):
    """What loading a SavedModel creates and initialises."""

    def __init__(self, initialise: Callable[[], Any]) -> None:
        super().__init__()
        self.initialise = initialise

    def _create_resource(self) -> Any:
        return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[])

    def _initialize(self) -> None:
        self.initialise()


def test_an_initialiser_that_writes(tmp_path: Path, marker: Path) -> None:
    resource = Resource(lambda: tf.io.write_file(str(marker), "here"))
    assert resource.resource_handle is not None
    assert "'WriteFile'" in refusal(saved(means, tmp_path / "m", resource=resource))
    resource = Resource(lambda: saving(marker)(IMAGES))
    assert "'SaveV2'" in refusal(saved(means, tmp_path / "n", resource=resource))


def test_the_saver_named_as_an_initialiser(tmp_path: Path, marker: Path) -> None:
    """Its own functions, which a stock export has, may not become what loading runs."""

    def misuse(meta: Any) -> None:
        graph = meta.object_graph_def
        saver = function_of(meta, "traced_save").signature.name
        graph.concrete_functions[saver].CopyFrom(next(iter(graph.concrete_functions.values())))
        (place,) = (node for node in graph.nodes if node.WhichOneof("kind") == "resource")
        (edge,) = (child for child in place.children if child.local_name == "_initialize")
        graph.nodes[edge.node_id].function.concrete_functions[:] = [saver]

    path = saved(means, tmp_path / "m", resource=Resource(lambda: None))
    answer(path)
    assert "the op 'MergeV2Checkpoints' (node 'MergeV2Checkpoints' of function '__inference__traced_save_" in refusal(
        edited(path, misuse)
    )


def in_a_list(meta: Any, saver: str) -> None:
    function_of(meta, "signature_wrapper").node_def[0].attr["_others"].list.func.add(name=saver)


def deep_in_attributes(meta: Any, saver: str) -> None:
    node = function_of(meta, "signature_wrapper").node_def[0]
    node.attr["_other"].func.attr["f"].list.func.add(name="x").attr["g"].func.name = saver


def as_an_op(meta: Any, saver: str) -> None:
    function_of(meta, "signature_wrapper").node_def.add(name="call", op=saver)


def as_a_gradient(meta: Any, saver: str) -> None:
    meta.graph_def.library.gradient.add(function_name="f", gradient_func=saver)


def as_a_registered_gradient(meta: Any, saver: str) -> None:
    meta.graph_def.library.registered_gradients.add(gradient_func=saver, registered_op_type="CustomGradient-1")


def as_an_implementation(meta: Any, saver: str) -> None:
    function_of(meta, saver).attr["api_implements"].s = b"forward"


def as_a_backward_function(meta: Any, saver: str) -> None:
    function_of(meta, "signature_wrapper").attr["backward_function_name"].s = saver.encode()


@pytest.mark.parametrize(
    "mention",
    [
        *(in_a_list, deep_in_attributes, as_an_op, as_a_gradient, as_a_registered_gradient),
        *(as_an_implementation, as_a_backward_function),
    ],
)
def test_the_saver_named_by_anything_that_runs(tmp_path: Path, mention: Callable[[Any, str], None]) -> None:
    path = edited(saved(means, tmp_path / "m"), lambda meta: mention(meta, function_of(meta, "_save_").signature.name))
    assert "which could reach files when the model is loaded or called" in refusal(path)


def test_a_function_that_nothing_names(tmp_path: Path) -> None:
    """Importing it may fold ReadFile into a constant."""

    def add(meta: Any) -> None:
        function = meta.graph_def.library.function.add()
        function.signature.name = "forgotten"
        function.node_def.add(name="read\nhere", op="ReadFile")

    assert r"(node 'read\nhere' of function 'forgotten')" in refusal(edited(saved(means, tmp_path / "m"), add))


def test_names_that_mislead(tmp_path: Path) -> None:
    def repeat(meta: Any) -> None:
        meta.graph_def.library.function.append(meta.graph_def.library.function[0])

    def rename(meta: Any) -> None:
        meta.graph_def.library.function.add().signature.name = "WriteFile"

    path = saved(means, tmp_path / "m")
    kept = (path / "saved_model.pb").read_bytes()
    assert "has 2 function(s) of the name" in refusal(edited(path, repeat))
    (path / "saved_model.pb").write_bytes(kept)
    assert "has 1 function(s) of the name 'WriteFile'" in refusal(edited(path, rename))


@pytest.mark.parametrize("where", ["signature", "main_op", "dead"])
def test_models_of_tensorflow_1_that_write(tmp_path: Path, marker: Path, where: str) -> None:
    def build(images: Any, session: Any) -> dict[str, Any]:
        write = tf.raw_ops.WriteFile(filename=str(marker), contents="here")
        with tf.control_dependencies([write] if where == "signature" else []):
            return {"output": means(images), **({"main_op": write} if where == "main_op" else {})}

    assert "(node 'WriteFile' of the main graph)" in refusal(first_kind(tmp_path / "m", build))


@pytest.mark.parametrize("where", ["signature", "main_op", "function"])
def test_models_of_tensorflow_1_whose_saver_is_run(tmp_path: Path, marker: Path, where: str) -> None:
    def save(images: Any) -> Any:
        return tf.raw_ops.SaveV2(prefix=str(marker), tensor_names=["x"], shape_and_slices=[""], tensors=[images])

    def build(images: Any, session: Any) -> dict[str, Any]:
        tf.compat.v1.get_variable("w", [3], initializer=tf.ones_initializer(), use_resource=True)
        if where == "function":
            return {"output": tf.function(saving(marker))(images)}
        write = save(images if where == "signature" else IMAGES)
        with tf.control_dependencies([write] if where == "signature" else []):
            return {"output": means(images), **({"main_op": tf.group(write)} if where == "main_op" else {})}

    assert "which could reach files" in refusal(first_kind(tmp_path / "m", build))


def test_a_saver_of_tensorflow_1_that_restores_from_elsewhere_or_saves(tmp_path: Path, marker: Path) -> None:
    def build(images: Any, session: Any) -> dict[str, Any]:
        weight = tf.compat.v1.get_variable("w", [3], initializer=tf.ones_initializer(), use_resource=True)
        return {"output": means(images * weight)}

    def elsewhere(meta: Any) -> None:
        meta.graph_def.node.add().CopyFrom(next(node for node in meta.graph_def.node if node.op == "Const"))
        meta.graph_def.node[-1].name = "elsewhere"
        next(node for node in meta.graph_def.node if node.op == "RestoreV2").input[0] = "elsewhere"

    def saves(meta: Any) -> None:
        next(node for node in meta.graph_def.node if node.op == "RestoreV2").input.append("^save/SaveV2")

    path = first_kind(tmp_path / "m", build)
    answer(path)
    kept = (path / "saved_model.pb").read_bytes()
    assert "the op 'RestoreV2' (node 'save/RestoreV2'" in refusal(edited(path, elsewhere))
    (path / "saved_model.pb").write_bytes(kept)
    assert "the op 'SaveV2' (node 'save/SaveV2'" in refusal(edited(path, saves))


def test_every_meta_graph_is_looked_at(tmp_path: Path, marker: Path) -> None:
    path = first_kind(tmp_path / "m", lambda images, _: {"output": means(images)})
    other = first_kind(tmp_path / "n", lambda images, _: {"output": writing(marker)(images)})
    pb = path / "saved_model.pb"
    pb.write_bytes(pb.read_bytes() + (other / "saved_model.pb").read_bytes())  # which is how messages are joined
    assert "'WriteFile'" in refusal(path)


def test_tables_from_assets_and_names_of_assets(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("one\n")
    kinds = (tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
    table = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(str(words), *kinds), -1)
    path = saved(lambda images: means(images) + tf.cast(table.size(), tf.float32), tmp_path / "m", table=table)
    assert "Table" in refusal(path)

    def climb(meta: Any) -> None:
        meta.asset_file_def[0].filename = "../x"

    with trusting_code():
        answer(path)
        assert "assets of SavedModel" in refusal(edited(path, climb))


# Folders and files


@pytest.mark.parametrize("content", [b"", b"garbage", "truncated", "fifo", "absent", "link out"])
def test_files_that_are_no_saved_model(tmp_path: Path, content: str | bytes) -> None:
    path = saved(means, tmp_path / "m")
    pb, words = path / "saved_model.pb", "truncated, damaged or no SavedModel"
    whole = pb.read_bytes()
    pb.unlink()
    if content == "fifo":
        os.mkfifo(pb)
        words = "no regular file"
    elif content == "absent":
        words = "must hold saved_model.pb"
    elif content == "link out":
        (tmp_path / "outside.pb").write_bytes(whole)
        pb.symlink_to(tmp_path / "outside.pb")
        words = "link out of its folder, 'saved_model.pb'"
    else:
        pb.write_bytes(whole[: len(whole) // 2] if isinstance(content, str) else content)
    assert words in refusal(path)


@pytest.mark.parametrize("inside", ["assets/words.txt", "variables/variables.index", "assets.extra"])
def test_links_and_pipes_among_the_files(tmp_path: Path, inside: str) -> None:
    path = saved(means, tmp_path / "m")
    place = path / inside
    place.unlink(missing_ok=True)
    place.symlink_to("/etc" if inside == "assets.extra" else "/etc/hosts")
    assert "link out of its folder" in refusal(path)
    place.unlink()
    os.mkfifo(place)
    assert "no regular file" in refusal(path)


def test_models_that_would_fill_the_memory(tmp_path: Path) -> None:
    def constant(meta: Any) -> None:
        (tensor,) = (
            node.attr["value"].tensor for node in function_of(meta, "__inference_serve_").node_def if node.op == "Const"
        )
        tensor.tensor_shape.dim.add(size=1 << 40)

    def variable(meta: Any) -> None:
        (node,) = (node for node in meta.object_graph_def.nodes if node.WhichOneof("kind") == "variable")
        node.variable.shape.dim.add(size=1 << 40)

    def handle(meta: Any) -> None:
        node = function_of(meta, "__inference_serve_").node_def.add(name="handle", op="Const")
        node.attr["value"].tensor.dtype = tf.resource.as_datatype_enum

    path = saved(means, tmp_path / "m")
    whole = (path / "saved_model.pb").read_bytes()
    for change, words in ((constant, "constants of"), (variable, "declares variables of"), (handle, "is a handle")):
        (path / "saved_model.pb").write_bytes(whole)
        assert words in refusal(edited(path, change))


# The list


def test_the_list_names_ops_of_tensorflow_and_none_on_files() -> None:
    assert [name for name in COMPUTING | SAVING if op_def_registry.get(name) is None] == []
    assert not COMPUTING & SAVING
    paths = {"file", "filename", "filenames", "path", "prefix", "url", "urls", "address", "directory", "region"}
    for name in COMPUTING:
        op = op_def_registry.get(name)
        told = [word for argument in (*op.input_arg, *op.attr) for word in argument.name.split("_")]
        assert not paths.intersection(told), name
