"""The same network in every form gives the same targets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import other_models
import pytest

from kdcompress.config.sections import MemberSection, PreprocessingSection, SingleTeacherSection, ViewsSection
from kdcompress.data import Dataset
from kdcompress.errors import ModelError, RecipeError, TargetsError
from kdcompress.teachers import OutputSpec, Teacher, check_output_count, open_teacher

DIGITS = tuple("0123456789")
QUESTION = OutputSpec((28, 28, 1), DIGITS)
PIXELS = {"scale": "1/255"}
PYTORCH = {"scale": "1/255", "mean": other_models.MEAN, "std": other_models.STD}
SHUFFLED = (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)


@pytest.fixture(scope="session")
def expected(network: Any, digits: Dataset) -> np.ndarray:
    """What the network answers to 200 test digits, by Keras itself."""
    return np.asarray(network(digits.test.images[:200] / 255.0))


def opened(path: Path, **settings: Any) -> Teacher:
    settings = {"preprocessing": PIXELS, **settings}
    section = SingleTeacherSection.model_validate({"model": str(path), **settings})
    teacher = open_teacher(path, section, QUESTION, f"teacher {path.name}")
    check_output_count(teacher, QUESTION)
    return teacher


def answers(teacher: Teacher, digits: Dataset, settings: dict[str, Any] | None = None) -> np.ndarray:
    some = digits.test.take(np.arange(200))
    teacher.set_reading(SingleTeacherSection.model_validate({"model": "x", **(settings or {})}), some)
    return teacher.predict(some)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    wide = logits.astype(np.float64)
    return np.asarray(wide - np.log(np.exp(wide).sum(-1, keepdims=True)))


def keras_file(network: Any, path: Path) -> Path:
    network.save(path)
    return path


KINDS = {
    "keras": lambda network, folder: keras_file(network, folder / "t.keras"),
    "h5": lambda network, folder: keras_file(network, folder / "t.h5"),
    "saved_model": lambda network, folder: other_models.saved_model(network, folder / "t"),
    "onnx nchw": lambda network, folder: other_models.onnx_file(network, folder / "t.onnx"),
    "onnx nhwc": lambda network, folder: other_models.onnx_file(network, folder / "t.onnx", nchw=False),
    "onnx of batch 1": lambda network, folder: other_models.onnx_file(network, folder / "t.onnx", batch=1),
    "onnx of batch 64": lambda network, folder: other_models.onnx_file(network, folder / "t.onnx", batch=64),
    "tflite": lambda network, folder: other_models.tflite_file(network, folder / "t.tflite"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_targets(
    kind: str, network: Any, expected: np.ndarray, digits: Dataset, tmp_path: Path
) -> None:
    teacher = opened(KINDS[kind](network, tmp_path))
    assert answers(teacher, digits) == pytest.approx(expected, abs=1e-4)
    assert teacher.reading.kind == "logits"


def test_logits_computed_elsewhere_are_found_by_their_ids(
    expected: np.ndarray, digits: Dataset, tmp_path: Path
) -> None:
    order = np.random.default_rng(0).permutation(200)
    np.savez(tmp_path / "t.npz", logits=expected[order], ids=digits.test.ids[:200][order])
    teacher = opened(tmp_path / "t.npz", preprocessing={})
    assert np.array_equal(answers(teacher, digits), expected)
    few = digits.test.take(np.array([7, 3, 150]))
    rows = teacher.stored_logits(few)
    assert rows is not None
    assert rows.shape == (3, 1, 10)
    assert np.array_equal(rows[np.array([1, 0]), np.array([0, 0])], expected[[3, 7]])


def test_ids_of_names_that_are_not_utf_8_are_those_of_the_file_of_ids(
    expected: np.ndarray, digits: Dataset, tmp_path: Path
) -> None:
    few = replace(digits.test.take(np.arange(3)), ids=np.array(["caf\udce9.png", "b.png", "c.png"]))
    np.savez(tmp_path / "t.npz", logits=expected[:3], ids=np.array([r"caf\xe9.png", "b.png", "c.png"]))
    teacher = opened(tmp_path / "t.npz", preprocessing={})
    teacher.check_samples(few.ids, ViewsSection())
    teacher.set_reading(SingleTeacherSection(model="x"), few)
    assert np.array_equal(teacher.predict(few), expected[:3])


def test_a_pytorch_style_file_is_the_same_network(
    network: Any, expected: np.ndarray, digits: Dataset, tmp_path: Path
) -> None:
    path = other_models.onnx_file(network, tmp_path / "t.onnx", normalised=True, softmax=True, order=SHUFFLED)
    classes = [DIGITS[digit] for digit in SHUFFLED]
    teacher = opened(path, preprocessing={**PYTORCH, "classes": classes})
    assert np.abs(answers(teacher, digits) - log_softmax(expected)).max() < 1e-4
    assert teacher.reading.kind == "probabilities"


def test_outputs_of_classes_that_the_data_do_not_have_are_left_out(
    network: Any, expected: np.ndarray, digits: Dataset, tmp_path: Path
) -> None:
    path = other_models.onnx_file(network, tmp_path / "t.onnx")
    section = SingleTeacherSection.model_validate(
        {"model": str(path), "preprocessing": {**PIXELS, "classes": [f"digit {name}" for name in DIGITS]}}
    )
    spec = OutputSpec((28, 28, 1), ("digit 8", "digit 2", "digit 3"))
    teacher = open_teacher(path, section, spec, "teacher")
    check_output_count(teacher, spec)
    assert teacher.predict(digits.test.take(np.arange(200))) == pytest.approx(expected[:, [8, 2, 3]], abs=1e-4)


def test_a_teacher_of_another_size_and_colour_sees_the_images_so(digits: Dataset, tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((14, 14, 3)), keras.layers.Flatten(), keras.layers.Dense(10)])
    model.save(tmp_path / "t.keras")
    teacher = opened(tmp_path / "t.keras", preprocessing={})
    some = digits.test.take(np.arange(50))
    seen = teacher.resize(some.images)[:]
    assert seen.shape == (50, 14, 14, 3)
    assert np.array_equal(seen[..., 0], seen[..., 2])
    # Pillow's bilinear filter over twice the distance, by hand in the middle of the first image
    row = some.images[0, :, :, 0].astype(float)
    weights = np.array([1, 3, 3, 1]) / 8
    by_hand = weights @ row[13:17, 13:17] @ weights
    assert seen[0, 7, 7, 0] == pytest.approx(by_hand, abs=1)
    assert teacher.predict(some) == pytest.approx(np.asarray(model(seen.astype(np.float32))), abs=1e-2)


def test_preprocessing_by_hand(digits: Dataset) -> None:
    from kdcompress.teachers import make_input_adapter

    section = PreprocessingSection.model_validate(
        {"scale": "1/255", "mean": [0.5, 0.25, 0.0], "std": [2, 4, 8], "channel_order": "bgr"}
    )
    adapter = make_input_adapter(section, (3, None, None), OutputSpec((2, 2, 3), DIGITS), "t")
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    done = adapter.prepare(pixels)
    assert done.shape == (1, 3, 2, 2)
    # Blue comes first, and has the first mean and std
    assert done[0, 0, 1, 0] == pytest.approx((pixels[0, 1, 0, 2] / 255 - 0.5) / 2)
    assert done[0, 2, 0, 1] == pytest.approx((pixels[0, 0, 1, 0] / 255 - 0.0) / 8)


def test_a_quantized_teacher_that_ends_in_softmax_is_noticed(network: Any, digits: Dataset, tmp_path: Path) -> None:
    """Its probabilities are counted in steps of 1/256, and their sum misses 1."""
    import keras
    import tensorflow as tf

    model = keras.Sequential([other_models.with_scaling(network), keras.layers.Softmax()])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    images = digits.train.images[:100].astype(np.float32)
    converter.representative_dataset = lambda: ([images[i : i + 1]] for i in range(100))
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    (tmp_path / "t.tflite").write_bytes(converter.convert())
    teacher = opened(tmp_path / "t.tflite", preprocessing={})
    found = answers(teacher, digits)
    assert teacher.reading.kind == "probabilities"
    assert np.isfinite(found).all()
    assert found.min() >= np.log(1 / 513)
    assert np.mean(found.argmax(-1) == digits.test.labels[:200]) > 0.85


def test_an_ensemble_is_the_mean_by_hand() -> None:
    from kdcompress.teachers import EnsembleTargets, combine_logits

    p, q = np.array([[0.7, 0.2, 0.1]]), np.array([[0.1, 0.8, 0.1]])
    logits = [np.log(p).astype(np.float32) + 5, np.log(q).astype(np.float32) - 3]
    mean = (3 * p + q) / 4
    assert np.exp(combine_logits(logits, [3, 1], "probabilities")) == pytest.approx(mean, abs=1e-6)
    geometric = p**0.75 * q**0.25
    by_logits = np.exp(combine_logits(logits, [3, 1], "logits"))
    assert by_logits / by_logits.sum() == pytest.approx(geometric / geometric.sum(), abs=1e-6)
    rows = EnsembleTargets([one[:, None] for one in logits], [3, 1], "probabilities")
    assert np.exp(rows[np.array([0]), np.array([0])]) == pytest.approx(mean, abs=1e-6)
    far = [np.array([[2000.0, 0.0]], np.float32), np.array([[0.0, 2000.0]], np.float32)]
    assert combine_logits(far, [1, 1], "probabilities") == pytest.approx(np.log([[0.5, 0.5]]), abs=1e-5)


def test_what_a_run_keeps_answers_as_the_original(
    network: Any, expected: np.ndarray, digits: Dataset, tmp_path: Path
) -> None:
    import onnx

    path = tmp_path / "source" / "t.onnx"
    path.parent.mkdir()
    model = other_models.onnx_model(network)
    onnx.save(model, str(path), save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=0)
    assert len(list(path.parent.iterdir())) > 5
    teacher = opened(path)
    (tmp_path / "run").mkdir()
    teacher.save_copy(tmp_path / "run" / "teacher.onnx")
    digest = teacher.digest
    for file in path.parent.glob("d*"):
        file.write_bytes(bytes(file.stat().st_size))
    assert opened(path).digest != digest  # weights beside the model count
    assert answers(opened(tmp_path / "run" / "teacher.onnx"), digits) == pytest.approx(expected, abs=1e-4)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["teacher.onnx", "teacher.onnx.data"]


@pytest.mark.parametrize(
    ("how", "settings", "error", "words"),
    [
        ({"more": ["z2"]}, {}, ModelError, r"has 2 outputs \(scores, z2\); name the one to use with teacher.output"),
        ({}, {"output": "probs"}, ModelError, r"has no 'probs' among its outputs; it has scores"),
        ({}, {"input": "pixels"}, ModelError, r"has no 'pixels' among its inputs; it has image"),
        ({}, {"constants": {"training": False}}, ModelError, "has no such input beside image"),
        ({"size": "side"}, {"preprocessing": {"size": 40}}, ModelError, r"fails on an image of 40x40x1.*teacher\.pre"),
        ({}, {"preprocessing": {"size": 32}}, RecipeError, "size is 32x32, but teacher t.onnx takes 28x28x1"),
        ({}, {"preprocessing": {"mean": [1, 2, 3]}}, RecipeError, "mean has 3 values, teacher t.onnx takes 1 channels"),
        ({}, {"preprocessing": {"channel_order": "bgr"}}, RecipeError, "is for 3 channels"),
        ({}, {"preprocessing": {"layout": "nhwc"}}, ModelError, "takes images of 28 channels"),
        ({}, {"preprocessing": {"classes": list("0123456788")}}, RecipeError, "names '8' twice"),
        ({}, {"preprocessing": {"classes": list("012345678x")}}, RecipeError, "lacks '9'"),
        ({}, {"preprocessing": {"classes": list("0123456789ab")}}, ModelError, "has 10 classes, .* names 12"),
        ({"order": range(7)}, {}, ModelError, r"has 7 classes, the data has 10 classes; it must end in \(batch, 10\)"),
        ({"opset": 99}, {}, ModelError, "export it again with a lower opset"),
    ],
)
def test_what_does_not_fit_is_told_with_what_to_set(
    how: dict[str, Any], settings: dict[str, Any], error: type, words: str, network: Any, tmp_path: Path
) -> None:
    path = other_models.onnx_file(network, tmp_path / "t.onnx", **how)
    with pytest.raises(error, match=words) as caught:
        opened(path, **settings)
    assert "\n" not in str(caught.value)


def test_constants_for_further_inputs(network: Any, expected: np.ndarray, digits: Dataset, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    model = other_models.onnx_model(network)
    model.graph.input.append(helper.make_tensor_value_info("training", TensorProto.BOOL, []))
    model.graph.node.append(helper.make_node("Not", ["training"], ["unused"]))
    onnx.save(model, tmp_path / "t.onnx")
    with pytest.raises(ModelError, match=r"has 2 inputs \(image, training\); name the one to use with teacher\.input"):
        opened(tmp_path / "t.onnx")
    with pytest.raises(
        ModelError, match=r"also takes training \(tensor\(bool\)\); give it a value with teacher\.const"
    ):
        opened(tmp_path / "t.onnx", input="image")
    teacher = opened(tmp_path / "t.onnx", input="image", constants={"training": False})
    assert answers(teacher, digits) == pytest.approx(expected, abs=1e-4)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    for name, words in (
        ("t.onnx", "no model that onnxruntime runs"),
        ("t.tflite", "no model that LiteRT runs"),
        ("t.h5", "truncated, damaged or no .h5 file"),
        ("t.npz", "truncated, damaged or no npz file"),
    ):
        (tmp_path / name).write_bytes(b"garbage")
        with pytest.raises(Exception, match=words):
            opened(tmp_path / name)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match="neither a SavedModel folder nor a file with a known ending"):
        opened(tmp_path / "folder")


def test_weights_without_a_model(network: Any, tmp_path: Path) -> None:
    network.save_weights(tmp_path / "t.weights.h5")
    with pytest.raises(ModelError, match="holds weights alone"):
        opened(tmp_path / "t.weights.h5")


def test_h5_does_not_run_code(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Lambda(lambda x: x)])
    model.save(tmp_path / "t.h5")
    with pytest.raises(ModelError, match=r"Lambda layer .*, which could run any code"):
        opened(tmp_path / "t.h5")


def test_a_saved_model_without_a_usable_signature_lists_what_there_is(tmp_path: Path) -> None:
    import tensorflow as tf

    holder = tf.Module()
    holder.v = tf.Variable(1.0)
    one = tf.function(lambda x: {"y": x * holder.v}).get_concrete_function(tf.TensorSpec((None, 3), name="x"))
    two = tf.function(lambda x: {"y": x + holder.v}).get_concrete_function(tf.TensorSpec((None, 3), name="x"))
    tf.saved_model.save(holder, str(tmp_path / "t"), signatures={"encode": one, "decode": two})
    with pytest.raises(ModelError, match=r"it has (de|en)code\(x float32 \(None, 3\)\); (en|de)code\("):
        opened(tmp_path / "t")
    tf.saved_model.save(holder, str(tmp_path / "u"))
    with pytest.raises(ModelError, match=r"must have a signature serving_default .* it has none"):
        opened(tmp_path / "u")
    tf.saved_model.save(holder, str(tmp_path / "w"), signatures={"serving_default": one})
    with pytest.raises(ModelError, match=r"takes inputs of shape .*; a teacher takes a batch of images, of rank 4"):
        opened(tmp_path / "w")


def test_ids_that_are_missing_or_too_many(expected: np.ndarray, digits: Dataset, tmp_path: Path) -> None:
    from kdcompress.config.sections import ViewsSection
    from kdcompress.formats.logits.teacher import LogitsTeacher

    ids = digits.test.ids[:200]
    np.savez(tmp_path / "t.npz", logits=expected, ids=ids)
    teacher = opened(tmp_path / "t.npz", preprocessing={})
    assert isinstance(teacher, LogitsTeacher)
    teacher.check_samples(ids, ViewsSection())
    with pytest.raises(TargetsError, match=f"lacks ids: {digits.test.ids[200]}; it must name each image"):
        teacher.check_samples(digits.test.ids[:201], ViewsSection())
    with pytest.raises(TargetsError, match=r"has surplus ids: .* and 7 more"):
        teacher.check_samples(ids[:190], ViewsSection())
    with pytest.raises(TargetsError, match=r"views\.count must be 1"):
        teacher.check_samples(ids, ViewsSection(count=2))
    np.savez(tmp_path / "twice.npz", logits=expected, ids=np.repeat(ids[:100], 2))
    with pytest.raises(ModelError, match="ids name an image twice"):
        opened(tmp_path / "twice.npz", preprocessing={})
    np.savez(tmp_path / "whole.npz", logits=expected.astype(int), ids=ids)
    with pytest.raises(ModelError, match="logits must be floats"):
        opened(tmp_path / "whole.npz", preprocessing={})
    with pytest.raises(RecipeError, match=r"there are no pixels that teacher\.preprocessing could change"):
        opened(tmp_path / "t.npz", preprocessing=PIXELS)
    holed = expected.copy()
    holed[3, 4] = np.nan
    np.savez(tmp_path / "nan.npz", logits=holed, ids=ids)
    with pytest.raises(TargetsError, match=f"the logits of {ids[3]} are not finite"):
        opened(tmp_path / "nan.npz", preprocessing={})


def test_scales_are_fractions_and_names_may_be_numbers() -> None:
    def section(**values: Any) -> SingleTeacherSection:
        return SingleTeacherSection.model_validate({"model": "x", **values})

    for text, value in (("1/255", 1 / 255), ("1/127.5", 1 / 127.5), ("1 / 2", 0.5), ("0.25", 0.25)):
        assert section(preprocessing={"scale": text}).preprocessing.scale == pytest.approx(value)
    assert section(output=41).output == "41"


def test_weights_that_were_left_behind_are_told_by_name(network: Any, tmp_path: Path) -> None:
    import onnx

    model = other_models.onnx_model(network)
    onnx.save(model, str(tmp_path / "t.onnx"), save_as_external_data=True, location="t.onnx.data", size_threshold=0)
    (tmp_path / "t.onnx.data").unlink()
    with pytest.raises(ModelError, match=r"keeps weights in t\.onnx\.data, which is not in its folder"):
        opened(tmp_path / "t.onnx")


def test_weights_of_members_are_above_0() -> None:
    from kdcompress.config.settings import build_section
    from kdcompress.errors import RecipeError

    with pytest.raises(RecipeError, match="weight must be > 0, got 0"):
        build_section(MemberSection, {"model": "x", "weight": 0})
