"""From a model reference (zoo name, .keras file, module:function) to a checked Keras model, and back to a file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress import registry
from kdcompress.cache import cache_dir
from kdcompress.config.initialization import Start, settings_of
from kdcompress.errors import ModelError, one_line
from kdcompress.files import write_atomically
from kdcompress.formats.keras.model import check_model_file, check_weights_file, keras_of, weights_within
from kdcompress.models._digest import model_digest
from kdcompress.models._functions import explain_error, load_from_function
from kdcompress.models._pretrained import load_pretrained
from kdcompress.models._shapes import declared_shape, format_shape, shapes_match
from kdcompress.paths import check_regular_file
from kdcompress.plugins import is_reference
from kdcompress.progress import Progress
from kdcompress.runs.integrity import check_integrity
from kdcompress.sealed import is_sealed, seal
from kdcompress.trust import trusts_code


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
        model = _load(reference, role, input_shape, outputs)
    return prepare_model(model, input_shape, outputs, f"{role} {reference}", why)


def load_saved_model(path: Path) -> Any:
    """A Keras model from a `.keras` or `.h5` file, uncompiled, without running code from the file.

    Errors: ModelError if it is none, one of weights alone, or one that names what could run code; RunError if it is a
    run's, and not as the run wrote it.
    """
    import keras

    if not path.is_file():
        raise ModelError(f"model file {path} does not exist")
    check_regular_file(path, ModelError)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ModelError(f"{path} cannot be loaded as a Keras model: it is truncated, damaged or no .keras file")
    if path.suffix != ".keras":
        _refuse_weights_alone(path)
    check_integrity(path)
    stored = check_model_file(path)
    try:
        with weights_within(stored, str(path)):
            return keras.saving.load_model(path, compile=False, safe_mode=not trusts_code())
    except ModelError:
        raise
    except Exception as exc:
        older = " (of Keras 2? tf_keras opens it, and its model.export(FOLDER) makes a SavedModel teacher of it)"
        hint = _newer(path) or (older if path.suffix != ".keras" else "")
        raise ModelError(f"{path} cannot be loaded as a Keras model: {explain_error(exc)}{hint}") from exc


def _newer(path: Path) -> str:
    """What to do about a file that a newer Keras saved, whose layers may have settings that this one does not know."""
    import keras

    theirs, ours = keras_of(path), keras.__version__
    numbers = [[int(part) for part in text.split(".")[:2] if part.isdecimal()] for text in (theirs, ours)]
    if numbers[0] <= numbers[1]:
        return ""
    return f" (Keras {theirs} saved it, which is newer than Keras {ours} here: update keras)"


def load_weights(model: Any, path: Path) -> None:
    """Give a Keras model the weights in a `.keras` file, whose configuration is not looked at; ModelError."""
    check_weights_file(path)
    try:
        model.load_weights(path)
    except Exception as exc:
        raise ModelError(f"the weights in {path} do not fit the model: {one_line(exc)}") from exc


def save_model(model: Any, path: Path) -> None:
    """Save without optimizer and losses, so that plain Keras opens the file anywhere; whole or not at all.

    A model that came compiled (from a user's function, say) is not compiled any more afterwards.
    """
    if getattr(model, "compiled", False):
        model.compiled = False
        model.optimizer = None
    write_atomically(path, lambda part: model.save(part))


def cache_model(model: Any) -> Path:
    """Put a copy of a Keras model in memory into the cache, named by its digest, and return the file.

    The model itself is left as it is, compiled or not. Errors: ModelError if it is no Keras model.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise ModelError(f"a model is a zoo name, a .keras file, module:function or a Keras 3 model, got {model!r}")
    path = cache_dir("models") / model_digest(model) / "model.keras"
    if not is_sealed(path):
        write_atomically(path, model.save)
        seal(path)
    return path


def prepare_model(model: Any, input_shape: tuple[int, int, int], outputs: int, what: str, why: str = "") -> Any:
    """Return `model` after building it on one blank image; ModelError unless it gives (1, outputs) from it."""
    expected = declared_shape(model, what)
    if expected and not shapes_match(expected, input_shape):
        raise ModelError(
            f"{what} takes images of {format_shape(expected)}, the data has {format_shape(input_shape)}; "
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
        raise ModelError(f"{what} fails on an image of {format_shape(input_shape)}: {explain_error(exc)}") from exc


def _load(reference: str, role: str, input_shape: tuple[int, int, int], outputs: int) -> Any:
    if is_reference(reference):
        return load_from_function(reference, role, input_shape, outputs)
    return load_saved_model(Path(reference))


def _of_zoo(
    name: str, input_shape: tuple[int, int, int], outputs: int, role: str, start: Start, note: Callable[[str], None]
) -> Any:
    architecture, what = registry.load("models", name), f"{role} {name}"
    settings = {"width": start.width} if "width" in settings_of(name) else {}
    model = architecture.build(input_shape, outputs, **settings)
    path = start.file
    if start.pretrained == "imagenet":
        path = architecture.published(input_shape, **settings).fetch(what, note)
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


def _refuse_weights_alone(path: Path) -> None:
    import h5py

    if zipfile.is_zipfile(path):
        raise ModelError(f"{path} is no .h5 file but a zip, as .keras files are; name it so")
    if not h5py.is_hdf5(path):
        raise ModelError(f"{path} cannot be loaded as a Keras model: it is truncated, damaged or no .h5 file")
    with h5py.File(path) as tree:
        if "model_config" not in tree.attrs:
            raise ModelError(
                f"{path} holds weights alone, no model; give it as module:function that builds the model and calls "
                "model.load_weights"
            )
