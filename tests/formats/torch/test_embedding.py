"""The embedding of a PyTorch teacher: what its last linear layer reads, or an output that the recipe names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_models
from tiny_runs import distill

import kdcompress
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.errors import ModelError
from kdcompress.teachers import Classifier, OutputSpec, Teacher, open_teacher, teacher_of_model

torch = torch_models.require()
SPEC = OutputSpec((32, 32, 3), tuple("abcd"))
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
PIXELS = {"scale": "1/255"}
MODULE = """
import torch_models

def big():
    return torch_models.cnn(10, 1)

def maps():
    return torch_models.maps(10, 1)
"""


def teacher_of(module: Any, **settings: Any) -> Teacher:
    section = SingleTeacherSection.model_validate({"model": "models:big", "preprocessing": PIXELS, **settings})
    if isinstance(module, Path):
        return open_teacher(module, section, SPEC, f"teacher {module.name}")
    return teacher_of_model(module, section, SPEC, "teacher models:big")


def tensor_of(images: np.ndarray) -> Any:
    return torch.from_numpy(np.moveaxis(images / np.float32(255), -1, 1).astype(np.float32))


@pytest.mark.parametrize("source", ["module", "file", "decomposed file"])
def test_what_the_last_linear_layer_reads(source: str, tmp_path: Path) -> None:
    module = torch_models.cnn().eval()
    if source == "module":
        teacher = teacher_of(module)
    else:
        program = torch.export.export(
            module, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: torch.export.Dim("n")},)
        )
        torch.export.save(program if source == "file" else program.run_decompositions(), tmp_path / "big.pt2")
        teacher = teacher_of(tmp_path / "big.pt2")
    with torch.no_grad():
        expected = module[:-2](tensor_of(IMAGES)).numpy()
    assert teacher.embed(IMAGES) == pytest.approx(expected, abs=1e-5)
    last = teacher.classifier
    assert last is not None
    assert expected @ last.kernel + last.bias == pytest.approx(teacher.logits(IMAGES), abs=1e-5)


def test_behind_the_last_layer_a_softmax_may_follow() -> None:
    module = torch.nn.Sequential(*torch_models.cnn()[:-1], torch.nn.Linear(16, 4, bias=False), torch.nn.Softmax(-1))
    teacher = teacher_of(module)
    assert teacher.classifier is not None
    assert not teacher.classifier.bias.any()
    logits = teacher.embed(IMAGES) @ teacher.classifier.kernel
    assert np.exp(logits) / np.exp(logits).sum(-1, keepdims=True) == pytest.approx(teacher.run(
        teacher.adapter.prepare(IMAGES)), abs=1e-5)  # fmt: skip


def test_a_network_that_ends_in_a_convolution_is_told_to_name_its_embedding() -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 32), torch.nn.Flatten())
    with pytest.raises(
        ModelError, match=r"does not end in a linear layer, whose input .* name it with teacher\.embedd"
    ):
        teacher_of(module).embed(IMAGES)


@pytest.mark.parametrize("as_file", [False, True])
def test_an_output_with_feature_maps_is_averaged_over_height_and_width(as_file: bool, tmp_path: Path) -> None:
    module = torch_models.maps().eval()
    source = torch_models.export(module, tmp_path / "big.pt2") if as_file else module
    teacher = teacher_of(source, embedding="maps")
    with torch.no_grad():
        expected = module(tensor_of(IMAGES))
    assert teacher.logits(IMAGES) == pytest.approx(expected["logits"].numpy(), abs=1e-5)
    assert teacher.embed(IMAGES) == pytest.approx(expected["maps"].mean((2, 3)).numpy(), abs=1e-5)
    assert teacher.classifier is None
    with pytest.raises(
        ModelError, match=r"^teacher\.embedding: .* has no 'map' among its outputs; it has logits, maps"
    ):
        teacher_of(source, embedding="map").embed(IMAGES)


def test_a_copy_has_the_embedding_too(tmp_path: Path) -> None:
    teacher = teacher_of(torch_models.maps(), embedding="maps")
    teacher.save_copy(tmp_path / "copy.pt2")
    copy = teacher_of(tmp_path / "copy.pt2", embedding="maps")
    assert np.array_equal(copy.embed(IMAGES), teacher.embed(IMAGES))
    assert np.array_equal(copy.logits(IMAGES), teacher.logits(IMAGES))


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's module, in the current folder."""
    (tmp_path / "torch_encoders.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["srrl", "simkd"])
def test_a_module_teaches_by_its_last_layer(method: str, modules: None, tmp_path: Path) -> None:
    settings = {"teacher.model": "torch_encoders:big", "teacher.preprocessing.scale": "1/255", "method.name": method}
    run = distill(tmp_path / "run", settings=settings, baseline=False, epochs=1)
    assert kdcompress.verify(run)["student"]["params"] > 0


@pytest.mark.slow
def test_an_encoder_that_gets_a_head_is_named_by_its_embedding_alone(modules: None, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (the extra `torch`)")
    settings = {"teacher.probe": True, "teacher.embedding": "maps", "teacher.preprocessing.scale": "1/255"}
    settings |= {"teacher.model": "torch_encoders:maps", "method.name": "embedding", "teacher.check": False}
    run = distill(tmp_path / "run", settings=settings, baseline=False, epochs=1)
    assert (run.path / "teacher.onnx").is_file()
    assert run.result["teacher"]["metrics"]["accuracy"] > 0.2


SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
SETTINGS = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "rescale_factor": 1 / 255, "size": {"shortest_edge": 32}}


def encoder_folder(kind: str, folder: Path) -> Path:
    """A tiny encoder of transformers, as a folder of its own."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(0)
    if kind == "dinov2":
        model = transformers.Dinov2Model(transformers.Dinov2Config(**SIZES))
        (folder / kind).mkdir()
        (folder / kind / "preprocessor_config.json").write_text(json.dumps(SETTINGS))
    else:
        text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
        name = "CLIP" if kind == "clip" else "Siglip"
        config = getattr(transformers, f"{name}Config")(vision_config=SIZES, text_config=text)
        model = getattr(transformers, f"{name}Model")(config)
        (folder / kind).mkdir()
        (folder / kind / "processor_config.json").write_text(json.dumps({"image_processor": SETTINGS}))
    model.save_pretrained(folder / kind)
    return folder / kind


def pooled(folder: Path, images: np.ndarray) -> np.ndarray:
    """The embedding of transformers itself."""
    import transformers

    model = transformers.AutoModel.from_pretrained(folder).eval()
    pixels = torch.from_numpy(np.moveaxis((images / np.float32(255) - 0.5) / 0.25, -1, 1).astype(np.float32))
    with torch.no_grad():
        found = model.get_image_features(pixels) if hasattr(model, "get_image_features") else model(pixels)
    return np.asarray(found if isinstance(found, torch.Tensor) else found.pooler_output)


@pytest.mark.parametrize("kind", ["dinov2", "clip", "siglip"])
def test_a_folder_of_transformers_is_an_encoder_if_it_gets_a_head(kind: str, tmp_path: Path) -> None:
    folder = encoder_folder(kind, tmp_path)
    section = SingleTeacherSection(model=str(folder), probe=True)
    teacher = open_teacher(folder, section, SPEC, f"teacher {kind}")
    expected = pooled(folder, IMAGES)
    assert teacher.embed(IMAGES) == pytest.approx(expected, abs=1e-5)
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (the extra `torch`)")
    head = Classifier(np.eye(expected.shape[1], 4, dtype=np.float32), np.arange(4, dtype=np.float32))
    path = teacher.write_with_head(tmp_path / "probe", head)
    plain = SingleTeacherSection(model=str(path))
    with_head = open_teacher(path, plain, SPEC, "teacher probe.onnx")  # has the folder's preprocessing
    assert with_head.logits(IMAGES) == pytest.approx(expected[:, :4] + np.arange(4), abs=1e-4)
    assert "scale 0.003922, mean 0.5, 0.5, 0.5, std 0.25, 0.25, 0.25" in with_head.input_notes[0]


def test_weights_that_are_missing_are_not_drawn_at_random(tmp_path: Path) -> None:
    folder = encoder_folder("clip", tmp_path)
    with pytest.raises(ModelError, match=r"not an image classifier: it has no weights for classifier\.bias, cl.*probe"):
        open_teacher(folder, SingleTeacherSection(model=str(folder)), SPEC, "teacher clip")
    import transformers

    transformers.ViTForImageClassification(transformers.ViTConfig(**SIZES)).save_pretrained(tmp_path / "vit")
    section = SingleTeacherSection(model=str(tmp_path / "vit"), probe=True)
    with pytest.raises(ModelError, match=r"is not an encoder: it has no weights for pooler.* needs no teacher\.probe"):
        open_teacher(tmp_path / "vit", section, SPEC, "teacher vit")
