"""A comparison that cannot fail proves nothing: every kind of broken export must be caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import Input, Sequential, layers

from kdcompress.data import LazyImages
from kdcompress.exporting import ExportedModel, Options, make_format, open_exported
from kdcompress.exporting._network import Network, freeze
from kdcompress.exporting._parity import Reference, check_parity
from kdcompress.models import Forward


@pytest.fixture
def exported(network: Network, tmp_path: Path) -> onnx.ModelProto:
    path = tmp_path / "model.onnx"
    make_format("onnx").write(network, path, "fp32", Options(), None, {})
    return onnx.load(path)


def opened(model: onnx.ModelProto, folder: Path) -> ExportedModel:
    onnx.save(model, folder / "broken.onnx")
    return open_exported(folder / "broken.onnx")


def test_one_changed_weight_is_caught(exported: onnx.ModelProto, reference: Reference, tmp_path: Path) -> None:
    weight = max(exported.graph.initializer, key=lambda one: len(one.raw_data))
    values = onnx.numpy_helper.to_array(weight).copy()
    values.flat[np.abs(values).argmax()] *= 1.1
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    verdict = check_parity(opened(exported, tmp_path), reference, "fp32", 0.01)
    assert not verdict["passed"]
    assert "of the largest logit" in verdict["reasons"][0]


def test_a_dropped_preprocessing_is_caught(classifier: Any, reference: Reference, tmp_path: Path) -> None:
    bare = Sequential([Input((28, 28, 1)), *classifier.layers[1:]])
    path = tmp_path / "bare.onnx"
    make_format("onnx").write(freeze(bare, (28, 28, 1)), path, "fp32", Options(), None, {})
    for precision in ("fp32", "int8"):
        assert not check_parity(open_exported(path), reference, precision, 0.01)["passed"]


def test_a_swapped_channel_order_is_caught(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = Sequential([Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), np.uint8)
    logits = Forward(model)(images)
    labelled = Reference("test", images, [str(i) for i in range(40)], logits, logits.argmax(-1), ["a", "b", "c"])
    path = tmp_path / "model.onnx"
    make_format("onnx").write(freeze(model, (8, 8, 3)), path, "fp32", Options(), None, {})
    right = open_exported(path)
    assert check_parity(right, labelled, "fp32", 0.01)["passed"]
    swapped = ExportedModel(lambda batch: right.run(batch[..., ::-1]), right.input_shape, None)
    verdict = check_parity(swapped, labelled, "fp16", 0.01)
    assert not verdict["passed"]
    assert verdict["parity"]["flipped"]
    assert verdict["metric_drop"] == pytest.approx(1 - verdict["metrics"]["accuracy"])


def answering(change: Callable[[np.ndarray], np.ndarray], reference: Reference) -> ExportedModel:
    """A model that gives the reference's logits, changed, whatever the size of its batches."""
    table = {image.tobytes(): row for image, row in zip(reference.images, change(reference.logits), strict=True)}
    return ExportedModel(lambda batch: np.stack([table[image.tobytes()] for image in batch]), (2, 2, 1), None)


def made(logits: list[list[float]], labels: list[int] | None, classes: int) -> Reference:
    images = np.arange(len(logits) * 4, dtype=np.uint8).reshape(-1, 2, 2, 1)
    names = [f"class {index}" for index in range(classes)]
    ids = [f"image {index}" for index in range(len(logits))]
    return Reference(
        "test", images, ids, np.array(logits, np.float32), None if labels is None else np.array(labels), names
    )


def test_the_figures_by_hand() -> None:
    reference = made([[10, 0, 0], [0, 8, 0], [0, 0, 6], [4, 5, 0]], [0, 1, 2, 0], 3)
    moved = np.array([[10, 0, 0], [0, 8, 0], [0, 0, 6.5], [6, 5, 0]], np.float32)
    verdict = check_parity(answering(lambda _: moved, reference), reference, "int8", 0.0)
    parity = verdict["parity"]
    assert (parity["n"], parity["max_abs_diff"], parity["largest_logit"]) == (4, 2.0, 10.0)
    assert parity["mean_abs_diff"] == pytest.approx(2.5 / 12)
    assert (parity["top1_agreement"], parity["flipped"]) == (0.75, ["image 3"])
    assert verdict["metric"] == "accuracy"
    assert (verdict["metrics"]["accuracy"], verdict["metric_drop"]) == (1.0, -0.25)
    assert verdict["recall_change"] == {"class 0": 0.5, "class 1": 0.0, "class 2": 0.0}
    assert verdict["passed"]


def test_fp32_may_flip_ties_alone() -> None:
    tie = made([[10.0, 10.0005, 0.0], [10.0, 0.0, 0.0]], [1, 0], 3)
    assert check_parity(answering(lambda x: x + np.array([0.0006, 0, 0]), tie), tie, "fp32", 0.0)["passed"]
    clear = made([[1000.0, 0.0, 0.0], [0.0, 0.15, 0.0]], [0, 1], 3)
    verdict = check_parity(answering(lambda x: x + np.array([0.09, -0.09, 0]), clear), clear, "fp32", 0.0)
    assert verdict["reasons"] == ["top-1 differs on 1 images that are not ties"]


def test_the_limit_is_the_one_given() -> None:
    reference = made([[1, 0, 0]] * 10, [0] * 10, 3)

    def flip_one(logits: np.ndarray) -> np.ndarray:
        return np.where(np.arange(10)[:, None] == 3, [0, 1, 0], logits).astype(np.float32)

    assert check_parity(answering(flip_one, reference), reference, "int8", 0.1001)["passed"]
    verdict = check_parity(answering(flip_one, reference), reference, "int8", 0.05)
    assert verdict["reasons"] == ["accuracy falls by 10.00 points, above 5"]


def test_two_classes_are_judged_by_auc() -> None:
    reference = made([[0, 1], [0, 2], [0, -1], [0, -3]], [1, 1, 0, 0], 2)
    swapped_order = check_parity(answering(lambda x: -x, reference), reference, "int8", 0.01)
    assert (swapped_order["metric"], swapped_order["metric_drop"]) == ("auc", 1.0)
    one_class = made([[0, 1], [0, 2]], [1, 1], 2)
    assert check_parity(answering(lambda x: x, one_class), one_class, "int8", 0.01)["metric"] == "accuracy"


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_fail(precision: str, value: float) -> None:
    reference = made([[1, 0, 0], [0, 1, 0]], [0, 1], 3)
    verdict = check_parity(answering(lambda x: x + np.array([value, 0, 0]), reference), reference, precision, 1.0)
    assert verdict["reasons"] == ["its outputs are not finite"]
    assert verdict["parity"]["max_abs_diff"] is None
    assert verdict["parity"]["top1_agreement"] == 0


def test_without_labels_top1_must_agree() -> None:
    reference = made([[1, 0, 0]] * 20, None, 3)
    one = check_parity(
        answering(lambda x: np.where(np.arange(20)[:, None] < 1, -x, x), reference), reference, "int8", 0.01
    )
    two = check_parity(
        answering(lambda x: np.where(np.arange(20)[:, None] < 2, -x, x), reference), reference, "int8", 0.01
    )
    assert (one["passed"], two["passed"]) == (True, False)
    assert two["metrics"] is None
    assert two["reasons"] == ["top-1 agrees on 90.0 % of the images, below 95 %"]


class Counted(LazyImages):
    """Images that count how often each is read."""

    def __init__(self, images: np.ndarray) -> None:
        self.pixels, self.shape = images, images.shape
        self.reads = np.zeros(len(images), int)

    def __getitem__(self, rows: Any) -> np.ndarray:
        self.reads[rows] += 1
        return self.pixels[rows]

    def take(self, index: np.ndarray) -> LazyImages:
        raise NotImplementedError


def test_images_are_read_once_for_all_sizes_of_batches() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (600, 4, 4, 1), np.uint8)
    images, sizes = Counted(pixels), set[int]()

    def run(batch: np.ndarray) -> np.ndarray:
        sizes.add(len(batch))
        return batch.reshape(len(batch), -1)[:, :3].astype(np.float32)

    labels = pixels.reshape(600, -1)[:, :3].argmax(-1)
    reference = Reference("test", images, [str(i) for i in range(600)], run(pixels), labels, ["a", "b", "c"])
    sizes.clear()
    verdict = check_parity(ExportedModel(run, (4, 4, 1), None), reference, "fp32", 0.01)
    assert verdict["passed"]
    assert verdict["parity"]["max_abs_diff"] == 0
    assert images.reads.tolist() == [1] * 600
    assert sizes == {1, 64, 600 % 64}
