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
from kdcompress.data import Dataset
from kdcompress.errors import ModelError
from kdcompress.pipeline.reopening import reopen_teachers
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.integrity import read_run_recipe
from kdcompress.runs.outputs import read_test_outputs
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


def test_a_vit_without_a_pooler_gives_its_class_token(tmp_path: Path) -> None:
    """DINO's form of it, and that of a classifier."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(0)
    model = transformers.ViTModel(transformers.ViTConfig(**SIZES), add_pooling_layer=False).eval()
    model.save_pretrained(tmp_path / "vit")
    section = SingleTeacherSection.model_validate({"model": "vit", "probe": True, "preprocessing": PIXELS})
    teacher = open_teacher(tmp_path / "vit", section, SPEC, "teacher vit")
    with torch.no_grad():
        expected = model(tensor_of(IMAGES)).last_hidden_state[:, 0].numpy()
    assert teacher.embed(IMAGES) == pytest.approx(expected, abs=1e-5)


def test_the_encoder_is_computed_in_float32(tmp_path: Path) -> None:
    """bfloat16 has no ONNX file, and most encoders come in 16 bits."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    transformers.Dinov2Model(transformers.Dinov2Config(**SIZES)).to(torch.bfloat16).save_pretrained(tmp_path / "dino")
    section = SingleTeacherSection.model_validate({"model": "dino", "probe": True})
    assert open_teacher(tmp_path / "dino", section, SPEC, "teacher dino").converts_to == (".onnx",)
    module = torch_models.cnn().to(torch.bfloat16)
    with pytest.raises(ModelError, match=r"computes in torch\.bfloat16, and gets a head in float32 or float16: call"):
        teacher_of(module, probe=True).check_head()


def test_counters_of_batch_normalization_may_be_missing(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    import safetensors.torch

    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic")
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "resnet")
    path = tmp_path / "resnet" / "model.safetensors"
    weights = {k: v for k, v in safetensors.torch.load_file(path).items() if "num_batches" not in k}
    safetensors.torch.save_file(weights, path, {"format": "pt"})
    assert open_teacher(tmp_path / "resnet", SingleTeacherSection(model="resnet"), SPEC, "teacher resnet").digest


class Changing(torch.nn.Module):  # type: ignore[misc]
    """Numbers that are changed in place, before the last layer or behind it."""

    def __init__(self, before: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head, self.before = torch.nn.Conv2d(3, 6, 5, 4), torch.nn.Linear(6, 4), before

    def forward(self, images: Any) -> Any:
        read = self.body(images).mean((2, 3))
        if self.before:
            read[:, 0] = 5.0
        outputs = self.head(read)
        if not self.before:
            outputs[:, 0] += 100.0
        return outputs


@pytest.mark.parametrize("before", [True, False])
def test_what_is_changed_in_place_stays_changed(before: bool) -> None:
    module = Changing(before).eval()
    teacher = teacher_of(module)
    with torch.no_grad():
        expected = module(tensor_of(IMAGES)).numpy()
    assert teacher.logits(IMAGES) == pytest.approx(expected, abs=1e-4)
    if before:
        assert teacher.classifier is not None
        assert teacher.embed(IMAGES)[:, 0] == pytest.approx(5.0)
    else:
        with pytest.raises(ModelError, match="does not end in a linear layer"):
            teacher.embed(IMAGES)


class ChannelsLast(torch.nn.Module):  # type: ignore[misc]
    """A head on maps of one pixel, whose channels are last."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = torch.nn.Conv2d(3, 7, 32), torch.nn.Linear(7, 4)

    def forward(self, images: Any) -> Any:
        return self.head(self.body(images).permute(0, 2, 3, 1)).flatten(1)


def test_a_last_layer_must_read_a_row_for_each_image() -> None:
    with pytest.raises(ModelError, match="does not end in a linear layer"):
        teacher_of(ChannelsLast()).embed(IMAGES)


def test_a_head_without_bias_in_a_decomposed_file(tmp_path: Path) -> None:
    module = torch.nn.Sequential(*torch_models.cnn()[:-1], torch.nn.Linear(16, 4, bias=False)).eval()
    program = torch.export.export(module, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program.run_decompositions(), tmp_path / "big.pt2")
    teacher = teacher_of(tmp_path / "big.pt2")
    assert teacher.classifier is not None
    assert teacher.embed(IMAGES) @ teacher.classifier.kernel == pytest.approx(teacher.logits(IMAGES), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("probe", [True, False])
def test_a_reopened_run_has_the_folder_s_preprocessing(probe: bool, digits: Dataset, tmp_path: Path) -> None:
    """A run's recipe has every default written out, which replaces nothing."""
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (the extra `torch`)")
    if probe:
        folder = encoder_folder("dinov2", tmp_path)
    else:
        transformers = pytest.importorskip("transformers", reason="transformers is not installed")
        names = {"id2label": dict(enumerate("0123456789")), "label2id": {str(i): i for i in range(10)}}
        config = transformers.ViTConfig(**SIZES, **names)
        folder = tmp_path / "vit"
        transformers.ViTForImageClassification(config).save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(SETTINGS))
    settings = {"teacher.model": str(folder), "teacher.probe": probe, "teacher.check": False}
    run = distill(tmp_path / "run", settings=settings, baseline=False, epochs=1)
    (teacher,) = reopen_teachers(RunFolder(run.path), read_run_recipe(RunFolder(run.path))).teachers
    assert (teacher.adapter.section.scale, teacher.adapter.section.mean) == (pytest.approx(1 / 255), (0.5,) * 3)
    outputs, images = read_test_outputs(RunFolder(run.path)), digits.test.images[:20]
    assert outputs.ids[:20].tolist() == digits.test.ids[:20].tolist()
    assert teacher.logits(teacher.resize(images)[:]) == pytest.approx(outputs.logits["teacher"][:20], abs=1e-4)


def test_classes_that_a_file_holds_are_not_those_of_a_head(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (the extra `torch`)")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    names = {"id2label": dict(enumerate("dcba")), "label2id": {name: index for index, name in enumerate("dcba")}}
    transformers.ViTForImageClassification(transformers.ViTConfig(**SIZES, **names)).save_pretrained(tmp_path / "vit")
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(SETTINGS))
    classifier = open_teacher(tmp_path / "vit", SingleTeacherSection(model="vit"), SPEC, "teacher vit")
    assert classifier.adapter.columns == (3, 2, 1, 0)
    classifier.save_copy(tmp_path / "copy.pt2")
    encoder = open_teacher(tmp_path / "copy.pt2", SingleTeacherSection(model="x", probe=True), SPEC, "teacher copy.pt2")
    assert (encoder.adapter.columns, encoder.adapter.section.scale) == (None, pytest.approx(1 / 255))
    path = encoder.write_with_head(tmp_path / "probe", Classifier(np.eye(4, dtype=np.float32), np.zeros(4, np.float32)))
    with_head = open_teacher(path, SingleTeacherSection(model=str(path)), SPEC, "teacher probe.onnx")
    assert with_head.logits(IMAGES) == pytest.approx(encoder.embed(IMAGES), abs=1e-4)


def test_an_encoder_without_a_pooled_output_is_told(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    sizes = {**SIZES, "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    transformers.ViTMAEModel(transformers.ViTMAEConfig(**sizes)).save_pretrained(tmp_path / "mae")
    section = SingleTeacherSection(model="mae", probe=True)
    with pytest.raises(
        ModelError, match=r"without a pooled output, which would be its embedding: give module:function"
    ):
        open_teacher(tmp_path / "mae", section, SPEC, "teacher mae")


def test_a_named_output_gets_a_head_though_its_file_holds_other_classes(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (the extra `torch`)")
    program = torch.export.export(
        torch_models.maps().eval(), (torch.zeros(2, 3, 32, 32),), dynamic_shapes=({0: torch.export.Dim("n")},)
    )
    settings = json.dumps({"scale": 1 / 255, "classes": ["w", "x", "y", "z"]})
    torch.export.save(program, tmp_path / "big.pt2", extra_files={"kdcompress.json": settings})
    teacher = teacher_of(tmp_path / "big.pt2", embedding="maps", probe=True, preprocessing={})
    head = Classifier(np.eye(8, 4, dtype=np.float32), np.zeros(4, np.float32))
    path = teacher.write_with_head(tmp_path / "probe", head)
    with_head = open_teacher(path, SingleTeacherSection(model=str(path)), SPEC, "teacher probe.onnx")
    assert with_head.logits(IMAGES) == pytest.approx(teacher.embed(IMAGES)[:, :4], abs=1e-4)
