"""Layers that are random in training, and those that prepare pixels."""

from __future__ import annotations

from typing import Any

from keras import layers

from layer_zoo._parts import SUBJECT, Body, Builder, builders, features, model, on_features

# Arguments of each layer that passes images on at inference; Keras has had more of them with every version
AUGMENTATIONS: dict[str, tuple[Any, ...]] = {
    "AugMix": (),
    "CutMix": (),
    "GaussianNoise": (0.2,),
    "MixUp": (),
    "RandAugment": (),
    "RandomBrightness": (0.2,),
    "RandomColorDegeneration": (0.2,),
    "RandomColorJitter": ((0, 255), 0.2, 0.2, 0.2, 0.2),
    "RandomContrast": (0.2,),
    "RandomElasticTransform": (),
    "RandomErasing": (),
    "RandomFlip": (),
    "RandomGaussianBlur": (),
    "RandomGrayscale": (0.5,),
    "RandomHue": (0.2,),
    "RandomInvert": (),
    "RandomPerspective": (),
    "RandomPosterization": (4,),
    "RandomRotation": (0.2,),
    "RandomSaturation": (0.2,),
    "RandomSharpness": (0.2,),
    "RandomShear": (0.2,),
    "RandomTranslation": (0.2, 0.2),
    "RandomZoom": (0.2,),
}

_ADJUSTMENTS = ("AutoContrast", "ContrastLimitedAdaptiveHistogramEqualization", "Equalization", "Solarization")
_PIXELS = AUGMENTATIONS | dict.fromkeys(_ADJUSTMENTS, ())


def _on_pixels(name: str) -> Builder:
    def body(x: Any) -> Any:
        return features(layers.Rescaling(1 / 255)(getattr(layers, name)(*_PIXELS[name], name=SUBJECT)(x)))

    return lambda: model(body, scale=False)


def _drop_path(x: Any) -> Any:
    return x + layers.Dropout(0.5, noise_shape=(None, 1, 1, 1), name=SUBJECT)(features(x, 3))


BODIES: dict[str, Body] = {
    "Dropout": on_features(lambda: layers.Dropout(0.3, name=SUBJECT)),
    "SpatialDropout2D": on_features(lambda: layers.SpatialDropout2D(0.3, name=SUBJECT)),
    "GaussianDropout": on_features(lambda: layers.GaussianDropout(0.3, name=SUBJECT)),
    "AlphaDropout": on_features(lambda: layers.AlphaDropout(0.3, name=SUBJECT)),
    "Dropout of whole branches": _drop_path,
}
MODELS = builders(BODIES) | {name: _on_pixels(name) for name in _PIXELS if hasattr(layers, name)}
