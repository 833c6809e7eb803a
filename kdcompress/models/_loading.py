"""From a model reference (zoo name, .keras file, module:function) to a checked Keras model, and back to a file."""

from __future__ import annotations

import importlib
import re
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress import registry
from kdcompress.cache import cache_dir
from kdcompress.errors import ModelError, one_line
from kdcompress.files import write_atomically
from kdcompress.models._digest import model_digest
from kdcompress.models._pretrained import load_pretrained
from kdcompress.progress import Progress
from kdcompress.references import is_function
from kdcompress.starts import Start, settings_of


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and Keras, so that what is built next starts from the same weights every time."""
    import keras

    keras.utils.set_random_seed(seed)


def load_model(
    reference: str,
    input_shape: tuple[int, int, int],
    outputs: int,
    role: str,
    why: str = "",
    start: Start | None = None,
    note: Callable[[str], None] | None = None,
) -> Any:
    """The Keras model behind `reference`, checked to map images of `input_shape` to `outputs` numbers.

    `role` (teacher or student) names the model in errors, `why` says why it must be so many. A zoo model has the
    weights of `start` (random ones by default); `note` is told which of its layers have them. Errors: ModelError.
    """
    if reference in registry.choices("models"):
        model = _of_zoo(reference, input_shape, outputs, role, start or Start(), note or Progress().note)
    else:
        model = _load(reference, role)
    return prepare_model(model, input_shape, outputs, f"{role} {reference}", why)


def load_saved_model(path: Path) -> Any:
    """A Keras model from a `.keras` or `.h5` file, uncompiled, without running code from the file.

    Errors: ModelError if it is none, or one of weights alone.
    """
    import keras

    if not path.is_file():
        raise ModelError(f"model file {path} does not exist")
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ModelError(f"{path} cannot be loaded as a Keras model: it is truncated, damaged or no .keras file")
    if path.suffix != ".keras":
        _refuse_weights_alone(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as exc:
        older = " (of Keras 2? tf_keras opens it, and its model.export(FOLDER) makes a SavedModel teacher of it)"
        hint = older if path.suffix != ".keras" else ""
        raise ModelError(f"{path} cannot be loaded as a Keras model: {_reason(exc)}{hint}") from exc


def own_shape(model: Any, what: str) -> tuple[int | None, ...] | None:
    """What a Keras model says of its images' (H, W, C), or None if it learns that from its first image.

    Errors: ModelError if it takes more than one input.
    """
    if len(getattr(model, "inputs", None) or [None]) != 1:
        raise ModelError(f"{what} has {len(model.inputs)} inputs; it must take one batch of images")
    return tuple(model.inputs[0].shape[1:]) if getattr(model, "inputs", None) else None


def image_shape(
    own: Sequence[int | None] | None, given: tuple[int, int, int] | None, what: str
) -> tuple[int, int, int]:
    """The one (H, W, C) of a model's images, from its own shape (None where open) and the one the user gave.

    Errors: ModelError if `own` is no image, if both disagree, or if a size stays open; `what` names the model.
    """
    if own is not None and len(own) != 3:
        raise ModelError(f"{what} takes inputs of shape {_size(own)}; it must take images of H x W x C")
    sizes = tuple(own or (None, None, None))
    if given and not _fits(sizes, given):
        raise ModelError(f"--input-shape must fit {what}, which takes images of {_size(sizes)}, got {_size(given)}")
    height, width, channels = given or sizes
    if height is None or width is None or channels is None:
        raise ModelError(f"{what} takes images of {_size(sizes)}, a size left open: pass --input-shape H,W,C")
    return height, width, channels


def save_model(model: Any, path: Path) -> None:
    """Save without optimizer and losses, so that plain Keras opens the file anywhere; whole or not at all.

    A model that came compiled (from a user's function, say) is not compiled any more afterwards.
    """
    if getattr(model, "compiled", False):
        model.compiled = False
        model.optimizer = None
    write_atomically(path, lambda part: model.save(part))


def keep_model(model: Any) -> Path:
    """Put a copy of a Keras model in memory into the cache, named by its digest, and return the file.

    The model itself is left as it is, compiled or not. Errors: ModelError if it is no Keras model.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise ModelError(f"a model is a zoo name, a .keras file, module:function or a Keras 3 model, got {model!r}")
    path = cache_dir("models") / model_digest(model) / "model.keras"
    if not path.is_file():
        write_atomically(path, model.save)
    return path


def prepare_model(model: Any, input_shape: tuple[int, int, int], outputs: int, what: str, why: str = "") -> Any:
    """Return `model` after building it on one blank image; ModelError unless it gives (1, outputs) from it."""
    expected = own_shape(model, what)
    if expected and not _fits(expected, input_shape):
        raise ModelError(
            f"{what} takes images of {_size(expected)}, the data has {_size(input_shape)}; "
            "own images are scaled by data.size, and made grey or RGB by data.colour"
        )
    output = _first_answer(model, input_shape, what)
    shape = tuple(getattr(output, "shape", ()))
    if shape != (1, outputs):
        got = f"{shape[1]} classes" if len(shape) == 2 else f"an output of shape {shape or type(output).__name__}"
        reason = why or f"the data has {outputs} classes"
        raise ModelError(f"{what} has {got}, {reason}; it must end in (batch, {outputs}) logits")
    return model


def build_model(model: Any, input_shape: tuple[int, int, int], what: str) -> Any:
    """Return `model` with its weights made, whatever it gives; ModelError if it fails on a blank image."""
    _first_answer(model, input_shape, what)
    return model


def _first_answer(model: Any, input_shape: tuple[int, int, int], what: str) -> Any:
    import keras

    try:
        if isinstance(model, keras.Sequential) and not model.built:
            model.build((None, *input_shape))  # else the probe's batch of 1 would stay in its signature
        return model(np.zeros((1, *input_shape), np.float32), training=False)
    except Exception as exc:
        raise ModelError(f"{what} fails on an image of {_size(input_shape)}: {_reason(exc)}") from exc


def _load(reference: str, role: str) -> Any:
    if is_function(reference):
        return call_function(reference, role)
    return load_saved_model(Path(reference))


def _of_zoo(
    name: str, input_shape: tuple[int, int, int], outputs: int, role: str, start: Start, note: Callable[[str], None]
) -> Any:
    module, what = registry.load("models", name), f"{role} {name}"
    settings = {"width": start.width} if "width" in settings_of(name) else {}
    model = module.build(input_shape, outputs, **settings)
    path = start.file
    if start.pretrained == "imagenet":
        path = module.published(input_shape, **settings).fetch(what, note)
    if path:
        note(_loaded(model, path, what, start))
    return model


def _loaded(model: Any, path: Path, what: str, start: Start) -> str:
    try:
        return load_pretrained(model, path, what)
    except ModelError as exc:
        if start.file:
            raise
        raise ModelError(f"{exc}; delete it, and it is downloaded again") from exc


def call_function(reference: str, role: str) -> Any:
    """The Keras model that `module:function` returns; ModelError, with `role` and the reference, if it gives none."""
    import keras

    module_name, _, function_name = reference.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # a console script, unlike `python -m`, does not look in the current folder
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except ModuleNotFoundError as exc:
        raise ModelError(f"{role} {reference}: no module {exc.name!r} here or among the installed packages") from exc
    except (Exception, SystemExit) as exc:
        raise ModelError(f"{role} {reference}: importing {module_name} fails: {_reason(exc)}") from exc
    if not callable(function):
        raise ModelError(f"{role} {reference}: module {module_name} has no function {function_name!r}")
    try:
        model = function()
    except (Exception, SystemExit) as exc:
        raise ModelError(f"{role} {reference} raises {_reason(exc)}") from exc
    if not isinstance(model, keras.Model):
        raise ModelError(f"{role} {reference} returns {type(model).__name__}; it must return a Keras 3 model")
    return model


def _refuse_weights_alone(path: Path) -> None:
    import h5py

    if not h5py.is_hdf5(path):
        raise ModelError(f"{path} cannot be loaded as a Keras model: it is truncated, damaged or no .h5 file")
    with h5py.File(path) as tree:
        if "model_config" not in tree.attrs:
            raise ModelError(
                f"{path} holds weights alone, no model; give it as module:function that builds the model and calls "
                "model.load_weights"
            )


def _reason(exc: BaseException) -> str:
    """An exception in one line, with the way out for the two that people meet most."""
    text = str(exc)
    if unknown := re.search(r"Could not locate (?:class|function) '([^']+)'", text):
        return (
            f"its custom class {unknown[1]!r} is not known here; "
            "give the model as module:function that imports the class and loads the file"
        )
    if "Lambda" in text and "safe_mode" in text:
        return "it holds a Lambda layer, which could run any code; give it as module:function that you trust"
    return one_line(exc)


def _fits(expected: tuple[int | None, ...], given: tuple[int, ...]) -> bool:
    return len(expected) == len(given) and all(e in (None, g) for e, g in zip(expected, given, strict=True))


def _size(shape: Sequence[int | None]) -> str:
    return "x".join("?" if part is None else str(part) for part in shape)
