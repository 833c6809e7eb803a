"""Zoo teachers, trained once for a recipe, data, split and seed, and kept in the cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.config.initialization import Initialization
from kdcompress.config.recipe import Recipe
from kdcompress.config.sections import SingleTeacherSection
from kdcompress.data import Split
from kdcompress.digests import content_digest, json_digest
from kdcompress.methods import Method
from kdcompress.models import load_model, load_saved_model, seed_everything
from kdcompress.pipeline.trained import cached_digest, checkpoint_in, train_into, train_or_load
from kdcompress.progress import Progress
from kdcompress.remote import local_path
from kdcompress.teachers import OutputSpec
from kdcompress.training.checkpoints import Row
from kdcompress.training.feed import Feed
from kdcompress.training.phase import Phase

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
        return self.split.with_labels(self.section.labels)

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
        return cached_digest(self.key)

    def train_or_load(self, spec: OutputSpec, progress: Progress, on_history: Callable[[list[Row]], None]) -> Any:
        """Load the trained model from the cache, or train it and put it there.

        Args:
            spec: Images and outputs that are required.
            progress: Listener.
            on_history: Called with the history, one row per epoch.

        Returns:
            The trained Keras model.
        """

        def train(part: Path) -> None:
            self._train(part, spec, progress, on_history)

        name = f"teacher {self.section.model}"
        return train_or_load(self.key, name, progress, on_history, train, load_saved_model)

    def _train(self, part: Path, spec: OutputSpec, progress: Progress, on_history: Callable[[list[Row]], None]) -> None:
        """Train the model and write the cache entry to the folder `part`."""
        section, key = self.section, self.key
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
        phase = Phase("teacher", json_digest(key), method, section.training, checkpoint_in(part))
        train_into(part, key, phase, model, self._feed(method), self.seen.val, progress, on_history, notes)

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
