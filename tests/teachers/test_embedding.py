"""The embedding of a teacher of every kind is what its last layer reads, and that layer is known as a matrix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import other_models
import pytest
from conftest import Recorder

from kdcompress.cache import cache_dir
from kdcompress.config.sections import PreprocessingSection, SingleTeacherSection, ViewsSection
from kdcompress.data import Dataset, Samples
from kdcompress.errors import KDCompressError, ModelError
from kdcompress.progress import Progress
from kdcompress.teachers import (
    EMBEDDING,
    METADATA_KEY,
    OutputSpec,
    Teacher,
    check_output_count,
    compute_targets,
    open_teacher,
    target_key,
    teacher_of_model,
)

DIGITS = tuple("0123456789")
QUESTION = OutputSpec((28, 28, 1), DIGITS)
PIXELS = {"scale": "1/255"}
ONE, THREE = ViewsSection(), ViewsSection(count=3)


def opened(path: Path, **settings: Any) -> Teacher:
    section = SingleTeacherSection.model_validate({"model": str(path), "preprocessing": PIXELS, **settings})
    teacher = open_teacher(path, section, QUESTION, f"teacher {path.name}")
    check_output_count(teacher, QUESTION)
    return teacher


def keras_file(network: Any, folder: Path) -> Path:
    network.save(folder / "t.keras")
    return folder / "t.keras"


KINDS = {
    "keras": keras_file,
    "onnx nchw": lambda network, folder: other_models.onnx_file(network, folder / "t.onnx"),
    "onnx nhwc": lambda network, folder: other_models.onnx_file(network, folder / "t.onnx", nchw=False),
}


@pytest.fixture(scope="module")
def expected(network: Any, digits: Dataset) -> np.ndarray:
    part = keras.Model(network.inputs, network.layers[-1].input)
    return np.asarray(part(digits.test.images[:20] / 255.0, training=False))


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_last_layer_reads(
    kind: str, network: Any, digits: Dataset, expected: np.ndarray, tmp_path: Path
) -> None:
    teacher = opened(KINDS[kind](network, tmp_path))
    images = digits.test.images[:20]
    if kind != "keras":  # flattens C, H, W as PyTorch does, where Keras flattens H, W, C
        expected = expected.reshape(-1, 4, 4, 16).transpose(0, 3, 1, 2).reshape(expected.shape)
    assert teacher.embed(images) == pytest.approx(expected, abs=1e-3)
    last = teacher.classifier
    assert last is not None
    assert expected @ last.kernel + last.bias == pytest.approx(teacher.logits(images), abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_classifier_has_the_data_s_order_of_classes(
    kind: str, network: Any, digits: Dataset, tmp_path: Path
) -> None:
    shuffled = [str(number) for number in (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)]
    teacher = opened(KINDS[kind](network, tmp_path), preprocessing={**PIXELS, "classes": shuffled})
    last, images = teacher.classifier, digits.test.images[:20]
    assert last is not None
    assert teacher.embed(images) @ last.kernel + last.bias == pytest.approx(teacher.logits(images), abs=1e-3)


def test_a_named_output_of_any_file(network: Any, digits: Dataset, expected: np.ndarray, tmp_path: Path) -> None:
    """A SavedModel, and with it every kind whose outputs have names, gives the output that the recipe names."""
    both = keras.Model(network.inputs[0], {"logits": network.outputs[0], "features": network.layers[-1].input})
    both.export(str(tmp_path / "saved"), format="tf_saved_model", verbose=False)
    teacher = opened(tmp_path / "saved", output="logits", embedding="features")
    assert teacher.embed(digits.test.images[:20]) == pytest.approx(expected, abs=1e-4)
    assert teacher.classifier is None
    with pytest.raises(ModelError, match=r"has no 'feature' among its outputs; it has"):
        opened(tmp_path / "saved", output="logits", embedding="feature").embed(digits.test.images[:2])
    with pytest.raises(ModelError, match=r"does not say which of its outputs is its embedding: name it with teacher.e"):
        opened(tmp_path / "saved", output="logits").embed(digits.test.images[:2])


def conv_net() -> Any:
    layers = keras.layers
    image = keras.Input((28, 28, 1))
    maps = layers.Conv2D(5, 3, strides=4, activation="relu", name="maps")(image)
    features = layers.Dropout(0.5)(layers.GlobalAveragePooling2D(name="pool")(maps))
    return keras.Model(image, layers.Dense(10, activation="softmax", use_bias=False, name="probabilities")(features))


def of_model(model: Any, **settings: Any) -> Teacher:
    section = SingleTeacherSection.model_validate({"model": "x:y", **settings})
    return teacher_of_model(model, section, QUESTION, "teacher x:y")


def test_feature_maps_are_averaged_and_dropout_is_left_out(digits: Dataset) -> None:
    model, images = conv_net(), digits.test.images[:5]
    head = of_model(model)
    assert (head.embedder.layer, head.embed(images).shape) == ("pool", (5, 5))
    assert of_model(model, embedding="maps").embed(images) == pytest.approx(head.embed(images), abs=1e-4)
    assert head.classifier is not None
    assert not head.classifier.bias.any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"embedding": "map"}, r"has no layer 'map' \(did you mean 'maps'\?\)"),
        ({"embedding": "patches"}, r"patches of teacher x:y has an output of shape \(49, 5\)"),
    ],
)
def test_what_is_no_embedding(settings: dict[str, Any], message: str, digits: Dataset) -> None:
    model = conv_net()
    patches = keras.layers.Reshape((49, 5), name="patches")(model.get_layer("maps").output)
    pooled = keras.layers.GlobalAveragePooling1D()(patches)
    model = keras.Model(model.inputs[0], keras.layers.Dense(10)(pooled))
    with pytest.raises(ModelError, match=message):
        of_model(model, **settings).embed(digits.test.images[:2])


def test_a_head_that_reads_maps_is_told_to_be_named(digits: Dataset) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Conv2D(10, 28), layers.Flatten()])
    with pytest.raises(
        ModelError, match=r"is a Conv2D: an embedding is what a Dense layer reads; teacher\.embedding n"
    ):
        of_model(model).embed(digits.test.images[:2])


def test_an_onnx_tensor_that_is_not_there(network: Any, digits: Dataset, tmp_path: Path) -> None:
    teacher = opened(KINDS["onnx nchw"](network, tmp_path), embedding="nowhere")
    with pytest.raises(ModelError, match=r"teacher\.embedding: teacher t\.onnx computes no tensor 'nowhere'"):
        teacher.embed(digits.test.images[:2])


def test_embeddings_beside_logits_in_an_npz(digits: Dataset, tmp_path: Path) -> None:
    some = digits.test.take(np.arange(30))
    rng = np.random.default_rng(0)
    logits, embedding = rng.normal(0, 1, (30, 10)).astype(np.float32), rng.normal(0, 1, (30, 4)).astype(np.float32)
    backwards = slice(None, None, -1)
    np.savez(tmp_path / "t.npz", ids=some.ids[backwards], logits=logits[backwards], embedding=embedding[backwards])
    teacher = opened(tmp_path / "t.npz", preprocessing={})
    rows = compute_targets(teacher, some, "split", ONE, Progress(), target=EMBEDDING).arrays[EMBEDDING]
    assert rows.shape == (30, 1, 4)
    assert np.array_equal(rows[np.arange(30), np.zeros(30, int)], embedding)
    np.savez(tmp_path / "none.npz", ids=some.ids, logits=logits)
    with pytest.raises(ModelError, match="put an array `embedding`"):
        compute_targets(
            opened(tmp_path / "none.npz", preprocessing={}), some, "split", ONE, Progress(), target=EMBEDDING
        )
    np.savez(tmp_path / "bad.npz", ids=some.ids, logits=logits, embedding=embedding[:9])
    with pytest.raises(KDCompressError, match=r"embedding must be floats \(n, width\) for the 30 ids, got .* \(9, 4\)"):
        opened(tmp_path / "bad.npz", preprocessing={})


def test_the_cache_has_an_entry_of_their_own_in_half_precision(
    small: Samples, recorder: Recorder, network: Any, tmp_path: Path
) -> None:
    teacher = opened(keras_file(network, tmp_path))
    first = compute_targets(teacher, small, "split", THREE, recorder, target=EMBEDDING)
    width = teacher.embed(small.images[:1]).shape[1]
    rows = first.arrays[EMBEDDING]
    assert (rows.dtype, rows.shape) == (np.float16, (300, 3, width))
    assert rows[:, 0] == pytest.approx(teacher.embed(small.images), rel=1e-3, abs=1e-3)
    size = (cache_dir("targets") / first.key / "embedding.npy").stat().st_size
    assert 2 * rows.size < size < 2 * rows.size + 1000
    again = compute_targets(teacher, small, "split", THREE, recorder, target=EMBEDDING)
    assert (first.cached, again.cached) == (False, True)
    assert not compute_targets(teacher, small, "split", THREE, recorder).cached
    (cache_dir("targets") / first.key / "embedding.npy").write_bytes(b"damaged")
    assert not compute_targets(teacher, small, "split", THREE, recorder, target=EMBEDDING).cached
    assert "refused, labelling anew" in recorder.warnings[-1]


def test_the_key_names_the_layer_and_that_of_logits_is_the_former(network: Any, tmp_path: Path) -> None:
    path = keras_file(network, tmp_path)
    names = [layer.name for layer in network.layers]
    keys = [target_key(opened(path, embedding=name), "split", ONE, EMBEDDING) for name in (None, names[-2], names[-3])]
    assert keys[1]["embedding"] == names[-2]
    assert len({str(key) for key in keys}) >= 2
    assert "embedding" not in target_key(opened(path), "split", ONE)


def test_what_half_precision_does_not_reach_names_the_image(small: Samples) -> None:
    layers = keras.layers
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Rescaling(1e6), layers.Dense(10)])
    with pytest.raises(KDCompressError, match=r"outputs for sample .* are not finite"):
        compute_targets(of_model(model), small, "split", ONE, Progress(), target=EMBEDDING)


def test_a_network_that_gets_a_head_needs_no_other_output(network: Any, digits: Dataset, tmp_path: Path) -> None:
    import onnx

    path = other_models.onnx_file(network, tmp_path / "t.onnx")
    features = opened(path).embedder.layer
    model = onnx.load(path)
    model.graph.output.append(onnx.ValueInfoProto(name=features))
    logits = model.graph.output[0].name
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    with pytest.raises(
        ModelError, match=rf"has 2 outputs \({logits}, {features}\); name the one to use with teacher\.o"
    ):
        opened(path, embedding=features)
    section = {"model": str(path), "preprocessing": PIXELS, "embedding": features, "probe": True}
    teacher = open_teacher(path, SingleTeacherSection.model_validate(section), QUESTION, "teacher t.onnx")
    images = digits.test.images[:5]
    assert teacher.embed(images) == pytest.approx(opened(path, output=logits, embedding=features).embed(images))


@pytest.mark.parametrize("text", ["[1]", "{", "[" * 100_000, '{"scale": "a"}', '{"mean": [1, 2]}'])
def test_preprocessing_in_a_strangers_file_is_checked(text: str, network: Any, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(other_models.onnx_file(network, tmp_path / "t.onnx"))
    model.metadata_props.add(key=METADATA_KEY, value=text)
    onnx.save(model, tmp_path / "t.onnx")
    with pytest.raises(KDCompressError, match=r"in its metadata is damaged|no preprocessing has|has 2 val"):
        opened(tmp_path / "t.onnx", preprocessing={})


def test_preprocessing_that_a_file_holds_is_replaced_by_settings_not_by_written_defaults(
    network: Any, tmp_path: Path
) -> None:
    """A run's own recipe has every default written out, and opens its teacher as training did."""
    import onnx

    model = onnx.load(other_models.onnx_file(network, tmp_path / "t.onnx"))
    held = {"scale": "1/255", "mean": [0.5], "std": [0.25], "classes": list(reversed(DIGITS))}
    model.metadata_props.add(key=METADATA_KEY, value=json.dumps(held))
    onnx.save(model, tmp_path / "t.onnx")
    defaults = PreprocessingSection().model_dump()
    for preprocessing in ({}, defaults):
        teacher = opened(tmp_path / "t.onnx", preprocessing=preprocessing)
        section = teacher.adapter.section
        assert (section.scale, section.mean, section.std) == (pytest.approx(1 / 255), (0.5,), (0.25,))
        assert teacher.adapter.columns is None  # the order of outputs is the recipe's to say
        assert "as its own files say: size 28x28, scale 0.003922, mean 0.5, std 0.25" in teacher.input_notes[0]
    other = opened(tmp_path / "t.onnx", preprocessing={**defaults, "scale": 2.0})
    assert (other.adapter.section.scale, other.adapter.section.mean) == (2.0, 0.0)
    assert "as the recipe says, not its own files: size 28x28, scale 2" in other.input_notes[0]
