"""Checks of names, paths and model references in a recipe; no file is opened."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.config import initialization
from kdcompress.config.assistants import assistant_values
from kdcompress.config.settings import MAX_PATH_CHARS, format_name, format_value
from kdcompress.errors import RecipeError, one_line
from kdcompress.plugins import is_reference
from kdcompress.urls import check_url, is_url, suffix_in

_PICKLE_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin")
_MAX_NAME_CHARS = 100
# File systems allow 255 bytes; folders of runs add a digest to the name, and partial files a prefix
_MAX_NAME_BYTES = 200
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode categories: control characters, surrogates, line separators


def check_file_name(name: str) -> str:
    """Check the name of a recipe, which becomes part of the names of folders.

    Args:
        name: The name.

    Returns:
        The name.

    Raises:
        ValueError: It cannot be part of a file name.
    """
    invalid = any(char in "/\\" or unicodedata.category(char) in _UNPRINTABLE for char in name)
    if invalid or not 1 <= len(name) <= _MAX_NAME_CHARS or name != name.strip() or name.startswith("."):
        raise ValueError(
            f"must be a file's name: 1 to {_MAX_NAME_CHARS} characters, no / or \\, and no dot at its start; no space "
            "at either end, no control characters; choose one such as 'my-run'"
        )
    if len(name.encode()) > _MAX_NAME_BYTES:
        raise ValueError(f"must be a file's name of at most {_MAX_NAME_BYTES} bytes in UTF-8; choose a shorter one")
    return name


def to_path(text: str, key: str, folder: Path = Path()) -> Path:
    """Convert the value of a recipe's key to a path, with ~ expanded.

    Args:
        text: The value.
        key: Dotted key, for messages.
        folder: Folder that relative paths start from.

    Returns:
        The path, whether or not it exists.

    Raises:
        RecipeError: No file can have this path.
    """
    try:
        path = folder / Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return path
    except (OSError, RuntimeError, ValueError) as exc:  # too long or a loop of links; unknown home; NUL
        reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else one_line(exc, 80)
        raise RecipeError(f"{key} must be a valid path ({reason}), got {format_value(text)}") from exc
    return path


def make_paths_absolute(values: dict[str, Any], folder: Path, paths: Mapping[str, tuple[str, ...]]) -> None:
    """Make the relative paths of a recipe file absolute, in place.

    Args:
        values: Plain values of the recipe.
        folder: Folder of the recipe file.
        paths: Keys that hold paths of data, by section.

    Raises:
        RecipeError: A path is invalid.
    """

    def absolute(text: str, key: str) -> str:
        return text if is_url(text) else str(to_path(text, key, folder))

    def model(text: str, key: str) -> str:
        if is_url(text) or is_reference(text) or registry.contains("models", text):
            return text
        is_file = Path(text).suffix.lower() in model_suffixes("teacher")
        return absolute(text, key) if is_file or "/" in text or is_folder(folder / text) else text

    def weights(text: str, key: str) -> str:
        return text if text in initialization.PRETRAINED else absolute(text, key)

    for name, keys in paths.items():
        _map_strings(values.get(name), name, keys, absolute)
    teacher = values.get("teacher")
    members = teacher.get("members") if isinstance(teacher, dict) else None
    sections = {"teacher": teacher, "student": values.get("student")}
    for index, member in enumerate(members if isinstance(members, list) else []):
        sections[f"teacher.members.{index}"] = member
    sections |= dict(assistant_values(values))
    for name, section in sections.items():
        _map_strings(section, name, ("model",), model)
        _map_strings(section, name, ("pretrained",), weights)


def _map_strings(section: Any, name: str, keys: tuple[str, ...], change: Callable[[str, str], str]) -> None:
    """Replace the strings under `keys` of a section by change(string, dotted key)."""
    for key in keys if isinstance(section, dict) else ():
        if isinstance(section.get(key), str):
            section[key] = change(section[key], f"{name}.{key}")


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False where access is denied.

    Args:
        path: The path.
    """
    try:
        return path.is_dir()
    except OSError:
        return False


def check_model_reference(text: str, key: str, role: str) -> str:
    """Check the form of a model reference.

    Args:
        text: Zoo name, model file, or module:function. A student is a Keras model; a teacher may be of any registered
            format.
        key: Dotted key, for messages.
        role: teacher or student.

    Returns:
        The reference, a path made absolute. Whether the file exists is checked by `check_exists`.

    Raises:
        RecipeError: It has none of these forms.
    """
    if registry.contains("models", text):
        return text
    if is_url(text):
        return _check_model_url(text, key, role)
    path, suffixes = to_path(text, key), model_suffixes(role)
    suffix = path.suffix.lower()
    if suffix in suffixes or (role == "teacher" and is_folder(path)):
        return str(path.resolve())
    module, _, function = text.partition(":")
    if module.endswith(".py"):
        reference = format_name(f"{module.removesuffix('.py')}:{function or 'function'}")
        raise RecipeError(f"{key}: name the module without .py: {reference}")
    if is_reference(text):
        return text
    if suffix in _PICKLE_SUFFIXES or suffix == ".safetensors":
        raise RecipeError(f"{key}: {format_name(text)} {_explain_pytorch(suffix, role)}")
    if role == "student" and suffix in model_suffixes("teacher"):
        raise RecipeError(
            f"{key}: {format_name(text)} cannot be trained; a student is a Keras model, "
            "other files can only be teachers"
        )
    names = registry.choices("models")
    folders = ", a folder of a SavedModel or of transformers" if role == "teacher" else ""
    files = f"a {', '.join(suffixes)} file{folders}"
    raise RecipeError(
        f"{key}: unknown model {format_value(text)}{_did_you_mean_model(text)}; "
        f"give one of {', '.join(names)}, keras:NAME of keras.applications, {files}, or module:function"
    )


def _check_model_url(url: str, key: str, role: str) -> str:
    suffix, suffixes = suffix_in(url), model_suffixes(role)
    if suffix not in suffixes and not (role == "teacher" and url.endswith("/")):
        folders = ", or as a folder of a SavedModel or of transformers in /" if role == "teacher" else ""
        raise RecipeError(f"{key}: {format_value(url)}: the URL of a model ends in {', '.join(suffixes)}{folders}")
    return check_url(url, key, RecipeError)


def _did_you_mean_model(text: str) -> str:
    applications = registry.family_choices("models")
    bare = {name.partition(":")[2].lower(): name for name in applications}
    if name := bare.get(text.lower().removeprefix("keras:")):
        return f" (did you mean {name!r}?)"
    return registry.did_you_mean(text, [*registry.choices("models"), *applications])


def _explain_pytorch(suffix: str, role: str) -> str:
    """Explain why a file of PyTorch is not opened, and what to give in its place."""
    if role == "student":
        return "is a file of PyTorch; a student is a Keras model, and PyTorch's models can only be teachers"
    if suffix == ".safetensors":
        return "is a file of weights without a model; give module:function that builds the model and loads them"
    return (
        "is a file of PyTorch's pickles, which can run any program when they are opened: give module:function that "
        "returns the model, or its file of torch.export.save (.pt2) or torch.onnx.export (.onnx)"
    )


def is_file_reference(reference: str) -> bool:
    """Whether a checked model reference is that of a file or folder: an absolute path, or a URL.

    Args:
        reference: The reference.
    """
    return is_url(reference) or Path(reference).is_absolute()


def check_exists(reference: str, key: str) -> None:
    """Check that the file or folder of a model reference exists.

    Args:
        reference: An absolute path; any other reference passes, and URLs do until they are opened.
        key: Dotted key, for messages.

    Raises:
        RecipeError: It does not exist, or access is denied.
    """
    if not Path(reference).is_absolute():
        return
    subject = (
        f"{key}: {'weights' if key.endswith('.pretrained') else 'model'} file {format_name(reference, MAX_PATH_CHARS)}"
    )
    try:
        exists = to_path(reference, key).exists()
    except PermissionError as exc:
        raise RecipeError(f"{subject} cannot be read (permission denied)") from exc
    if not exists:
        raise RecipeError(f"{subject} does not exist")


def model_suffixes(role: str) -> tuple[str, ...]:
    """List the suffixes of model files.

    Args:
        role: teacher or student.

    Returns:
        Suffixes with their dot.
    """
    names = registry.choices("teachers") if role == "teacher" else ["keras"]
    return tuple(suffix for name in names for suffix in registry.load("teachers", name).suffixes)
