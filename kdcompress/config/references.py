"""How a recipe names itself, files and models (a zoo name, a file, or module:function); nothing is opened here."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kdcompress import registry
from kdcompress.config import initialization
from kdcompress.config.settings import MAX_PATH_CHARS, format_name, format_value
from kdcompress.errors import RecipeError, one_line
from kdcompress.plugins import is_reference

_FOREIGN = (".pt", ".pth", ".ckpt", ".safetensors")
_LONGEST_NAME = 100
# File systems allow a name 255 bytes, and names of runs get a digest, those of files to come a prefix
_MOST_BYTES = 200
_UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, what ends a line


def check_file_name(name: str) -> str:
    """Check the name of a recipe, which becomes part of the names of folders; ValueError."""
    bad = any(letter in "/\\" or unicodedata.category(letter) in _UNSEEN for letter in name)
    if bad or not 1 <= len(name) <= _LONGEST_NAME or name != name.strip() or name.startswith("."):
        raise ValueError(
            f"must be a file's name: 1 to {_LONGEST_NAME} characters, no / or \\, and no dot at its start; no space at "
            "either end, no control characters; choose one such as 'my-run'"
        )
    if len(name.encode()) > _MOST_BYTES:
        raise ValueError(f"must be a file's name of at most {_MOST_BYTES} bytes in UTF-8; choose a shorter one")
    return name


def to_path(text: str, key: str, folder: Path = Path()) -> Path:
    """The path that a recipe's key holds, ~ being home and `folder` where it begins, there or not.

    Errors: RecipeError for what no file can be called.
    """
    try:
        path = folder / Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return path
    except (OSError, RuntimeError, ValueError) as exc:  # too long, links in a circle; no such home; a NUL
        what = exc.strerror if isinstance(exc, OSError) and exc.strerror else one_line(exc, 80)
        raise RecipeError(f"{key} must be a path that can be there ({what}), got {format_value(text)}") from exc
    return path


def make_paths_absolute(values: dict[str, Any], folder: Path, paths: Mapping[str, tuple[str, ...]]) -> None:
    """Make the paths in a recipe file, which are relative to it, absolute; `paths` are the keys of data, by section."""

    def place(text: str, key: str) -> str:
        return str(to_path(text, key, folder))

    def model(text: str, key: str) -> str:
        if is_reference(text) or text in registry.choices("models"):
            return text
        is_file = Path(text).suffix.lower() in model_suffixes("teacher")
        return place(text, key) if is_file or "/" in text or is_folder(folder / text) else text

    def weights(text: str, key: str) -> str:
        return text if text in initialization.PRETRAINED else place(text, key)

    for name, keys in paths.items():
        _map_strings(values.get(name), name, keys, place)
    teacher = values.get("teacher")
    members = teacher.get("members") if isinstance(teacher, dict) else None
    named_members = enumerate(members if isinstance(members, list) else [])
    sections = {"teacher": teacher, "student": values.get("student")}
    for name, section in {**sections, **{f"teacher.members.{n}": one for n, one in named_members}}.items():
        _map_strings(section, name, ("model",), model)
        _map_strings(section, name, ("pretrained",), weights)


def _map_strings(section: Any, name: str, keys: tuple[str, ...], change: Callable[[str, str], str]) -> None:
    """Change the texts under `keys` of a section, if they are some; `change` gets each and its dotted key."""
    for key in keys if isinstance(section, dict) else ():
        if isinstance(section.get(key), str):
            section[key] = change(section[key], f"{name}.{key}")


def is_folder(path: Path) -> bool:
    """Whether a folder is there; False where nobody may look."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check_model_reference(text: str, key: str, role: str) -> str:
    """Check the form of a model reference: a zoo name, a file of a kind that `role` may have, or module:function.

    Whether the file is there, `check_exists` tells.

    A student is a Keras model; a teacher may be a file of any kind in teachers/.
    """
    if text in registry.choices("models"):
        return text
    path, endings = to_path(text, key), model_suffixes(role)
    if path.suffix.lower() in endings or (role == "teacher" and is_folder(path)):
        return str(path.resolve())
    module, _, function = text.partition(":")
    if module.endswith(".py"):
        without = format_name(f"{module.removesuffix('.py')}:{function or 'function'}")
        raise RecipeError(f"{key}: name the module without .py: {without}")
    if is_reference(text):
        return text
    ending = path.suffix.lower()
    if ending in _FOREIGN:
        raise RecipeError(
            f"{key}: {format_name(text)} is a file of PyTorch; export it first: "
            "torch.onnx.export(model, ..., 'big.onnx')"
        )
    if role == "student" and ending in model_suffixes("teacher"):
        raise RecipeError(
            f"{key}: {format_name(text)} cannot be trained; a student is a Keras model, "
            "other files can only be teachers"
        )
    names = registry.choices("models")
    files = f"a {', '.join(endings)} file{', a SavedModel folder' if role == 'teacher' else ''}"
    raise RecipeError(
        f"{key}: unknown model {format_value(text)}{registry.did_you_mean(text, names)}; "
        f"give one of {', '.join(names)}, {files}, or module:function"
    )


def check_exists(reference: str, key: str) -> None:
    """RecipeError if a reference is that of a file or folder that does not exist, or lies where nobody may look."""
    if not Path(reference).is_absolute():
        return
    what = (
        f"{key}: {'weights' if key.endswith('.pretrained') else 'model'} file {format_name(reference, MAX_PATH_CHARS)}"
    )
    try:
        there = to_path(reference, key).exists()
    except PermissionError as exc:
        raise RecipeError(f"{what} cannot be read (permission denied)") from exc
    if not there:
        raise RecipeError(f"{what} does not exist")


def model_suffixes(role: str) -> tuple[str, ...]:
    """The endings of the files that a teacher or student may be."""
    kinds = registry.choices("teachers") if role == "teacher" else ["keras"]
    return tuple(ending for kind in kinds for ending in registry.load("teachers", kind).suffixes)
