"""Zoo teachers, trained once for a recipe, data, split and seed, and kept in the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.cache import cache_dir, delete_entry, lock_entry
from kdcompress.config.initialization import Initialization
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import Split
from kdcompress.digests import content_digest, json_digest, sha256_of
from kdcompress.errors import RunError
from kdcompress.files import sync
from kdcompress.leftovers import is_partial, remove_path
from kdcompress.methods import Method
from kdcompress.models import load_model, load_saved_model, model_digest, save_model, seed_everything
from kdcompress.progress import Progress
from kdcompress.remote import local_path
from kdcompress.runs import artefacts
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.teachers import OutputSpec
from kdcompress.training.checkpoints import Row, TrainingState
from kdcompress.training.features import delete_features
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import train_phase
from kdcompress.training.phase import FEATURES_FOLDER, Phase

SCHEMA = 2


@dataclass(frozen=True)
class ZooTeacher:
    """A zoo model that is trained as a teacher.

    Attributes:
        recipe: The recipe.
        section: Settings of the teacher.
        split: Split of the data, with the labels that the recipe leaves.
        method: Method of the students, bound to the data's classes.
    """

    recipe: Recipe
    section: SingleTeacherSection
    split: Split
    method: Method

    @property
    def seen(self) -> Split:
        """The split with the labels by which this teacher is trained."""
        return self.split.with_all_labels if self.section.labels == "all" else self.split

    @property
    def key(self) -> dict[str, Any]:
        """Everything that the trained teacher depends on, as JSON values; the key of its cache entry."""
        method = self.method
        head = {} if method.plain else {"method": method.for_teacher().model_dump(mode="json"), "head": method.identity}
        return {
            "schema": SCHEMA,
            "teacher": self.section.model_dump(mode="json", include={"model", "weights", "seed", "training"}),
            "split": self.seen.fingerprint,
            "views": self.recipe.views.identity,
            "deterministic": self.recipe.deterministic,
            **head,
            **_initialization_key(self.section.initialization),
        }

    def cached_digest(self) -> str | None:
        """Return the digest of the trained model in the cache, or None if there is none."""
        try:
            return str(_read_meta(cache_dir("teachers") / json_digest(self.key))["digest"])
        except (OSError, ValueError, KeyError):
            return None

    def train_or_load(self, spec: OutputSpec, progress: Progress, on_history: Callable[[list[Row]], None]) -> Any:
        """Load the trained model from the cache, or train it and put it there.

        An interrupted training is resumed after its last complete epoch, by whichever run needs the model next.

        Args:
            spec: Images and outputs that are required.
            progress: Listener.
            on_history: Called with the history, one row per epoch.

        Returns:
            The trained Keras model.
        """
        key = self.key
        with lock_entry("teachers", json_digest(key), progress) as folder:
            if (rows := _read_history(folder, key, progress)) is not None:
                name = self.section.model
                progress.note(f"teacher {name}: trained before, taken from the cache ({len(rows)} epochs)")
                on_history(rows)
                for note in _read_meta(folder).get("start", []):
                    progress.note(note)
            else:
                part = folder.with_name(f"{folder.name}.part")
                part.mkdir(parents=True, exist_ok=True)
                self._train(part, key, spec, progress, on_history)
                part.rename(folder)
                sync(folder.parent)
            return load_saved_model(folder / "teacher.keras")

    def _train(
        self,
        part: Path,
        key: dict[str, Any],
        spec: OutputSpec,
        progress: Progress,
        on_history: Callable[[list[Row]], None],
    ) -> None:
        """Train the model and write the cache entry to the folder `part`."""
        section = self.section
        seed_everything(section.seed)
        notes: list[str] = []
        model = load_model(
            section.model,
            spec.input_shape,
            spec.n_outputs,
            "teacher",
            initialization=section.initialization,
            note=notes.append,
        )
        for note in notes:
            progress.note(note)
        method = self.method.for_teacher()
        phase = Phase("teacher", json_digest(key), method, section.training, part / "checkpoint.npz")
        _clean_up(phase, progress)
        state = train_phase(phase, model, self._feed(method), self.seen.val, progress, on_history)
        save_model(model, part / "teacher.keras")
        digests = {"sha256": sha256_of(part / "teacher.keras"), "digest": model_digest(model)}
        write_sealed(part / "meta.json", {"key": key, **digests, "rows": state.rows, "start": notes})
        delete_features(part / FEATURES_FOLDER)  # before the checkpoint, which may still be needed
        phase.checkpoint.unlink()

    def _feed(self, method: Method) -> Feed:
        train, training = self.seen.train, self.section.training
        return Feed(
            train,
            self.recipe.views,
            None,
            training.batch_size,
            self.section.seed,
            extra_labels=method.extra_labels(train.labels, train.subclasses),
            weigh=training.weighs_classes,
            balanced=training.balances_batches,
        )


def _initialization_key(initialization: Initialization) -> dict[str, Any]:
    """The part of the key for an initialization other than the default: the content of a weights file, not its path."""
    if initialization == Initialization():
        return {}
    file = initialization.weights_file
    return {"start": [content_digest(local_path(file)) if file else initialization.pretrained, initialization.width]}


def _read_history(folder: Path, key: dict[str, Any], progress: Progress) -> list[Row] | None:
    """The history of a cache entry; None if there is no entry or, after a warning, if it was damaged and deleted."""
    if not folder.exists():
        return None
    try:
        meta = _read_meta(folder)
        if meta["key"] == key and meta["sha256"] == sha256_of(folder / "teacher.keras"):
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
        progress.warn("the checkpoint of an interrupted teacher training is damaged: refused, training from the start")
        phase.checkpoint.unlink()
