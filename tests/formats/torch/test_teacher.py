"""PyTorch teachers: from memory, from files, and from folders of transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_models

from kdcompress.config.sections import SingleTeacherSection
from kdcompress.errors import ModelError
from kdcompress.teachers import OutputSpec, Teacher, check_output_count, open_teacher, teacher_of_model

torch = torch_models.require()
SPEC = OutputSpec((32, 32, 3), tuple("abcd"))
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def section(**settings: Any) -> SingleTeacherSection:
    return SingleTeacherSection.model_validate({"model": "models:big", **settings})


def of_module(module: Any, spec: OutputSpec = SPEC, **settings: Any) -> Teacher:
    teacher = teacher_of_model(module, section(**settings), spec, "teacher models:big")
    check_output_count(teacher, spec)
    return teacher


def of_file(path: Path, spec: OutputSpec = SPEC, **settings: Any) -> Teacher:
    return open_teacher(path, section(**settings), spec, f"teacher {path.name}")


def outputs_of(module: Any, pixels: np.ndarray = IMAGES) -> np.ndarray:
    """What PyTorch computes itself."""
    with torch.no_grad():
        result = module.eval()(torch.from_numpy(np.moveaxis(pixels, -1, 1).astype(np.float32)))
    return np.asarray(result["logits"] if isinstance(result, dict) else result)


@pytest.mark.parametrize("make", [torch_models.cnn, torch_models.vit])
def test_targets_equal_those_of_pytorch_and_of_the_onnx_export(make: Any, tmp_path: Path) -> None:
    settings = {"preprocessing": {"scale": "1/255", **IMAGENET}}
    teacher = of_module(make(), **settings)
    scaled = (IMAGES / np.float32(255) - np.float32(IMAGENET["mean"])) / np.float32(IMAGENET["std"])
    assert teacher.logits(IMAGES) == pytest.approx(outputs_of(make(), scaled), abs=1e-5)
    path = torch_models.onnx_file(make(), tmp_path / "big.onnx")
    import onnx

    output = onnx.load(path).graph.output[0].name
    exported = of_file(path, output=output, **settings)
    assert teacher.logits(IMAGES) == pytest.approx(exported.logits(IMAGES), abs=1e-4)


def test_labels_have_the_same_bits_on_a_second_run() -> None:
    first, second = of_module(torch_models.cnn()), of_module(torch_models.cnn())
    assert first.digest == second.digest
    assert np.array_equal(first.logits(IMAGES), second.logits(IMAGES))


def test_other_weights_statistics_or_operators_are_another_digest() -> None:
    module = torch_models.cnn()
    changed = torch_models.cnn()
    changed[1].running_mean[0] += 1
    smooth = torch_models.cnn()
    smooth[2] = torch.nn.GELU()
    digests = {of_module(model).digest for model in (module, changed, smooth, torch_models.cnn(seed=1))}
    assert len(digests) == 4


def test_training_mode_is_left_and_dropout_does_nothing() -> None:
    module = torch_models.cnn().train()
    assert of_module(module).logits(IMAGES) == pytest.approx(outputs_of(torch_models.cnn()), abs=1e-5)


def test_the_layout_is_channels_first_unless_the_recipe_says_otherwise() -> None:
    class Last(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch_models.cnn()

        def forward(self, images: Any) -> Any:
            return self.model(images.permute(0, 3, 1, 2))

    first = of_module(torch_models.cnn())
    assert first.input_notes[0].startswith("gets images with channels first (NCHW)")
    last = of_module(Last(), preprocessing={"layout": "nhwc"})
    assert last.input_notes[0].startswith("gets images with channels last (NHWC)")
    assert first.logits(IMAGES) == pytest.approx(last.logits(IMAGES), abs=1e-5)


def test_gray_images_are_given_in_colour_to_a_model_of_colour() -> None:
    teacher = of_module(torch_models.cnn(), OutputSpec((32, 32, 1), SPEC.classes))
    assert teacher.adapter.input_shape == (32, 32, 3)


def test_logits_are_the_default_among_several_outputs() -> None:
    teacher = of_module(torch_models.vit())
    assert teacher.logits(IMAGES) == pytest.approx(outputs_of(torch_models.vit()), abs=1e-5)
    with pytest.raises(ModelError, match=r"has no 'aux' among its outputs; it has logits, tokens"):
        of_module(torch_models.vit(), output="aux")


class Pair(torch.nn.Module):  # type: ignore[misc]
    """Two heads in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch_models.cnn(), torch_models.cnn(seed=1)

    def forward(self, images: Any) -> Any:
        return self.first(images), self.second(images)


def test_outputs_without_names_are_chosen_by_position(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has 2 outputs \(0, 1\); name the one to use with teacher\.output"):
        of_module(Pair())
    expected = outputs_of(torch_models.cnn(seed=1))
    assert of_module(Pair(), output="1").logits(IMAGES) == pytest.approx(expected, abs=1e-5)
    path = torch_models.export(Pair().eval(), tmp_path / "pair.pt2")
    assert of_file(path, output="1").logits(IMAGES) == pytest.approx(expected, abs=1e-5)
    assert of_file(path, output="1").digest != of_file(path, output="0").digest


def test_a_file_and_its_copy_answer_as_the_module_does(tmp_path: Path) -> None:
    path = torch_models.export(torch_models.cnn().eval(), tmp_path / "big.pt2")
    teacher = of_file(path)
    teacher.save_copy(tmp_path / "copy.pt2")
    expected = outputs_of(torch_models.cnn())
    assert teacher.logits(IMAGES) == pytest.approx(expected, abs=1e-5)
    assert np.array_equal(of_file(tmp_path / "copy.pt2").logits(IMAGES), teacher.logits(IMAGES))


def test_a_file_of_one_batch_size_is_run_in_such_batches(tmp_path: Path) -> None:
    module = torch_models.cnn().eval()
    torch.export.save(torch.export.export(module, (torch.zeros(4, 3, 32, 32),)), tmp_path / "four.pt2")
    assert of_file(tmp_path / "four.pt2").logits(IMAGES) == pytest.approx(outputs_of(module), abs=1e-5)


def test_a_module_whose_code_fixes_the_batch_size_gets_single_images() -> None:
    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = torch_models.cnn()

        def forward(self, images: Any) -> Any:
            return self.model(images).reshape(len(images), 4)

    teacher = of_module(Fixed())
    assert "gets one image at a time, since its code fixes the batch size" in " ".join(teacher.input_notes)
    assert teacher.logits(IMAGES) == pytest.approx(outputs_of(torch_models.cnn()), abs=1e-5)


def test_a_file_in_training_mode_is_refused(tmp_path: Path) -> None:
    path = torch_models.export(torch_models.cnn().train(), tmp_path / "train.pt2")
    with pytest.raises(ModelError, match=r"exported in training mode .* call model\.eval\(\)"):
        of_file(path)


def test_what_is_no_batch_of_images_is_refused(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(torch.nn.Linear(3, 4), (torch.zeros(2, 3),)), tmp_path / "rows.pt2")
    with pytest.raises(ModelError, match="it must take one batch of images, of rank 4"):
        of_file(tmp_path / "rows.pt2")


def test_a_module_of_another_size_names_the_setting() -> None:
    with pytest.raises(ModelError, match=r"fails on an image of 3x64x64 .* teacher\.preprocessing\.size and layout"):
        of_module(torch_models.vit(), OutputSpec((64, 64, 3), SPEC.classes))
    teacher = of_module(torch_models.vit(), OutputSpec((64, 64, 3), SPEC.classes), preprocessing={"size": 32})
    assert teacher.adapter.input_shape == (32, 32, 3)


def test_a_module_that_cannot_be_captured_is_refused_with_the_reason() -> None:
    class Branching(torch.nn.Module):
        def forward(self, images: Any) -> Any:
            return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))

    with pytest.raises(ModelError, match=r"cannot be captured by torch\.export: .*give its ONNX export"):
        of_module(Branching())


@pytest.fixture
def vit_folder(tmp_path: Path) -> Path:
    """A tiny ViT of transformers, saved as its users save theirs."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8,
        id2label=dict(enumerate("dcba")), label2id={name: index for index, name in enumerate("dcba")},
    )  # fmt: skip
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "vit")
    values = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3}
    values |= {"image_std": [0.25] * 3, "size": {"height": 32, "width": 32}}
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(values))
    return tmp_path / "vit"


def test_a_folder_of_transformers_brings_its_preprocessing(vit_folder: Path, tmp_path: Path) -> None:
    import transformers

    teacher = of_file(vit_folder, OutputSpec((64, 64, 3), SPEC.classes))
    assert teacher.adapter.input_shape == (32, 32, 3)
    assert "scale 0.003922, mean 0.5, 0.5, 0.5, std 0.25, 0.25, 0.25" in teacher.input_notes[1]
    model = transformers.ViTForImageClassification.from_pretrained(vit_folder).eval()
    pixels = torch.from_numpy(np.moveaxis((IMAGES / np.float32(255) - 0.5) / 0.25, -1, 1).astype(np.float32))
    with torch.no_grad():
        expected = model(pixels).logits.numpy()
    assert teacher.logits(IMAGES) == pytest.approx(expected[:, ::-1], abs=1e-5)  # its classes are d, c, b, a
    teacher.save_copy(tmp_path / "copy.pt2")  # has the preprocessing, too
    copy = of_file(tmp_path / "copy.pt2")
    assert np.array_equal(copy.logits(IMAGES), teacher.logits(IMAGES))


def test_the_recipe_s_preprocessing_takes_the_place_of_the_folder_s(vit_folder: Path) -> None:
    teacher = of_file(vit_folder, preprocessing={"scale": "1/127.5", "mean": 1.0})
    assert (teacher.adapter.section.scale, teacher.adapter.section.mean) == (pytest.approx(1 / 127.5), 1.0)
    assert teacher.adapter.section.std == 1.0


def test_a_folder_whose_model_is_a_program_is_refused(vit_folder: Path) -> None:
    config = json.loads((vit_folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForImageClassification": "modeling.Evil"}
    (vit_folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"code comes with it \(auto_map"):
        of_file(vit_folder)
