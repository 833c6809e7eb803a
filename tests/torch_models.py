"""Small PyTorch models; tests that use them skip without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdcompress.plugins import block_triton

REASON = "PyTorch is not installed (the extra `torch`)"


def require() -> Any:
    """PyTorch, or a skip with its reason."""
    block_triton()
    return pytest.importorskip("torch", reason=REASON)


def cnn(classes: int = 4, channels: int = 3, seed: int = 0) -> Any:
    """Convolutions with batch normalization and dropout, for images of any size."""
    torch = require()
    nn = torch.nn
    torch.manual_seed(seed)
    layers = []
    for before, after in ((channels, 8), (8, 16)):
        layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, classes))
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1)
            layer.running_var.uniform_(0.5, 2)
    return model


def maps(classes: int = 4, channels: int = 3) -> Any:
    """A convolution, whose maps are an output beside the logits of classes."""
    torch = require()
    nn = torch.nn
    torch.manual_seed(0)

    class Maps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.head = nn.Conv2d(channels, 8, 5, 4), nn.Linear(8, classes)

        def forward(self, images: Any) -> Any:
            found = torch.relu(self.body(images))
            return {"logits": torch.tanh(self.head(found.mean((2, 3)))), "maps": found}

    return Maps()


def vit(classes: int = 4) -> Any:
    """A transformer on 16 patches of 32x32 images, which returns a dict."""
    torch = require()
    nn = torch.nn
    torch.manual_seed(0)

    class Vit(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2d(3, 16, 8, 8)
            self.token, self.positions = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16))
            layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True, activation="gelu")
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.head = nn.Linear(16, classes)

        def forward(self, images: Any) -> Any:
            patches = self.patches(images).flatten(2).transpose(1, 2)
            tokens = torch.cat([self.token.expand(patches.shape[0], -1, -1), patches], 1) + self.positions
            return {"logits": self.head(self.encoder(tokens)[:, 0]), "tokens": tokens}

    return Vit()


def export(module: Any, path: Path, shape: tuple[int, ...] = (3, 32, 32)) -> Path:
    """A .pt2 file that takes batches of any size."""
    torch = require()
    example = torch.zeros(2, *shape)
    exported = torch.export.export(module, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(exported, path)
    return path


def onnx_file(module: Any, path: Path) -> Path:
    """The module as PyTorch exports it to ONNX."""
    torch = require()
    pytest.importorskip("onnxscript", reason="onnxscript is not installed (the extra `torch`)")
    dynamic = ({0: torch.export.Dim("batch")},)
    options = {"dynamo": True, "external_data": False, "verbose": False, "dynamic_shapes": dynamic}
    torch.onnx.export(module.eval(), (torch.zeros(2, 3, 32, 32),), path, **options)
    return path


def digits_file(network: Any, path: Path) -> Path:
    """The Keras network of other_models as a .pt2 file, on pixels in [0, 1]."""
    torch = require()
    nn = torch.nn
    layers: list[Any] = []
    for layer in network.layers:
        weights = [np.asarray(weight) for weight in layer.get_weights()]
        kind = type(layer).__name__
        if kind == "Conv2D":
            kernel, bias = weights
            module = nn.Conv2d(kernel.shape[2], kernel.shape[3], kernel.shape[:2], layer.strides)
            module.weight.data = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
            module.bias.data = torch.from_numpy(bias)
            layers += [module, nn.ReLU()]
        elif kind == "Dense":
            kernel, bias = weights
            module = nn.Linear(*kernel.shape)
            module.weight.data, module.bias.data = torch.from_numpy(kernel.T.copy()), torch.from_numpy(bias)
            layers.append(module)
        else:
            layers += [_channels_last(), nn.Flatten()]
    return export(nn.Sequential(*layers).eval(), path, (1, 28, 28))


def _channels_last() -> Any:
    torch = require()

    class ChannelsLast(torch.nn.Module):
        def forward(self, images: Any) -> Any:
            return images.permute(0, 2, 3, 1)

    return ChannelsLast()
