"""Image classifiers of `transformers` in a local folder: config.json, model.safetensors, preprocessor_config.json."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from kdcompress.config.sections import PreprocessingSection
from kdcompress.errors import MissingExtraError, ModelError, one_line
from kdcompress.files import read_json

CONFIG, WEIGHTS, PREPROCESSING = "config.json", "model.safetensors", "preprocessor_config.json"
_MAX_BYTES = 1 << 24
_RESCALED = 1 / 255


def is_classifier_folder(path: Path) -> bool:
    """Whether a folder holds a model of transformers, by the names of its files.

    Args:
        path: The folder.
    """
    return path.is_dir() and (path / CONFIG).is_file() and (path / WEIGHTS).is_file()


def load_classifier(path: Path) -> Any:
    """Load an image classifier; neither code nor pickles of the folder are used, and nothing is downloaded.

    Args:
        path: The folder.

    Returns:
        The torch.nn.Module.

    Raises:
        ModelError: It is no image classifier that the installed transformers knows, or is damaged.
        MissingExtraError: transformers is not installed.
    """
    if importlib.util.find_spec("transformers") is None:
        raise MissingExtraError(f"{path} needs transformers, which is not installed: pip install transformers")
    import transformers

    config = _read(path / CONFIG)
    if "auto_map" in config:
        raise ModelError(
            f"{path} is of a model whose code comes with it (auto_map in {CONFIG}), and that is not run: give "
            "module:function that builds the model"
        )
    try:
        return transformers.AutoModelForImageClassification.from_pretrained(
            str(path), local_files_only=True, trust_remote_code=False, use_safetensors=True, weights_only=True
        )
    except Exception as exc:
        raise ModelError(f"{path} cannot be opened as an image classifier of transformers: {one_line(exc)}") from exc


def read_preprocessing(path: Path) -> dict[str, Any]:
    """Read the preprocessing that a folder records.

    Args:
        path: The folder.

    Returns:
        Settings of a PreprocessingSection: scale, mean, std and size; empty without a preprocessor_config.json.

    Raises:
        ModelError: The file is damaged, or has values that no preprocessing has.
    """
    if not (path / PREPROCESSING).is_file():
        return _size_of_config(_read(path / CONFIG))
    values = _read(path / PREPROCESSING)
    rescales = values.get("do_rescale", True)
    settings: dict[str, Any] = {"scale": values.get("rescale_factor", _RESCALED) if rescales else 1.0}
    if values.get("do_normalize", True) and "image_mean" in values and "image_std" in values:
        settings |= {"mean": values["image_mean"], "std": values["image_std"]}
    size = values.get("crop_size") if values.get("do_center_crop") else values.get("size")
    settings |= _size(size) or _size_of_config(_read(path / CONFIG))
    try:
        PreprocessingSection.model_validate(settings)
    except ValueError as exc:
        raise ModelError(f"{path / PREPROCESSING} has settings that no preprocessing has: {one_line(exc)}") from exc
    return settings


def read_classes(path: Path) -> list[str]:
    """Read the names of the outputs that a folder records, in their order.

    Args:
        path: The folder.

    Returns:
        The names; empty without any.
    """
    names = _read(path / CONFIG).get("id2label")
    if not isinstance(names, dict) or not all(str(key).isdecimal() for key in names):
        return []
    return [str(names[key]) for key in sorted(names, key=int)]


def _size_of_config(config: dict[str, Any]) -> dict[str, Any]:
    return _size(config.get("image_size"))


def _size(size: Any) -> dict[str, Any]:
    if isinstance(size, dict):
        size = [size["height"], size["width"]] if {"height", "width"} <= set(size) else size.get("shortest_edge")
    if isinstance(size, list) and len(size) == 2:
        return {"size": size[0] if size[0] == size[1] else size}
    return {"size": size} if isinstance(size, int) else {}


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, ModelError, "save the model anew with save_pretrained")
