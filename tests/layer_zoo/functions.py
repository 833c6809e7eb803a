"""Functions of keras.ops, in Lambda layers as custom layers call them, and as operations of a functional model."""

from __future__ import annotations

from typing import Any

from keras import layers, ops

from layer_zoo._parts import HEIGHT, SUBJECT, WIDTH, Body, builders, features, function, sequence


def _depth_to_space(x: Any) -> Any:
    blocks = ops.transpose(ops.reshape(x, (-1, HEIGHT, WIDTH, 2, 2)), (0, 1, 3, 2, 4))
    return ops.reshape(blocks, (-1, 2 * HEIGHT, WIDTH, 2))


def _scaled(x: Any) -> Any:
    return x * ops.std(x, axis=(1, 2), keepdims=True) + ops.var(x, axis=(1, 2), keepdims=True)


def _similarity(x: Any) -> Any:
    x = sequence(x)
    return ops.matmul(x, ops.transpose(x, (0, 2, 1)))


def _loop(x: Any) -> Any:
    return ops.fori_loop(0, 3, lambda index, value: value * 0.5 + 0.1, x)


def _complex(x: Any) -> Any:
    real, imaginary = ops.fft2((ops.transpose(x, (0, 3, 1, 2)), ops.zeros_like(ops.transpose(x, (0, 3, 1, 2)))))
    return ops.sqrt(real * real + imaginary * imaginary)


def _top(x: Any) -> Any:
    return ops.top_k(x, 2)[0]


def _features_again(x: Any) -> Any:
    """Convolve under another name."""
    return layers.Conv2D(4, 3, padding="same", name="features_again")(x)


FUNCTIONS = {
    "abs": ops.abs,
    "arctan2": lambda x: ops.arctan2(x, x + 3.0),
    "argmax": lambda x: ops.one_hot(ops.argmax(x, -1), 4),
    "average_pool": lambda x: ops.average_pool(x, 3, 2, padding="same"),
    "clip": lambda x: ops.clip(x, -0.1, 0.2),
    "cond": lambda x: ops.cond(ops.max(ops.abs(x)) < 1e6, lambda: x * 2.0, lambda: x),
    "conv": lambda x: ops.conv(x, ops.ones((3, 3, 4, 2)), padding="same"),
    "cross": lambda x: ops.cross(x[..., :3], x[..., 1:]),
    "cumprod": lambda x: ops.cumprod(x + 1.0, axis=-1),
    "cumsum": lambda x: ops.cumsum(x, axis=1),
    "depth to space": _depth_to_space,
    "depthwise_conv": lambda x: ops.depthwise_conv(x, ops.ones((3, 3, 4, 1))),
    "diagonal": lambda x: ops.diagonal(x, axis1=1, axis2=2),
    "divide": lambda x: x / (ops.sum(x * x, axis=-1, keepdims=True) + 1e-3),
    "dot_product_attention": lambda x: ops.dot_product_attention(x, x, x),
    "einsum": lambda x: ops.einsum("bhwc,bhwd->bcd", x, x),
    "erf": ops.erf,
    "erfinv": lambda x: ops.erfinv(ops.tanh(x) * 0.5),
    "exp": ops.exp,
    "expm1": ops.expm1,
    "extract_patches": lambda x: ops.image.extract_patches(x, (4, 4)),
    "fft2": _complex,
    "flip": lambda x: ops.flip(x, 2),
    "floor": lambda x: ops.floor(x * 8),
    "fori_loop": _loop,
    "gaussian_blur": lambda x: ops.image.gaussian_blur(x),
    "l2 norm": lambda x: ops.norm(x, axis=-1, keepdims=True),
    "log1p": lambda x: ops.log1p(ops.abs(x)),
    "log2": lambda x: ops.log2(ops.abs(x) + 0.1),
    "logaddexp": lambda x: ops.logaddexp(x, 2 * x),
    "logsumexp": lambda x: ops.logsumexp(x, axis=1),
    "maximum": lambda x: ops.maximum(x, -x),
    "max_pool": lambda x: ops.max_pool(x, 3, 2, padding="same"),
    "mod": lambda x: ops.floor(x * 8) % 3,
    "moments": lambda x: ops.concatenate(ops.moments(x, axes=[1, 2], keepdims=True), axis=-1),
    "nan_to_num": ops.nan_to_num,
    "normalize": lambda x: ops.normalize(x, axis=-1),
    "one_hot": lambda x: ops.one_hot(ops.cast(ops.abs(x) > 0.1, "int32"), 2),
    "outer": lambda x: ops.expand_dims(x, -1) * ops.expand_dims(x, -2),
    "pad constant": lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 3), (0, 0)), constant_values=1.0),
    "pad reflect": lambda x: ops.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect"),
    "pad symmetric": lambda x: ops.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="symmetric"),
    "power": lambda x: ops.power(ops.abs(x) + 0.1, 1.7),
    "prod": lambda x: ops.prod(x + 1.0, axis=-1),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "rgb_to_grayscale": lambda x: ops.image.rgb_to_grayscale(x[..., :3]),
    "rgb_to_hsv": lambda x: ops.image.rgb_to_hsv(ops.sigmoid(x[..., :3])),
    "hsv_to_rgb": lambda x: ops.image.hsv_to_rgb(ops.sigmoid(x[..., :3])),
    "roll": lambda x: ops.roll(x, 3, axis=1),
    "round": lambda x: ops.round(x * 4),
    "rsqrt": lambda x: ops.rsqrt(ops.abs(x) + 0.1),
    "scatter": lambda x: ops.slice_update(x, (0, 0, 0, 0), ops.zeros_like(x[:, :2])),
    "sign": ops.sign,
    "sin": lambda x: ops.sin(x) * ops.cos(x) + ops.tan(x),
    "sinh": lambda x: ops.sinh(x) + ops.cosh(x) + ops.arctan(x) + ops.arcsinh(x),
    "slice": lambda x: ops.slice(x, (0, 2, 3, 0), (ops.shape(x)[0], 5, 6, 4)),
    "sobel_edges": lambda x: ops.image.sobel_edges(x),
    "softmax": lambda x: ops.softmax(x, axis=1),
    "sort": lambda x: ops.sort(x, axis=-1),
    "space to depth": lambda x: ops.transpose(
        ops.reshape(x, (-1, HEIGHT // 2, 2, WIDTH // 2, 2, 4)), (0, 1, 3, 2, 4, 5)
    ),
    "split": lambda x: ops.concatenate(ops.split(x, 2, axis=-1)[::-1], axis=1),
    "square": lambda x: ops.square(x) + ops.sqrt(ops.abs(x)),
    "stack": lambda x: ops.stack([x, -x], axis=1),
    "std and var": _scaled,
    "strided slice": lambda x: x[:, ::2, 1::3, ::-1],
    "take": lambda x: ops.take(x, [3, 0, 2], axis=-1),
    "take_along_axis": lambda x: ops.take_along_axis(x, ops.argsort(x, axis=-1), axis=-1),
    "tensordot": lambda x: ops.tensordot(x, ops.ones((4, 2)), axes=1),
    "tile": lambda x: ops.tile(x, (1, 2, 1, 1)),
    "top_k": _top,
    "tril": lambda x: ops.tril(ops.transpose(x, (0, 3, 1, 2))),
    "vectorized_map": lambda x: ops.vectorized_map(lambda row: row * 2.0, x),
    "where": lambda x: ops.where(x > 0, x, 0.1 * x),
    "while_loop": lambda x: ops.while_loop(lambda step, y: step < 3, lambda step, y: (step + 1, y * 0.5), (0, x))[1],
    "resize": lambda x: ops.image.resize(x, (11, 13), interpolation="bilinear", antialias=False),
    "resize antialias": lambda x: ops.image.resize(x, (11, 13), interpolation="bilinear", antialias=True),
    "affine_transform": lambda x: ops.image.affine_transform(x, ops.array([0.9, 0.1, 1.0, -0.1, 0.9, 0.5, 0.0, 0.0])),
}
BODIES: dict[str, Body] = {f"ops {name}": function(apply) for name, apply in FUNCTIONS.items()}
BODIES |= {
    "operations median": lambda x: ops.median(features(x), axis=(1, 2)),
    "operations matmul": _similarity,
    "operations erf": lambda x: ops.erf(features(x)),
    "operations conv": lambda x: ops.conv(x, ops.ones((3, 3, 3, 2))),
    "operations einsum": lambda x: ops.einsum("bhwc,bhwd->bcd", features(x), x),
    "operations arithmetic": lambda x: (features(x) * 2.0 - 1.0) / 3.0 + layers.Activation("relu")(_features_again(x)),
    "Lambda of arithmetic": lambda x: layers.Lambda(lambda y: (y - 0.5) * 2.0, name=SUBJECT)(x),
}
MODELS = builders(BODIES)
