"""Backbones of keras_hub by preset, where that package is installed, with their preprocessing inside."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from typing import Any

from kdcompress.errors import MissingExtraError, ModelError, one_line
from kdcompress.models._backbone import name_by_position
from kdcompress.models._base import Architecture
from kdcompress.models._family import Family
from kdcompress.models._shapes import format_shape

_PRESET = re.compile(r"[\w./:~-]+")  # a preset, hf://OWNER/NAME, or a folder


class KerasHub(Family):
    """Backbones of keras_hub's image classifiers."""

    @staticmethod
    def names() -> list[str]:
        """List no preset, which only the package knows, so that none has to be imported."""
        return []

    @classmethod
    def has(cls, name: str) -> bool:
        """Return whether a name can be a preset; `build` tells whether it is one."""
        return _PRESET.fullmatch(name) is not None

    @staticmethod
    def describe(name: str) -> str:
        """Describe a preset; see `Family.describe`."""
        return "A preset of keras_hub; takes pretrained"

    @staticmethod
    def load(name: str) -> type[Architecture]:
        """Return a backbone with a head; see `Family.load`."""

        class Network(Architecture):
            @staticmethod
            def build(input_shape: tuple[int, int, int], classes: int) -> Any:
                return _build(name, input_shape, classes)

            @staticmethod
            def load_published(
                model: Any, input_shape: tuple[int, int, int], subject: str, note: Callable[[str], None], **_: float
            ) -> None:
                note(f"{subject}: weights of the preset, but for the head")
                _copy_weights(_preset(name, load_weights=True), model)

        return Network


FAMILY = KerasHub


def _build(name: str, input_shape: tuple[int, int, int], classes: int) -> Any:
    """Build a flat network of the layers of a backbone, with random weights."""
    from keras import Input, Model, layers

    backbone, converter = _preset(name, load_weights=False), _converter(name)
    _check_input(name, backbone, input_shape)
    image = Input(input_shape, name="image")
    scale = 1.0 if converter.scale is None else converter.scale
    offset = 0.0 if converter.offset is None else converter.offset
    scaled = layers.Rescaling(scale, offset=offset, name="scale")(image)
    if isinstance(backbone.output, dict):
        raise ModelError(f"keras_hub:{name} has several outputs; give a backbone of an image classifier")
    features = _copy_graph(backbone, scaled)
    if len(features.shape) == 4:
        features = layers.GlobalAveragePooling2D(name="pool")(features)
    elif len(features.shape) == 3:
        features = layers.GlobalAveragePooling1D(name="pool")(features)
    model = Model(image, layers.Dense(classes, name="logits")(features), name=re.sub(r"\W+", "_", name))
    name_by_position(model)
    return model


def _copy_graph(backbone: Any, image: Any) -> Any:
    """Apply copies of the layers of a backbone, which Keras opens without keras_hub unless they are of its classes."""
    from keras import Model, models

    outputs: dict[str, Any] = {}

    def call(layer: Any, *args: Any, **settings: Any) -> Any:
        outputs[layer.name] = layer(*args, **settings)
        return outputs[layer.name]

    plain = Model(backbone.inputs, backbone.output)
    models.clone_model(plain, input_tensors=[image], call_function=call)
    return outputs[plain.operations[-1].name]


def _preset(name: str, load_weights: bool) -> Any:
    keras_hub = _import()
    try:
        return keras_hub.models.Backbone.from_preset(name, load_weights=load_weights)
    except Exception as exc:  # whatever the package and its downloads raise
        raise ModelError(f"keras_hub:{name} is no preset that can be loaded here: {one_line(exc)}") from exc


def _converter(name: str) -> Any:
    """What scales pixels for the backbone."""
    keras_hub = _import()
    try:
        return keras_hub.layers.ImageConverter.from_preset(name)
    except Exception as exc:  # without its scale, the backbone would give wrong features without a word
        raise ModelError(
            f"keras_hub:{name} does not say which pixels it takes ({one_line(exc)}); "
            "give module:function that builds it with its scaling"
        ) from exc


def _import() -> Any:
    if importlib.util.find_spec("keras_hub") is None:
        raise MissingExtraError("models named keras_hub:PRESET need the package: pip install keras-hub")
    return importlib.import_module("keras_hub")


def _check_input(name: str, backbone: Any, input_shape: tuple[int, int, int]) -> None:
    inputs = backbone.inputs
    expected = tuple(inputs[0].shape[1:]) if len(inputs) == 1 else ()
    if len(expected) != 3:
        raise ModelError(f"keras_hub:{name} does not take images alone; give a backbone of an image classifier")
    if any(size not in (None, own) for size, own in zip(expected, input_shape, strict=True)):
        raise ModelError(
            f"keras_hub:{name} takes images of {format_shape(expected)}, got {format_shape(input_shape)}; "
            'data.size and data.colour = "rgb" make own images so'
        )


def _copy_weights(source: Any, model: Any) -> None:
    """Copy the weights of a backbone into the layers of a network that was made of it, in the same order."""
    values = source.get_weights()
    targets = [weight for layer in model.layers if layer.name != "logits" for weight in layer.weights]
    if [value.shape for value in values] != [tuple(weight.shape) for weight in targets]:
        raise ModelError(f"the weights of {source.name} do not fit the network that was made of it")
    for weight, value in zip(targets, values, strict=True):
        weight.assign(value)
