"""Linear probes: a head on the embedding of a network that has no classes of its own, fitted on labelled images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress import registry
from kdcompress.cache import cache_dir, delete_entry, lock_entry
from kdcompress.config.sections import SingleTeacherSection, ViewsSection
from kdcompress.data import Samples, Split
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import ModelError, RecipeError, TargetsError
from kdcompress.files import sync
from kdcompress.metrics.classification import accuracy
from kdcompress.metrics.softmax import cross_entropy
from kdcompress.progress import Progress
from kdcompress.runs import artefacts
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.teachers import EMBEDDING, Classifier, OutputSpec, Teacher, compute_targets, open_teacher, target_key

SCHEMA = 1
_MAX_SAMPLES = 20_000  # of which a head is fitted
_STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # C of the logistic regression, chosen on validation
_MAX_ITERATIONS = 2000
_ONE_VIEW = ViewsSection()


def with_own_head(section: SingleTeacherSection) -> SingleTeacherSection:
    """Return the settings of an encoder that has got a head: a classifier with one input and one output.

    Args:
        section: Settings of the encoder.
    """
    changes: dict[str, Any] = {"probe": False, "embedding": None, "input": None, "output": None, "constants": {}}
    return section.model_copy(update={**changes, "outputs": "logits"})


def check_probe(section: SingleTeacherSection) -> None:
    """Check that the settings of a teacher go with a probe.

    Args:
        section: Settings of the teacher.

    Raises:
        RecipeError: They do not.
    """
    if registry.contains("models", section.model):
        raise RecipeError(
            f"teacher.probe fits a head to a network without one, and {section.model} is a zoo model, which is trained "
            "with its own: leave teacher.probe out"
        )
    if section.preprocessing.classes is not None:
        raise RecipeError(
            "teacher.preprocessing.classes names outputs, and a probe has those of the data: leave it out"
        )


@dataclass(frozen=True)
class ProbedTeacher:
    """An encoder that becomes a teacher by a linear head, kept in the cache.

    Attributes:
        encoder: The encoder, opened as a teacher.
        section: Its settings.
        spec: Images and outputs that are required.
        split: Split of the data.
    """

    encoder: Teacher
    section: SingleTeacherSection
    spec: OutputSpec
    split: Split

    @property
    def key(self) -> dict[str, Any]:
        """Everything that the probe depends on, as JSON values; the key of its cache entry."""
        return {"probe": SCHEMA, **target_key(self.encoder, self.split.fingerprint, _ONE_VIEW, EMBEDDING)}

    def is_cached(self) -> bool:
        """Whether the probe has been fitted before."""
        return (cache_dir("probes") / json_digest(self.key) / "meta.json").is_file()

    def open(self, progress: Progress) -> Teacher:
        """Open the encoder with its head, which is fitted first if it is not in the cache.

        Args:
            progress: Listener.

        Returns:
            The teacher, whose embedding is that of the encoder.

        Raises:
            RecipeError: The settings do not go with a probe.
            TargetsError: A class has no image to fit the head on.
            ModelError: The encoder cannot be written with a head.
        """
        check_probe(self.section)
        with lock_entry("probes", json_digest(self.key), progress) as folder:
            path = _read(folder, self.key)
            if path is None:
                self.encoder.check_head()
                path = self._fit(folder, progress)
            else:
                progress.note(f"{self.encoder.description}: its head was fitted before, taken from the cache")
        return open_teacher(path, with_own_head(self.section), self.spec, self.encoder.description)

    def _fit(self, folder: Path, progress: Progress) -> Path:
        train, val = _labelled(self.split.train), self.split.val
        n_classes = len(self.spec.classes)
        if missing := sorted(set(range(n_classes)) - set(train.labels.tolist())):
            raise TargetsError(
                f"a probe needs an image of every class, and there is none of {self.spec.classes[missing[0]]} to fit it"
            )
        if self.encoder.adapter.section.is_identity:  # no check tells: embeddings have no right and wrong
            progress.note(
                f"{self.encoder.description} gets pixels of 0 to 255 as they are, which is right for a network that "
                "scales them itself; teacher.preprocessing (scale, mean, std) says otherwise"
            )
        embeddings = self._embed(train, "train", progress)
        head, strength = fit_head(embeddings, train.labels, self._embed(val, "val", progress), val.labels)
        delete_entry(folder, artefacts.PROBES)
        part = folder.with_name(f"{folder.name}.part")
        part.mkdir(parents=True, exist_ok=True)
        path = self.encoder.write_with_head(part / "probe", head)
        sync(path)
        write_sealed(part / "meta.json", {"key": self.key, "file": path.name, "sha256": sha256_of(path)})
        part.rename(folder)
        sync(folder.parent)
        right = accuracy(self._embed(val, "val", progress) @ head.kernel + head.bias, val.labels)
        progress.note(
            f"{self.encoder.description}: a linear head fitted on {len(train):,} embeddings of "
            f"{embeddings.shape[1]} numbers ({self.encoder.embedder.layer}, C = {strength:g}), right on "
            f"{100 * right:.2f} % of {len(val):,} validation images"
        )
        return folder / path.name

    def _embed(self, samples: Samples, part: str, progress: Progress) -> NDArray[np.float32]:
        """The embeddings of samples, from the cache of targets."""
        fingerprint = json_digest([self.split.fingerprint, part, _MAX_SAMPLES])
        targets = compute_targets(self.encoder, samples, fingerprint, _ONE_VIEW, progress, target=EMBEDDING)
        return np.asarray(targets.arrays[EMBEDDING][slice(None), 0], np.float32)


def fit_head(
    train: NDArray[np.float32], labels: NDArray[np.int64], val: NDArray[np.float32], val_labels: NDArray[np.int64]
) -> tuple[Classifier, float]:
    """Fit a logistic regression on standardized embeddings, with the strength that is best on validation.

    Args:
        train: Embeddings (n, width).
        labels: Class indices (n,), each class at least once.
        val: Embeddings (m, width).
        val_labels: Class indices (m,).

    Returns:
        (the head on embeddings as they are, inverse strength C of the L2 penalty with the lowest cross-entropy).
    """
    from sklearn.linear_model import LogisticRegression

    mean, std = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    std = np.where(std > 0, std, 1.0)
    best: tuple[float, Classifier, float] | None = None
    for strength in _STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=_MAX_ITERATIONS).fit((train - mean) / std, labels)
        kernel, bias = model.coef_.T, model.intercept_
        if kernel.shape[1] == 1:  # of two classes, the log-odds of the second
            kernel, bias = np.hstack([np.zeros_like(kernel), kernel]), np.hstack([0.0, bias])
        kernel = kernel / std[:, None]
        head = Classifier(kernel.astype(np.float32), (bias - mean @ kernel).astype(np.float32))
        loss = cross_entropy(val @ head.kernel + head.bias, val_labels)
        if best is None or loss < best[0]:
            best = loss, head, strength
    assert best is not None
    return best[1], best[2]


def _labelled(samples: Samples) -> Samples:
    """At most `_MAX_SAMPLES` of the samples, spread evenly."""
    if len(samples) <= _MAX_SAMPLES:
        return samples
    return samples.take(np.unique(np.linspace(0, len(samples) - 1, _MAX_SAMPLES).astype(int)))


def _read(folder: Path, key: dict[str, Any]) -> Path | None:
    """The file of a cache entry; None if there is none, or it has changed."""
    try:
        meta = read_sealed(folder / "meta.json", ("key", "file", "sha256"))
        path = folder / str(meta["file"])
        named = artefacts.PROBES.files.fullmatch(path.name) and meta["key"] == key
        whole = named and meta["sha256"] == sha256_of(path)
    except (OSError, ValueError, KeyError, TypeError, ModelError):
        return None
    return path if whole else None
