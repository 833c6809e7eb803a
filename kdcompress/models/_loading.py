"""Loading of Keras models from references (zoo name, .keras file, module:function)."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.config.initialization import Initialization, initialization_settings
from kdcompress.errors import ModelError, one_line
from kdcompress.formats.keras.model import check_model_file, check_weights_file, limit_weights, read_keras_version
from kdcompress.models._functions import explain_error, load_from_function
from kdcompress.models._pretrained import load_pretrained
from kdcompress.models._probing import prepare_model
from kdcompress.paths import check_regular_file
from kdcompress.plugins import is_reference
from kdcompress.progress import Progress
from kdcompress.remote import local_path
from kdcompress.runs.integrity import check_integrity
from kdcompress.trust import trusts_code


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and Keras, so that the next model is built with reproducible weights.

    Args:
        seed: Seed, from 0 to 2**32 - 1.
    """
    import keras

    keras.utils.set_random_seed(seed)


def load_model(
    reference: str,
    input_shape: tuple[int, int, int],
    outputs: int,
    role: str,
    why: str = "",
    initialization: Initialization | None = None,
    note: Callable[[str], None] | None = None,
) -> Any:
    """Load a Keras model and check that it maps images to logits of the expected size.

    Args:
        reference: Zoo name, model file or `module:function`.
        input_shape: (H, W, C).
        outputs: Number of outputs.
        role: "teacher" or "student", for messages.
        why: Reason for the number of outputs, for messages; by default the number of classes.
        initialization: Initialization of a zoo model, random by default.
        note: Is called with a message on which layers have pretrained weights.

    Returns:
        A built Keras model.

    Raises:
        ModelError: If it cannot be loaded or does not fit.
    """
    if registry.contains("models", reference):
        model = _build_zoo_model(
            reference, input_shape, outputs, role, initialization or Initialization(), note or Progress().note
        )
    else:
        model = _load(reference, role, input_shape, outputs)
    return prepare_model(model, input_shape, outputs, f"{role} {reference}", why, note)


def load_saved_model(path: Path) -> Any:
    """Load a model from a `.keras` or `.h5` file without running code from the file.

    Args:
        path: The file.

    Returns:
        A Keras model, not compiled.

    Raises:
        ModelError: If the file is missing or damaged, contains only weights, or refers to code.
        RunError: If it belongs to a run whose manifest records another checksum.
    """
    if not path.is_file():
        raise ModelError(f"model file {path} does not exist")
    import keras

    check_regular_file(path, ModelError)
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise ModelError(f"{path} cannot be loaded as a Keras model: it is truncated, damaged or no .keras file")
    if path.suffix != ".keras":
        _check_not_only_weights(path)
    check_integrity(path)
    stored = check_model_file(path)
    try:
        with limit_weights(stored, str(path)):
            return keras.saving.load_model(path, compile=False, safe_mode=not trusts_code())
    except ModelError:
        raise
    except Exception as exc:
        raise ModelError(
            f"{path} cannot be loaded as a Keras model: {explain_error(exc)}{_version_hint(path)}"
        ) from exc


def _version_hint(path: Path) -> str:
    """Return what another version of Keras means for a file that cannot be loaded."""
    import keras

    saved_by, installed = read_keras_version(path), keras.__version__
    numbers = [[int(part) for part in text.split(".")[:2] if part.isdecimal()] for text in (saved_by, installed)]
    if numbers[0] <= numbers[1] and path.suffix == ".keras":
        return ""
    if numbers[0] <= numbers[1] and numbers[0][:1] == [3]:
        return (
            " (Keras 3 loads layers from .h5 files, but no operations such as ops.clip or 100 * x: save it as .keras)"
        )
    if numbers[0] <= numbers[1]:
        return " (of Keras 2? tf_keras opens it, and its model.export(FOLDER) makes a SavedModel teacher of it)"
    return f" (Keras {saved_by} saved it, which is newer than Keras {installed} here: update keras)"


def load_weights(model: Any, path: Path) -> None:
    """Load the weights in a `.keras` file into a model; its configuration is ignored.

    Args:
        model: A Keras model of the same architecture.
        path: The file.

    Raises:
        ModelError: If the file is damaged or does not fit.
    """
    check_weights_file(path)
    try:
        model.load_weights(path)
    except Exception as exc:
        raise ModelError(f"the weights in {path} do not fit the model: {one_line(exc)}") from exc


def _load(reference: str, role: str, input_shape: tuple[int, int, int], outputs: int) -> Any:
    if is_reference(reference):
        return load_from_function(reference, role, input_shape, outputs)
    return load_saved_model(local_path(reference))


def _build_zoo_model(
    name: str,
    input_shape: tuple[int, int, int],
    outputs: int,
    role: str,
    initialization: Initialization,
    note: Callable[[str], None],
) -> Any:
    architecture, subject = registry.load("models", name), f"{role} {name}"
    settings = {"width": initialization.width} if "width" in initialization_settings(name) else {}
    model = architecture.build(input_shape, outputs, **settings)
    if file := initialization.weights_file:
        note(load_pretrained(model, local_path(file), subject))
    elif initialization.pretrained == "imagenet":
        architecture.load_published(model, input_shape, subject, note, **settings)
    return model


def _check_not_only_weights(path: Path) -> None:
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
