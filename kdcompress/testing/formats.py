"""The contract of an export format; a subject is a subclass of Format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.digests import content_digest
from kdcompress.errors import ModelError
from kdcompress.exporting import Format, Options
from kdcompress.leftovers import temporary_folder
from kdcompress.testing._imports import check_light_import

_SHAPE, _CLASSES, _N = (12, 10, 3), ["first", "second", "third"], 40
_METADATA = {"kdcompress": "0", "classes": _CLASSES, "input": {"range": [0, 255]}}
_LOOSE = 0.25  # of the largest logit, for precisions that round


def check_import(kind: type[Format]) -> None:
    """The module of the format imports no heavy library."""
    check_light_import(kind)


def check_names(kind: type[Format]) -> None:
    """A format has an ending and at least one precision."""
    assert kind.suffix.startswith(".")
    assert len(kind.suffix) > 1
    assert kind.precisions, "it has no precision"


def check_outputs(kind: type[Format]) -> None:
    """Every precision computes what the network computes, in batches of any size, and keeps names and image size."""
    _, images, logits = _network()
    for precision in kind.precisions:
        with _written(kind, precision) as path:
            opened = kind().open(path)
            assert tuple(opened.input_shape) == _SHAPE
            assert opened.classes == _CLASSES, "the names of the classes are not in the file"
            for n in (1, 7):
                outputs = np.asarray(opened.run(images[:n]))
                assert outputs.shape == (n, len(_CLASSES))
                tolerance = 1e-4 if precision == "fp32" else _LOOSE
                difference = np.abs(outputs - logits[:n]).max() / np.abs(logits).max()
                assert difference < tolerance, f"{precision}: outputs differ by {difference:.3g} of the largest logit"


def check_bytes(kind: type[Format]) -> None:
    """The same network gives the same bytes, of a format that is `reproducible`."""
    if not kind.reproducible:
        return
    for precision in kind.precisions:
        with _written(kind, precision) as one, _written(kind, precision) as other:
            assert content_digest(one) == content_digest(other), f"{precision}: two exports differ"


def check_damaged_file(kind: type[Format]) -> None:
    """A file that is no model of this format is refused with ModelError and its path."""
    with temporary_folder() as folder:
        path = folder / f"model{kind.suffix}"
        path.write_bytes(b"no model at all")
        try:
            kind().open(path)
        except ModelError as exc:
            assert str(path) in str(exc), f"the error does not name the file: {exc}"
        else:
            raise AssertionError("a file of other bytes is opened")


@contextmanager
def _written(kind: type[Format], precision: str) -> Iterator[Path]:
    network, images, _ = _network()
    with temporary_folder() as folder:
        path = folder / f"model-{precision}{kind.suffix}"
        kind().write(network, path, precision, Options(), images if precision == "int8" else None, _METADATA)
        assert path.exists(), f"{precision}: nothing is written"
        yield path


@cache
def _network() -> tuple[Any, Any, Any]:
    """A small network, images, and its logits for them."""
    import keras

    from kdcompress.exporting._network import freeze

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(_SHAPE, name="image"),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Conv2D(8, 3, activation="relu", name="conv"),
            layers.Flatten(name="flatten"),
            layers.Dense(len(_CLASSES), name="logits"),
        ]
    )
    images = np.random.default_rng(0).integers(0, 256, (_N, *_SHAPE), np.uint8)
    return freeze(model, _SHAPE), images, np.asarray(model(images.astype(np.float32)))


FORMAT_CHECKS: tuple[Callable[[type[Format]], None], ...] = (
    check_import,
    check_names,
    check_outputs,
    check_bytes,
    check_damaged_file,
)
