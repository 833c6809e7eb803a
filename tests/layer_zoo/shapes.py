"""Pooling, padding, resizing, merging, and other changes of shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers, ops

from layer_zoo._parts import CHANNELS, SUBJECT, WIDTH, Body, builders, features, on_features, sequence


def _volume(x: Any) -> Any:
    return layers.Reshape((4, 4, WIDTH, CHANNELS))(x)


def _on_sequence(layer: Callable[[], Any]) -> Body:
    return lambda x: layer()(sequence(x))


def _merged(layer: Callable[[], Any]) -> Body:
    return lambda x: layer()([features(x), layers.Conv2D(4, 1, bias_initializer="random_normal")(x)])


def _odd(x: Any) -> Any:
    return layers.Cropping2D(((0, 1), (1, 0)))(features(x))


BODIES: dict[str, Body] = {
    "MaxPooling2D same": on_features(lambda: layers.MaxPooling2D(3, 2, padding="same", name=SUBJECT)),
    "MaxPooling2D same, odd": lambda x: layers.MaxPooling2D(2, padding="same", name=SUBJECT)(_odd(x)),
    "MaxPooling2D valid": on_features(lambda: layers.MaxPooling2D((2, 3), name=SUBJECT)),
    "AveragePooling2D same": on_features(lambda: layers.AveragePooling2D(3, 2, padding="same", name=SUBJECT)),
    "AveragePooling2D same, odd": lambda x: layers.AveragePooling2D(2, padding="same", name=SUBJECT)(_odd(x)),
    "AveragePooling2D overlapping": lambda x: layers.AveragePooling2D(3, 1, padding="same", name=SUBJECT)(_odd(x)),
    "GlobalAveragePooling2D keepdims": on_features(lambda: layers.GlobalAveragePooling2D(keepdims=True, name=SUBJECT)),
    "GlobalMaxPooling2D": on_features(lambda: layers.GlobalMaxPooling2D(name=SUBJECT)),
    "GlobalMaxPooling2D keepdims": on_features(lambda: layers.GlobalMaxPooling2D(keepdims=True, name=SUBJECT)),
    "MaxPooling1D": _on_sequence(lambda: layers.MaxPooling1D(3, padding="same", name=SUBJECT)),
    "AveragePooling1D": _on_sequence(lambda: layers.AveragePooling1D(3, padding="same", name=SUBJECT)),
    "GlobalAveragePooling1D": _on_sequence(lambda: layers.GlobalAveragePooling1D(name=SUBJECT)),
    "GlobalMaxPooling1D": _on_sequence(lambda: layers.GlobalMaxPooling1D(name=SUBJECT)),
    "MaxPooling3D": lambda x: layers.MaxPooling3D(2, name=SUBJECT)(_volume(x)),
    "AveragePooling3D": lambda x: layers.AveragePooling3D(2, name=SUBJECT)(_volume(x)),
    "GlobalAveragePooling3D": lambda x: layers.GlobalAveragePooling3D(name=SUBJECT)(_volume(x)),
    "GlobalMaxPooling3D": lambda x: layers.GlobalMaxPooling3D(name=SUBJECT)(_volume(x)),
    "ZeroPadding2D": lambda x: features(layers.ZeroPadding2D(((3, 1), (0, 4)), name=SUBJECT)(x)),
    "Cropping2D": lambda x: layers.Cropping2D(((1, 2), (3, 0)), name=SUBJECT)(features(x)),
    "ZeroPadding1D": _on_sequence(lambda: layers.ZeroPadding1D((1, 2), name=SUBJECT)),
    "Cropping1D": _on_sequence(lambda: layers.Cropping1D((1, 2), name=SUBJECT)),
    "ZeroPadding3D": lambda x: layers.ZeroPadding3D(1, name=SUBJECT)(_volume(x)),
    "Cropping3D": lambda x: layers.Cropping3D(1, name=SUBJECT)(_volume(x)),
    "UpSampling1D": _on_sequence(lambda: layers.UpSampling1D(2, name=SUBJECT)),
    "UpSampling3D": lambda x: layers.UpSampling3D(2, name=SUBJECT)(_volume(x)),
    "Resizing crop_to_aspect_ratio": lambda x: features(layers.Resizing(12, 12, crop_to_aspect_ratio=True)(x)),
    "Resizing pad_to_aspect_ratio": lambda x: features(layers.Resizing(12, 12, pad_to_aspect_ratio=True)(x)),
    "CenterCrop": lambda x: features(layers.CenterCrop(11, 12, name=SUBJECT)(x)),
    "CenterCrop of smaller images": lambda x: features(layers.CenterCrop(30, 30, name=SUBJECT)(x)),
    "Permute": on_features(lambda: layers.Permute((2, 3, 1), name=SUBJECT)),
    "Reshape": on_features(lambda: layers.Reshape((-1, 8), name=SUBJECT)),
    "RepeatVector": lambda x: layers.RepeatVector(3, name=SUBJECT)(layers.Flatten()(features(x))),
    "Add": _merged(lambda: layers.Add(name=SUBJECT)),
    "Subtract": _merged(lambda: layers.Subtract(name=SUBJECT)),
    "Multiply": _merged(lambda: layers.Multiply(name=SUBJECT)),
    "Average": _merged(lambda: layers.Average(name=SUBJECT)),
    "Maximum": _merged(lambda: layers.Maximum(name=SUBJECT)),
    "Minimum": _merged(lambda: layers.Minimum(name=SUBJECT)),
    "Concatenate": _merged(lambda: layers.Concatenate(axis=2, name=SUBJECT)),
    "Dot": lambda x: layers.Dot(axes=(2, 2), name=SUBJECT)(
        [sequence(x), layers.Reshape((40, 8))(features(x)[:, ::2, ::2])]
    ),
    "Discretization": lambda x: ops.cast(
        layers.Discretization([-0.503, 0.107, 0.511], name=SUBJECT)(features(x)), "float32"
    ),
    "Discretization one_hot": lambda x: layers.Discretization(
        [0.2035, 0.4005, 0.8005], output_mode="one_hot", name=SUBJECT
    )(x[..., 0]),
    "Masking": _on_sequence(lambda: layers.Masking(name=SUBJECT)),
    "Identity": on_features(lambda: layers.Identity(name=SUBJECT)),
    "ActivityRegularization": on_features(lambda: layers.ActivityRegularization(0.1, name=SUBJECT)),
}
for _kind in ("Average", "Max"):
    for _sizes in ((4, 5), (5, 7)):
        BODIES[f"Adaptive{_kind}Pooling2D {_sizes}"] = on_features(
            lambda kind=_kind, sizes=_sizes: getattr(layers, f"Adaptive{kind}Pooling2D")(sizes, name=SUBJECT)
        )
for _interpolation in ("nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"):
    BODIES[f"UpSampling2D {_interpolation}"] = on_features(
        lambda by=_interpolation: layers.UpSampling2D((2, 3), interpolation=by, name=SUBJECT)
    )
    for _height, _width in ((11, 13), (27, 43)):
        BODIES[f"Resizing {_interpolation} {_height}x{_width}"] = on_features(
            lambda by=_interpolation, sizes=(_height, _width): layers.Resizing(*sizes, interpolation=by, name=SUBJECT)
        )
MODELS = builders(BODIES)
