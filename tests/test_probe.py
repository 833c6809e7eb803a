"""Networks without classes as teachers: a linear head on their embedding, fitted on the labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import other_models
import pytest
from conftest import Recorder

import kdcompress
from kdcompress.api._distill import plan
from kdcompress.api._recipe import recipe_of
from kdcompress.errors import KDCompressError
from kdcompress.pipeline.probing import fit_head

PIXELS = {"teacher.preprocessing.scale": "1/255"}
SMALL = {
    "student.model": "tiny_models:plain_mlp", "data.source": "embedded", "split.limit": 400, "training.epochs": 2,
    "teacher.probe": True,
}  # fmt: skip


def distill(out: Path, teacher: Path, method: str, recorder: Recorder, **settings: Any) -> kdcompress.Run:
    return kdcompress.distill(
        "mnist-demo", out=out, teacher=teacher, method=method, settings={**SMALL, **settings}, baseline=False,
        progress=recorder,
    )  # fmt: skip


def encoder(network: Any) -> Any:
    return keras.Model(network.inputs[0], network.layers[-1].input)


def onnx_encoder(network: Any, path: Path) -> Path:
    """The network without its last product, which leaves a tensor of 256 numbers as the output."""
    import onnx

    model = other_models.onnx_model(network)
    del model.graph.node[-2:]
    model.graph.ClearField("output")
    last = model.graph.node[-1].output[0]
    model.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, ["n", 256]))
    onnx.save(model, path)
    return path


def test_a_head_is_as_good_as_its_embeddings_allow() -> None:
    """Three Gaussians of known means: the head decides as Bayes does."""
    rng = np.random.default_rng(0)
    means = np.array([[3, 0, 100], [0, 3, 100], [0, 0, 100]], np.float32)
    labels, val_labels = rng.integers(0, 3, 900), rng.integers(0, 3, 900)
    train, val = (means[one] + rng.normal(0, 1, (900, 3)).astype(np.float32) for one in (labels, val_labels))
    head, _ = fit_head(train, labels, val, val_labels)
    bayes = (val @ means.T - (means**2).sum(axis=1) / 2).argmax(axis=1)
    found = (val @ head.kernel + head.bias).argmax(axis=1)
    assert (found == bayes).mean() > 0.97


def test_two_classes_have_two_logits_and_a_constant_number_is_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    embeddings = np.stack([labels + rng.normal(0, 0.1, 200), np.full(200, 7.0)], axis=1).astype(np.float32)
    head, _ = fit_head(embeddings, labels, embeddings, labels)
    assert head.kernel.shape == (2, 2)
    assert ((embeddings @ head.kernel + head.bias).argmax(axis=1) == labels).mean() > 0.99


@pytest.mark.parametrize("kind", ["keras", "onnx"])
@pytest.mark.slow
def test_an_encoder_teaches_by_every_method(kind: str, network: Any, tmp_path: Path, recorder: Recorder) -> None:
    """The head goes into the run's copy, which verify, export and a second run need the encoder no more for."""
    path = tmp_path / f"encoder.{kind}"
    if kind == "keras":
        encoder(network).save(path)
    else:
        onnx_encoder(network, path)
    with pytest.raises(KDCompressError, match=r"has 256 classes, the data has 10 classes.*teacher\.probe = true"):
        distill(tmp_path / "none", path, "hinton", recorder, **PIXELS, **{"teacher.probe": False})
    run = distill(tmp_path / "run", path, "simkd", recorder, **PIXELS)
    assert any("a linear head fitted on 360 embeddings of 256 numbers" in note for note in recorder.notes)
    assert run.result["teacher"]["metrics"]["accuracy"] > 0.8
    assert (tmp_path / "run" / f"teacher.{kind}").is_file()
    again = distill(tmp_path / "again", path, "srrl", recorder, **PIXELS)
    assert any("its head was fitted before" in note for note in recorder.notes)
    assert again.result["teacher"]["metrics"] == run.result["teacher"]["metrics"]
    path.unlink()
    result = kdcompress.verify(tmp_path / "run")
    n_parameters = network.count_params()  # of the encoder and a head of the same size as its own
    assert result["teacher"]["params"] == n_parameters
    copy = kdcompress.distill(
        "mnist-demo", out=tmp_path / "copy", teacher=tmp_path / "run" / f"teacher.{kind}", baseline=False,
        settings={**SMALL, **PIXELS, "teacher.probe": False},
    )  # fmt: skip
    assert copy.result["teacher"]["metrics"] == run.result["teacher"]["metrics"], (
        "the copy is the encoder with its head"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher.preprocessing.classes": list("0123456789")}, "a probe has those of the data: leave it out"),
        ({"teacher.embedding": "nowhere"}, "has no layer 'nowhere'"),
    ],
)
def test_what_does_not_go_with_a_probe(
    settings: dict[str, Any], message: str, network: Any, tmp_path: Path, recorder: Recorder
) -> None:
    encoder(network).save(tmp_path / "encoder.keras")
    with pytest.raises(KDCompressError, match=message):
        distill(tmp_path / "run", tmp_path / "encoder.keras", "hinton", recorder, **PIXELS, **settings)


def test_a_kind_that_gets_no_head_is_told_before_one_is_fitted(
    network: Any, tmp_path: Path, recorder: Recorder
) -> None:
    encoder(network).export(str(tmp_path / "saved"), format="tf_saved_model", verbose=False)
    settings = {**SMALL, **PIXELS}
    recipe = recipe_of("mnist-demo", teacher=tmp_path / "saved", settings=settings)
    for attempt in (
        lambda: plan(recipe, tmp_path / "run", recorder),
        lambda: distill(tmp_path / "run", tmp_path / "saved", "hinton", recorder, **settings),
    ):
        with pytest.raises(KDCompressError, match="takes Keras, ONNX and PyTorch models; convert it to ONNX first"):
            attempt()
    assert not [note for note in recorder.notes if "a linear head fitted" in note]


def test_a_zoo_model_is_trained_with_a_head_of_its_own(tmp_path: Path, recorder: Recorder) -> None:
    with pytest.raises(KDCompressError, match="mnist_cnn is a zoo model, which is trained with its own: leave"):
        kdcompress.distill("mnist-demo", out=tmp_path / "run", settings=SMALL, progress=recorder)


def test_what_follows_the_last_layer_is_told(network: Any, tmp_path: Path, recorder: Recorder) -> None:
    """A scale behind the head makes other probabilities, which the head alone would teach."""
    scaled = keras.Model(network.inputs[0], keras.layers.Rescaling(0.1)(network.outputs[0]))
    scaled.save(tmp_path / "scaled.keras")
    settings = {**PIXELS, "teacher.probe": False}
    for method in ("simkd", "srrl"):
        with pytest.raises(KDCompressError, match="does more to its embedding than its last layer with weights"):
            distill(tmp_path / method, tmp_path / "scaled.keras", method, recorder, **settings)


def test_a_file_with_a_head_can_get_another(network: Any, tmp_path: Path, recorder: Recorder) -> None:
    run = distill(tmp_path / "one", onnx_encoder(network, tmp_path / "encoder.onnx"), "hinton", recorder, **PIXELS)
    again = {**PIXELS, "teacher.embedding": "probe_cast"}
    second = distill(tmp_path / "two", run.path / "teacher.onnx", "hinton", recorder, **again)
    assert second.result["teacher"]["metrics"] == run.result["teacher"]["metrics"]


def test_a_softmax_teacher_s_last_layer_is_known_in_a_plan_too(
    network: Any, tmp_path: Path, recorder: Recorder
) -> None:
    soft = keras.Model(network.inputs[0], keras.layers.Softmax()(network.outputs[0]))
    soft.save(tmp_path / "soft.keras")
    settings = {**SMALL, **PIXELS, "teacher.probe": False}
    recipe = recipe_of("mnist-demo", teacher=tmp_path / "soft.keras", method="srrl", settings=settings)
    assert plan(recipe, tmp_path / "run", recorder)["method"]["name"] == "srrl"
