"""Attention, transformers and recurrent layers."""

from __future__ import annotations

from typing import Any

from keras import layers, ops, saving

from layer_zoo._parts import CHANNELS, HEIGHT, SUBJECT, WIDTH, Body, builders, features, sequence


@saving.register_keras_serializable("layer_zoo")
class Positions(layers.Layer):  # type: ignore[misc]
    """Adds an embedding of positions."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.embedding = layers.Embedding(20, 8)

    def build(self, shape: Any) -> None:
        self.embedding.build(None)

    def call(self, inputs: Any) -> Any:
        return inputs + self.embedding(ops.arange(20))


@saving.register_keras_serializable("layer_zoo")
class ClassToken(layers.Layer):  # type: ignore[misc]
    """Puts a trained token ahead of the others."""

    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token", initializer="random_normal")

    def call(self, inputs: Any) -> Any:
        token = ops.broadcast_to(self.token, (ops.shape(inputs)[0], 1, inputs.shape[-1]))
        return ops.concatenate([token, inputs], axis=1)

    def compute_output_shape(self, shape: Any) -> Any:
        return (shape[0], shape[1] + 1, shape[2])


def _key(x: Any) -> Any:
    """Cut an image into another sequence of the same length."""
    return layers.Reshape((20, 8))(layers.Conv2D(8, 4, strides=4, name="key")(x))


def _self(layer: Any, x: Any) -> Any:
    return layer(x, x)


def _transformer(x: Any) -> Any:
    x = Positions()(sequence(x))
    normal = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(2, 4, name=SUBJECT)(normal, normal)
    x = x + layers.Dense(8)(layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x)))
    return layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))


def _with_token(x: Any) -> Any:
    x = ClassToken(name=SUBJECT)(sequence(x))
    return layers.MultiHeadAttention(2, 4)(x, x)[:, 0]


def _over_space(x: Any) -> Any:
    x = layers.AveragePooling2D(4)(features(x))
    return layers.MultiHeadAttention(2, 4, attention_axes=(1, 2), name=SUBJECT)(x, x)


def _rows(x: Any) -> Any:
    return layers.Reshape((HEIGHT, WIDTH * CHANNELS))(x)


def _frames(x: Any) -> Any:
    return layers.Reshape((4, 4, WIDTH, CHANNELS))(x)


BODIES: dict[str, Body] = {
    "MultiHeadAttention": lambda x: _self(layers.MultiHeadAttention(2, 4, value_dim=3, name=SUBJECT), sequence(x)),
    "MultiHeadAttention over space": _over_space,
    "MultiHeadAttention causal": lambda x: layers.MultiHeadAttention(2, 4, name=SUBJECT)(
        sequence(x), _key(x), use_causal_mask=True
    ),
    "GroupQueryAttention": lambda x: _self(layers.GroupQueryAttention(8, 4, 2, name=SUBJECT), sequence(x)),
    "Attention": lambda x: layers.Attention(use_scale=True, name=SUBJECT)([sequence(x), _key(x)]),
    "Attention concat": lambda x: layers.Attention(score_mode="concat", name=SUBJECT)([sequence(x), _key(x)]),
    "AdditiveAttention": lambda x: layers.AdditiveAttention(name=SUBJECT)([sequence(x), _key(x)]),
    "Embedding of positions": lambda x: Positions(name=SUBJECT)(sequence(x)),
    "transformer": _transformer,
    "class token": _with_token,
    "LSTM": lambda x: layers.LSTM(4, name=SUBJECT)(_rows(x)),
    "LSTM unrolled": lambda x: layers.LSTM(4, unroll=True, name=SUBJECT)(_rows(x)[:, :4]),
    "GRU": lambda x: layers.GRU(4, name=SUBJECT)(_rows(x)),
    "SimpleRNN": lambda x: layers.SimpleRNN(4, return_sequences=True, name=SUBJECT)(_rows(x)),
    "Bidirectional": lambda x: layers.Bidirectional(layers.GRU(4), name=SUBJECT)(_rows(x)),
    "ConvLSTM1D": lambda x: layers.ConvLSTM1D(2, 3, name=SUBJECT)(x),
    "ConvLSTM2D": lambda x: layers.ConvLSTM2D(2, 3, name=SUBJECT)(_frames(x)),
}


MODELS = builders(BODIES)
