"""Image models of `transformers` in a local folder: config.json, model.safetensors, preprocessor_config.json."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcompress.config.sections import PreprocessingSection
from kdcompress.errors import MissingExtraError, ModelError, one_line
from kdcompress.files import read_json

CONFIG, WEIGHTS, PREPROCESSING = "config.json", "model.safetensors", "preprocessor_config.json"
PROCESSORS = "processor_config.json"  # since transformers 5, of models of images and texts
POOLED = "pooler_output"
_RESCALED = 1 / 255
_CLASS_TOKEN = ("vit", "deit")  # of which the class token is the embedding where there is no pooler, as in DINO
_STATISTICS = ("running_mean", "running_var")  # of batch normalization
_NAMED = 3  # missing weights in a message


def is_model_folder(path: Path) -> bool:
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
    model, missing = _load(path, "AutoModelForImageClassification", "an image classifier")
    _check_weights(path, "an image classifier", missing, "teacher.probe = true fits a head to it")
    return model


def load_encoder(path: Path) -> Any:
    """Load the part of a model that encodes images; see `load_classifier`.

    Args:
        path: The folder.

    Returns:
        The torch.nn.Module from images to one output or a dict of them, `pooler_output` being the embedding of models
        that have one: for those of images and texts, it is in the space that both share.

    Raises:
        ModelError: It is no model that the installed transformers knows, or is damaged.
        MissingExtraError: transformers is not installed.
    """
    remedy = "give module:function that returns its embedding"
    model, missing = _load(path, "AutoModel", "an encoder")
    unpooled = _read(path / CONFIG).get("model_type") in _CLASS_TOKEN and all("pooler." in name for name in missing)
    if missing and unpooled:
        model, missing = _load(path, "AutoModel", "an encoder", add_pooling_layer=False)
        model = _pooled(model, lambda network, images: network(images).last_hidden_state[:, 0])
    _check_weights(path, "an encoder", missing, remedy)
    if hasattr(model, "get_image_features"):
        for name in [name for name, _ in model.named_children() if name.startswith("text_")]:
            delattr(model, name)  # its weights would be written, too
        model = _pooled(model, lambda network, images: network.get_image_features(pixel_values=images))
    return model.float()


def _pooled(model: Any, embed: Callable[[Any, Any], Any]) -> Any:
    """A module from images to the embedding alone.

    Args:
        model: The torch.nn.Module.
        embed: Maps the module and images to the embedding, or to outputs with a pooled one.
    """
    import torch

    class Pooled(torch.nn.Module):  # type: ignore[misc]
        """Images to the embedding."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: Any) -> Any:
            found = embed(self.model, images)
            return {POOLED: found if isinstance(found, torch.Tensor) else found[POOLED]}

    return Pooled()


def _load(path: Path, auto_class: str, kind: str, **options: Any) -> tuple[Any, list[str]]:
    """A model, and the names of its weights that the folder lacks, which transformers draws at random."""
    if importlib.util.find_spec("transformers") is None:
        raise MissingExtraError(f"{path} needs transformers, which is not installed: pip install transformers")
    import transformers

    transformers.logging.set_verbosity_error()  # what it would say of missing weights is said here
    config = _read(path / CONFIG)
    if "auto_map" in config:
        raise ModelError(
            f"{path} is of a model whose code comes with it (auto_map in {CONFIG}), and that is not run: give "
            "module:function that builds the model"
        )
    try:
        model, info = getattr(transformers, auto_class).from_pretrained(
            str(path), local_files_only=True, trust_remote_code=False, use_safetensors=True, weights_only=True,
            output_loading_info=True, **options,
        )  # fmt: skip
    except Exception as exc:
        raise ModelError(f"{path} cannot be opened as {kind} of transformers: {one_line(exc)}") from exc
    counted = {name for name, _ in model.named_parameters()}
    return model, sorted(name for name in info["missing_keys"] if name in counted or name.endswith(_STATISTICS))


def _check_weights(path: Path, kind: str, missing: list[str], remedy: str) -> None:
    if missing:
        raise ModelError(
            f"{path} is not {kind}: it has no weights for {', '.join(missing[:_NAMED])}"
            f"{'...' if missing[_NAMED:] else ''}; {remedy}"
        )


def read_preprocessing(path: Path) -> dict[str, Any]:
    """Read the preprocessing that a folder records.

    Args:
        path: The folder.

    Returns:
        Settings of a PreprocessingSection: scale, mean, std and size; the size alone where no file has the others.

    Raises:
        ModelError: The file is damaged, or has values that no preprocessing has.
    """
    file, values = _image_processor(path)
    if values is None:
        return _size_of_config(_read(path / CONFIG))
    rescales = values.get("do_rescale", True)
    settings: dict[str, Any] = {"scale": values.get("rescale_factor", _RESCALED) if rescales else 1.0}
    if values.get("do_normalize", True) and "image_mean" in values and "image_std" in values:
        settings |= {"mean": values["image_mean"], "std": values["image_std"]}
    size = values.get("crop_size") if values.get("do_center_crop") else values.get("size")
    settings |= _size(size) or _size_of_config(_read(path / CONFIG))
    try:
        PreprocessingSection.model_validate(settings)
    except ValueError as exc:
        raise ModelError(f"{file} has settings that no preprocessing has: {one_line(exc)}") from exc
    return settings


def _image_processor(path: Path) -> tuple[Path, dict[str, Any] | None]:
    """The file with the settings of images, and those; None where there is no such file."""
    if (path / PREPROCESSING).is_file():
        return path / PREPROCESSING, _read(path / PREPROCESSING)
    file = path / PROCESSORS
    values = _read(file).get("image_processor") if file.is_file() else None
    return file, values if isinstance(values, dict) else None


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
    vision = config.get("vision_config")  # of a model of images and texts
    return _size((vision if isinstance(vision, dict) else config).get("image_size"))


def _size(size: Any) -> dict[str, Any]:
    if isinstance(size, dict):
        size = [size["height"], size["width"]] if {"height", "width"} <= set(size) else size.get("shortest_edge")
    if isinstance(size, list) and len(size) == 2:
        return {"size": size[0] if size[0] == size[1] else size}
    return {"size": size} if isinstance(size, int) else {}


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, ModelError, "save the model anew with save_pretrained")
