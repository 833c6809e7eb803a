"""Convolutions of every kind."""

from __future__ import annotations

from typing import Any

from keras import layers

from layer_zoo._parts import CHANNELS, HEIGHT, SUBJECT, WIDTH, Body, builders, features, sequence


def _channels_first(x: Any) -> Any:
    x = layers.Permute((3, 1, 2))(x)
    x = layers.Conv2D(4, 3, data_format="channels_first", activation="relu", name=SUBJECT)(x)
    x = layers.BatchNormalization(axis=1)(x)
    x = layers.DepthwiseConv2D(3, data_format="channels_first")(x)
    return layers.MaxPooling2D(2, data_format="channels_first")(x)


def _volume(x: Any) -> Any:
    return layers.Reshape((4, 4, WIDTH, CHANNELS))(x)


def _squeeze_and_excite(x: Any) -> Any:
    x = features(x)
    weights = layers.GlobalAveragePooling2D(keepdims=True)(x)
    weights = layers.Conv2D(2, 1, activation="relu")(weights)
    return layers.Multiply()([x, layers.Conv2D(4, 1, activation="hard_sigmoid")(weights)])


BODIES: dict[str, Body] = {
    "Conv2D": lambda x: layers.Conv2D(4, 3, activation="relu", name=SUBJECT)(x),
    "Conv2D same, strided": lambda x: layers.Conv2D(4, 4, strides=(2, 3), padding="same", name=SUBJECT)(x),
    "Conv2D dilated, same": lambda x: layers.Conv2D(4, 3, dilation_rate=2, padding="same", name=SUBJECT)(x),
    "Conv2D dilated, valid": lambda x: layers.Conv2D(4, 3, dilation_rate=(2, 3), name=SUBJECT)(x),
    "Conv2D groups": lambda x: layers.Conv2D(8, 3, groups=4, padding="same", name=SUBJECT)(features(x)),
    "Conv2D groups, strided": lambda x: layers.Conv2D(4, 3, groups=2, strides=2, name=SUBJECT)(features(x)),
    "Conv2D channels_first": _channels_first,
    "Conv1D": lambda x: layers.Conv1D(4, 3, padding="same", name=SUBJECT)(sequence(x)),
    "Conv1D causal": lambda x: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, name=SUBJECT)(sequence(x)),
    "Conv1D strided": lambda x: layers.Conv1D(4, 3, strides=2, name=SUBJECT)(sequence(x)),
    "Conv3D": lambda x: layers.Conv3D(2, 3, padding="same", name=SUBJECT)(_volume(x)),
    "Conv3D strided": lambda x: layers.Conv3D(2, (2, 3, 3), strides=(1, 2, 2), name=SUBJECT)(_volume(x)),
    "Conv2DTranspose same": lambda x: layers.Conv2DTranspose(4, 3, strides=2, padding="same", name=SUBJECT)(x),
    "Conv2DTranspose valid": lambda x: layers.Conv2DTranspose(4, 4, strides=(2, 3), name=SUBJECT)(x),
    "Conv2DTranspose output_padding": lambda x: layers.Conv2DTranspose(
        4, 3, strides=2, padding="same", output_padding=1, name=SUBJECT
    )(x),
    "Conv2DTranspose dilated": lambda x: layers.Conv2DTranspose(4, 3, dilation_rate=2, padding="same", name=SUBJECT)(x),
    "Conv1DTranspose": lambda x: layers.Conv1DTranspose(4, 3, strides=2, name=SUBJECT)(sequence(x)),
    "Conv3DTranspose": lambda x: layers.Conv3DTranspose(2, 2, strides=2, name=SUBJECT)(_volume(x)),
    "DepthwiseConv2D": lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2, name=SUBJECT)(features(x)),
    "DepthwiseConv2D strided": lambda x: layers.DepthwiseConv2D(5, strides=2, padding="same", name=SUBJECT)(
        features(x)
    ),
    "DepthwiseConv2D dilated, same": lambda x: layers.DepthwiseConv2D(3, dilation_rate=3, padding="same", name=SUBJECT)(
        features(x)
    ),
    "DepthwiseConv2D dilated, valid": lambda x: layers.DepthwiseConv2D(3, dilation_rate=2, name=SUBJECT)(features(x)),
    "DepthwiseConv1D": lambda x: layers.DepthwiseConv1D(3, padding="same", name=SUBJECT)(sequence(x)),
    "DepthwiseConv1D strided": lambda x: layers.DepthwiseConv1D(3, strides=2, depth_multiplier=2, name=SUBJECT)(
        sequence(x)
    ),
    "SeparableConv2D": lambda x: layers.SeparableConv2D(4, 5, strides=2, padding="same", name=SUBJECT)(x),
    "SeparableConv2D dilated": lambda x: layers.SeparableConv2D(
        4, 3, dilation_rate=2, padding="same", depth_multiplier=2, name=SUBJECT
    )(x),
    "SeparableConv1D": lambda x: layers.SeparableConv1D(4, 3, padding="same", name=SUBJECT)(sequence(x)),
    "SeparableConv1D strided": lambda x: layers.SeparableConv1D(4, 3, strides=2, name=SUBJECT)(sequence(x)),
    "SpectralNormalization": lambda x: layers.SpectralNormalization(layers.Conv2D(4, 3), name=SUBJECT)(x),
    "TimeDistributed": lambda x: layers.TimeDistributed(layers.Conv2D(2, 3), name=SUBJECT)(_volume(x)),
    "Dense on features": lambda x: layers.Dense(4, activation="relu", name=SUBJECT)(features(x)),
    "Dense on rows": lambda x: layers.Dense(4, name=SUBJECT)(layers.Reshape((HEIGHT, WIDTH * CHANNELS))(x)),
    "EinsumDense": lambda x: layers.EinsumDense(
        "abcd,def->abcef", output_shape=(HEIGHT, WIDTH, 2, 4), bias_axes="ef", name=SUBJECT
    )(x),
    "EinsumDense over the last axis": lambda x: layers.EinsumDense(
        "abcd,de->abce", output_shape=(HEIGHT, WIDTH, 4), name=SUBJECT
    )(x),
    "squeeze and excite": _squeeze_and_excite,
}
MODELS = builders(BODIES)
