"""Names of models, and kinds of teachers' files, as reports show them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kdcompress.formatting import join_names
from kdcompress.plugins import is_reference
from kdcompress.reporting._run_data import RunData

# Formats by the suffix of the copy in the run folder: the name in sentences, and the name in tables
_KINDS = {
    ".keras": ("Keras", "keras"),
    ".onnx": ("ONNX", "onnx"),
    ".tflite": ("TFLite", "tflite"),
    ".saved_model": ("SavedModel", "saved-model"),
    ".ncnn": ("ncnn", "ncnn"),
    ".pt2": ("PyTorch", "pt2"),
}
_RUNTIMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "litert": "LiteRT"}


def model_name(model: str) -> str:
    """Return the name of a model: of a file or folder the last part of its path, otherwise what the recipe says.

    Args:
        model: `model` of a section of the recipe.
    """
    return model if is_reference(model) else Path(model).name


def shorten_paths(text: str, recipe: dict[str, Any]) -> str:
    """Replace the paths of a recipe's models in a message by their names.

    Args:
        text: The message.
        recipe: The resolved recipe.
    """
    for section in [*members(recipe), recipe["student"]] if recipe else []:
        if "/" in section["model"]:
            text = text.replace(section["model"], model_name(section["model"]))
    return text


def teacher_names(recipe: dict[str, Any]) -> str:
    """Name the teacher of a recipe, or all teachers of an ensemble; files that share a name keep their folder's.

    Args:
        recipe: The resolved recipe.
    """
    models = [member["model"] for member in members(recipe)]
    names = [model_name(model) for model in models]
    if len(set(names)) < len(set(models)):
        names = ["/".join(Path(model).parts[-2:]) for model in models]
    return names[0] if len(names) == 1 else f"the ensemble of {join_names(names)}"


def members(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the sections of the teachers, of which there are several in an ensemble.

    Args:
        recipe: The resolved recipe.
    """
    sections: list[dict[str, Any]] = recipe["teacher"].get("members") or [recipe["teacher"]]
    return sections


def files_in_words(run: RunData) -> str:
    """Describe the teacher's file or files: "a Keras file", "an ONNX file", "a SavedModel", "Keras and ONNX files".

    Args:
        run: A run whose teachers all have files.
    """
    kinds = list(dict.fromkeys(_kind(file, 0) for file in _files(run) if file))
    if len(_files(run)) > 1:
        return f"{join_names(kinds)} files"
    article = "an" if kinds[0][0] in "AEIOU" else "a"
    return f"{article} {kinds[0]}{'' if kinds[0] == 'SavedModel' else ' file'}"


def file_format(run: RunData) -> str:
    """Return the name of the format of the teacher's file, as exports have it; of an ensemble, of all its files.

    Args:
        run: A run at any stage.
    """
    return ", ".join(dict.fromkeys(_kind(file, 1) for file in _files(run) if file))


def missing_model(run: RunData) -> str | None:
    """Explain that a teacher, or one of an ensemble, has no model; None if all have one.

    Args:
        run: A run at any stage.
    """
    files = _files(run)
    if all(files):
        return None
    return f"{'the' if len(files) == 1 else 'a'} teacher is a file of logits without a model"


def ensemble_size(run: RunData) -> int:
    """Count the teachers of a run.

    Args:
        run: A run at any stage.
    """
    return len(_files(run))


def runtime_name(runtime: str) -> str:
    """Return the name by which a runtime's makers call it.

    Args:
        runtime: Name in the registry.
    """
    return _RUNTIMES.get(runtime, runtime)


def _files(run: RunData) -> Sequence[str | None]:
    """List the names of the teachers' copies; None for logits. Runs of early versions list none, and had Keras only."""
    return [entry["file"] for entry in run.manifest.get("teachers", [])] or ["teacher.keras"]


def _kind(file: str, index: int) -> str:
    suffix = Path(file).suffix
    return _KINDS.get(suffix, (suffix, suffix))[index]
