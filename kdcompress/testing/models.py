"""The contract of an architecture; a subject is a subclass of Architecture."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from kdcompress.leftovers import temporary_folder
from kdcompress.models import Architecture, load_saved_model, seed_everything
from kdcompress.testing._imports import check_light_import

_CLASSES = 7
_SHAPES = ((28, 28, 1), (96, 104, 3))


def check_import(kind: type[Architecture]) -> None:
    """The module of the architecture imports no heavy library."""
    check_light_import(kind)


def check_outputs(kind: type[Architecture]) -> None:
    """Raw pixels give one finite logit a class, in a layer called `logits`."""
    for shape in _accepted(kind):
        model = kind.build(shape, _CLASSES)
        assert tuple(model.output_shape) == (None, _CLASSES), f"{shape}: outputs {model.output_shape}"
        assert model.layers[-1].name == "logits", f"the last layer is called {model.layers[-1].name}"
        outputs = np.asarray(model(_pixels(shape), training=False))
        assert np.isfinite(outputs).all()
        assert not np.allclose(outputs.sum(axis=-1), 1, atol=1e-3), "outputs are probabilities, not logits"


def check_scaling(kind: type[Architecture]) -> None:
    """The network scales pixels of 0 to 255 itself."""
    from kdcompress.models import lacks_rescaling

    for shape in _accepted(kind):
        assert not lacks_rescaling(kind.build(shape, _CLASSES)), "pixels of 0 to 255 arrive unscaled"


def check_seed(kind: type[Architecture]) -> None:
    """The same seed gives the same weights, and every variable has the same path."""
    shape = _accepted(kind)[0]
    built = []
    for _ in range(2):
        seed_everything(3)
        built.append(kind.build(shape, _CLASSES))
    one, other = ([np.asarray(value) for value in model.get_weights()] for model in built)
    assert all(np.array_equal(*pair) for pair in zip(one, other, strict=True)), "weights do not follow the seed"
    names = [[layer.name for layer in model.layers if layer.weights] for model in built]
    assert names[0] == names[1], "names of layers count through the process: name every layer with weights"


def check_saving(kind: type[Architecture]) -> None:
    """Plain Keras saves and opens it, with the same outputs."""
    shape = _accepted(kind)[0]
    model = kind.build(shape, _CLASSES)
    with temporary_folder() as folder:
        model.save(folder / "model.keras")
        again = load_saved_model(folder / "model.keras")
    pixels = _pixels(shape)
    assert np.allclose(np.asarray(model(pixels)), np.asarray(again(pixels)), atol=1e-4)


def check_width(kind: type[Architecture]) -> None:
    """A network that takes a width is smaller with a lower one."""
    if "width" not in inspect.signature(kind.build).parameters:
        return
    build: Any = kind.build
    shape = _accepted(kind)[0]
    half, whole = (build(shape, _CLASSES, width=width).count_params() for width in (0.5, 1.0))
    assert half < whole, f"width 0.5 has {half} parameters, 1.0 has {whole}"


@functools.cache
def _accepted(kind: type[Architecture]) -> list[tuple[int, int, int]]:
    """The shapes that it can be built for; a network may be for large images, or for colours, alone."""
    accepted = []
    for shape in _SHAPES:
        try:
            kind.build(shape, _CLASSES)
        except Exception:  # what it raises is its own affair
            continue
        accepted.append(shape)
    assert accepted, f"it can be built for none of {_SHAPES}"
    return accepted


def _pixels(shape: tuple[int, int, int]) -> Any:
    return np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.float32)


MODEL_CHECKS: tuple[Callable[[type[Architecture]], None], ...] = (
    check_import,
    check_outputs,
    check_scaling,
    check_seed,
    check_saving,
    check_width,
)
