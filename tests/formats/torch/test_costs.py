"""Costs of PyTorch models, against counts by hand and those of the ONNX export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch_models

from kdcompress.errors import ModelError
from kdcompress.teachers import Selection
from kdcompress.verification.costs import cost_of_file

torch = torch_models.require()


def test_counts_by_hand(tmp_path: Path) -> None:
    path = torch_models.export(torch_models.cnn().eval(), tmp_path / "m.pt2")
    cost = cost_of_file(path, None)
    assert cost.macs == 16 * 16 * 8 * 27 + 8 * 8 * 16 * 72 + 16 * 4
    assert cost.trainable == 8 * 27 + 2 * 8 + 16 * 72 + 2 * 16 + 16 * 4 + 4
    assert cost.non_trainable == 2 * 8 + 2 * 16  # means and variances, but no number of batches
    assert cost.params == cost.trainable + cost.non_trainable
    assert (cost.weight_bytes, cost.flops, cost.input_shape) == (4 * cost.params, None, (32, 32, 3))
    assert [(layer.kind, layer.params) for layer in cost.layers][:2] == [("conv2d", 216), ("batch_norm", 32)]


def test_parameters_are_those_of_the_module_and_attention_is_counted(tmp_path: Path) -> None:
    module = torch_models.vit().eval()
    cost = cost_of_file(torch_models.export(module, tmp_path / "m.pt2"), None)
    assert cost.params == sum(weight.numel() for weight in module.parameters())
    attention = 2 * 17 * 17 * 16  # queries with keys, and with values, of both heads together
    blocks = 17 * (16 * 48 + 16 * 16 + 2 * 16 * 32) + attention
    assert cost.macs == 16 * 192 * 16 + 2 * blocks + 16 * 4


def test_what_the_output_does_not_need_is_not_counted(tmp_path: Path) -> None:
    path = torch_models.export(torch_models.vit().eval(), tmp_path / "m.pt2")
    cost = cost_of_file(path, None, Selection(output="tokens"))
    assert (cost.params, cost.macs) == (16 * 192 + 16 + 16 + 17 * 16, 16 * 192 * 16)


@pytest.mark.parametrize("make", [torch_models.cnn, torch_models.vit])
def test_macs_agree_with_the_onnx_export(make: Any, tmp_path: Path) -> None:
    import onnx

    path = torch_models.onnx_file(make(), tmp_path / "m.onnx")
    expected = cost_of_file(path, None, Selection(output=onnx.load(path).graph.output[0].name))
    assert cost_of_file(torch_models.export(make().eval(), tmp_path / "m.pt2"), None).macs == expected.macs


def test_the_size_of_images_must_fit(tmp_path: Path) -> None:
    path = torch_models.export(torch_models.cnn().eval(), tmp_path / "m.pt2")
    assert cost_of_file(path, (32, 32, 3)).macs == cost_of_file(path, None).macs
    with pytest.raises(ModelError, match=r"takes CxHxW of 3x32x32, got --input-shape \(64, 64, 3\)"):
        cost_of_file(path, (64, 64, 3))
