"""Activations: functions by name, and layers."""

from __future__ import annotations

from keras import activations, layers, ops

from layer_zoo._parts import SUBJECT, Body, builders, function, on_features

# All functions of keras.activations; those that one Keras knows and another does not are left out there
NAMES = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu linear log_sigmoid "
    "log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid "
    "sparsemax squareplus tanh tanh_shrink threshold"
)
# Keras infers wrong shapes for these by name, or they need arguments
_CALLED = {"glu": lambda x: activations.glu(x), "threshold": lambda x: activations.threshold(x, 0.1, 0.2)}
BODIES: dict[str, Body] = {
    f"Activation {_name}": function(_CALLED[_name])
    if _name in _CALLED
    else on_features(lambda name=_name: layers.Activation(name, name=SUBJECT))
    for _name in NAMES.split()
    if hasattr(activations, _name)
}
BODIES |= {
    "gelu by tanh": function(lambda x: ops.gelu(x, approximate=True)),
    "PReLU": on_features(lambda: layers.PReLU(alpha_initializer="random_normal", name=SUBJECT)),
    "PReLU shared_axes": on_features(
        lambda: layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_normal", name=SUBJECT)
    ),
    "LeakyReLU": on_features(lambda: layers.LeakyReLU(0.3, name=SUBJECT)),
    "ELU": on_features(lambda: layers.ELU(0.7, name=SUBJECT)),
    "ReLU of all settings": on_features(
        lambda: layers.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.02, name=SUBJECT)
    ),
    "Softmax of space": on_features(lambda: layers.Softmax(axis=[1, 2], name=SUBJECT)),
    "Softmax": on_features(lambda: layers.Softmax(name=SUBJECT)),
}
MODELS = builders(BODIES)
