"""How a recipe names a model: a zoo name, a file, or module:function; nothing is opened here."""

from __future__ import annotations

from pathlib import Path

from kdcompress import registry
from kdcompress.errors import RecipeError

_FOREIGN = (".pt", ".pth", ".ckpt", ".safetensors")


def model_reference(text: str, key: str, role: str) -> str:
    """Check the form of a model reference: a zoo name, a file of a kind that `role` may have, or module:function.

    Whether the file is there, `refuse_missing` tells.

    A student is a Keras model; a teacher may be a file of any kind in teachers/.
    """
    if text in registry.choices("models"):
        return text
    path, endings = Path(text).expanduser(), file_endings(role)
    if path.suffix.lower() in endings or (role == "teacher" and path.is_dir()):
        return str(path.resolve())
    module, _, function = text.partition(":")
    if module.endswith(".py"):
        raise RecipeError(f"{key}: name the module without .py: {module.removesuffix('.py')}:{function or 'function'}")
    if is_function(text):
        return text
    ending = path.suffix.lower()
    if ending in _FOREIGN:
        raise RecipeError(
            f"{key}: {text} is a file of PyTorch; export it first: torch.onnx.export(model, ..., 'big.onnx')"
        )
    if role == "student" and ending in file_endings("teacher"):
        raise RecipeError(
            f"{key}: {text} cannot be trained; a student is a Keras model, other files can only be teachers"
        )
    names = registry.choices("models")
    files = f"a {', '.join(endings)} file{', a SavedModel folder' if role == 'teacher' else ''}"
    raise RecipeError(
        f"{key}: unknown model {text!r}{registry.suggestion(text, names)}; "
        f"give one of {', '.join(names)}, {files}, or module:function"
    )


def refuse_missing(reference: str, key: str) -> None:
    """RecipeError if a reference is that of a file or folder that does not exist."""
    if Path(reference).is_absolute() and not Path(reference).exists():
        kind = "weights" if key.endswith(".pretrained") else "model"
        raise RecipeError(f"{key}: {kind} file {reference} does not exist")


def file_endings(role: str) -> tuple[str, ...]:
    """The endings of the files that a teacher or student may be."""
    kinds = registry.choices("teachers") if role == "teacher" else ["keras"]
    return tuple(ending for kind in kinds for ending in registry.load("teachers", kind).TEACHER.suffixes)


def is_function(text: str) -> bool:
    """Whether `text` has the form module:function."""
    module, colon, function = text.partition(":")
    return bool(colon) and function.isidentifier() and all(part.isidentifier() for part in module.split("."))
