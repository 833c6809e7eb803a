"""Models that teach and are trained here: kept in the cache, and gone on with where their training was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kdcompress.cache import cache_dir, delete_entry, lock_entry
from kdcompress.data import Samples
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import RunError
from kdcompress.files import sync
from kdcompress.leftovers import is_partial, remove_path
from kdcompress.models import model_digest, save_model
from kdcompress.progress import Progress
from kdcompress.runs import artefacts
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.training.checkpoints import Row, TrainingState
from kdcompress.training.features import delete_features
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import train_phase
from kdcompress.training.phase import FEATURES_FOLDER, Phase

Key = dict[str, Any]  # everything that a trained model depends on, as JSON values
OnHistory = Callable[[list[Row]], None]
_KIND, _MODEL = "teachers", "teacher.keras"


def checkpoint_in(part: Path) -> Path:
    """Return the path of the checkpoint of a training.

    Args:
        part: Folder of the unfinished entry.
    """
    return part / "checkpoint.npz"


def train_or_load(
    key: Key,
    name: str,
    progress: Progress,
    on_history: OnHistory,
    train: Callable[[Path], None],
    load: Callable[[Path], Any],
) -> Any:
    """Load a trained model from the cache, or train it and put it there.

    An interrupted training is resumed after its last complete epoch, by whichever run needs the model next.

    Args:
        key: The key of its entry.
        name: Role and model, for notes.
        progress: Listener.
        on_history: Called with the history, one row per epoch.
        train: Writes the entry to a folder, with `train_into`.
        load: Opens the model file.

    Returns:
        What `load` returns.
    """
    with lock_entry(_KIND, json_digest(key), progress) as folder:
        if (rows := _read_history(folder, key, progress)) is not None:
            progress.note(f"{name}: trained before, taken from the cache ({len(rows)} epochs)")
            on_history(rows)
            for note in _read_meta(folder).get("start", []):
                progress.note(note)
        else:
            part = folder.with_name(f"{folder.name}.part")
            part.mkdir(parents=True, exist_ok=True)
            train(part)
            part.rename(folder)
            sync(folder.parent)
        return load(folder / _MODEL)


def train_into(
    part: Path,
    key: Key,
    phase: Phase,
    model: Any,
    feed: Feed,
    val: Samples,
    progress: Progress,
    on_history: OnHistory,
    notes: Sequence[str] = (),
) -> None:
    """Train a model, and write its cache entry.

    Args:
        part: Folder of the unfinished entry.
        key: The key of the entry.
        phase: The training, with the checkpoint `checkpoint_in` the folder.
        model: The model with its initial weights.
        feed: Training data.
        val: Validation samples.
        progress: Listener.
        on_history: Called with the history, one row per epoch.
        notes: What was told of its initial weights, to be told again.
    """
    _clean_up(phase, progress)
    state = train_phase(phase, model, feed, val, progress, on_history)
    save_model(model, part / _MODEL)
    digests = {"sha256": sha256_of(part / _MODEL), "digest": model_digest(model)}
    write_sealed(part / "meta.json", {"key": key, **digests, "rows": state.rows, "start": list(notes)})
    delete_features(part / FEATURES_FOLDER)  # before the checkpoint, which may still be needed
    phase.checkpoint.unlink()


def cached_digest(key: Key) -> str | None:
    """Return the digest of a trained model in the cache, or None if there is none.

    Args:
        key: The key of its entry.
    """
    try:
        return str(_read_meta(cache_dir(_KIND) / json_digest(key))["digest"])
    except (OSError, ValueError, KeyError):
        return None


def _read_history(folder: Path, key: Key, progress: Progress) -> list[Row] | None:
    """The history of a cache entry; None if there is no entry or, after a warning, if it was damaged and deleted."""
    if not folder.exists():
        return None
    try:
        meta = _read_meta(folder)
        if meta["key"] == key and meta["sha256"] == sha256_of(folder / _MODEL):
            rows: list[Row] = meta["rows"]
            return rows
    except (ValueError, KeyError, TypeError, OSError):
        pass
    progress.warn(f"cached teacher {folder.name[:12]} does not match what it claims to be: refused, training anew")
    delete_entry(folder, artefacts.TEACHERS)
    return None


def _read_meta(folder: Path) -> dict[str, Any]:
    return read_sealed(folder / "meta.json", ("key", "sha256", "digest", "rows", "start"))


def _clean_up(phase: Phase, progress: Progress) -> None:
    """Delete partial files of a killed training, and its checkpoint if it is damaged."""
    for leftover in filter(is_partial, phase.checkpoint.parent.iterdir()):
        remove_path(leftover)
    try:
        TrainingState.load(phase.checkpoint, phase.key)
    except RunError:
        progress.warn(
            f"the checkpoint of an interrupted {phase.name} training is damaged: refused, training from the start"
        )
        phase.checkpoint.unlink()
