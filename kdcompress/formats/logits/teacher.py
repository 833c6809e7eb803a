"""Precomputed outputs as teachers: an npz file with `logits` (n, classes) and the `ids` (n,) of the images.

An `embedding` (n, width) may lie beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.sections import SingleTeacherSection, ViewsSection
from kdcompress.data import ArrayFile, Samples
from kdcompress.digests import json_digest, sha256_of
from kdcompress.errors import ModelError, RecipeError, TargetsError
from kdcompress.files import valid_utf8
from kdcompress.teachers import (
    N_INSPECTED,
    Embedder,
    OutputSpec,
    RowIndex,
    TargetRows,
    Teacher,
    inspect_outputs,
    make_input_adapter,
)

_BLOCK = 65536  # rows that are checked at once
_MAX_LISTED = 3  # ids in a message


class LogitsTeacher(Teacher):
    """Looks up logits of the data set's images by their ids; it has one view of each and accepts no other images."""

    suffixes = (".npz",)
    uses_images = False

    def __init__(self, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> None:
        file = ArrayFile(path)
        self.source, self.description = path, description
        self.adapter = make_input_adapter(section.preprocessing, None, spec, description)
        self._logits, named = file["logits"], file["ids"]
        if self._logits.ndim != 2 or self._logits.dtype.kind != "f" or named.shape != self._logits.shape[:1]:
            raise ModelError(
                f"{path}: logits must be floats (n, classes) and ids (n,), got {self._logits.dtype} "
                f"{self._logits.shape} and {named.shape}"
            )
        ids = file.load_text("ids", len(self._logits))
        assert ids is not None  # it was read above
        if not section.preprocessing.is_identity:
            raise RecipeError(f"{path} holds logits: there are no pixels that teacher.preprocessing could change")
        self._embeddings = file["embedding"] if "embedding" in file.names else None
        if self._embeddings is not None and (
            self._embeddings.dtype.kind != "f" or self._embeddings.ndim != 2 or len(self._embeddings) != len(ids)
        ):
            raise ModelError(
                f"{path}: embedding must be floats (n, width) for the {len(ids):,} ids, got {self._embeddings.dtype} "
                f"{self._embeddings.shape}"
            )
        self._check_finite(ids)
        # As files of ids spell them: names that are not UTF-8 have escapes there
        self._row = {valid_utf8(name): row for row, name in enumerate(ids.tolist())}
        if len(self._row) < len(ids):
            raise ModelError(f"{path}: ids name an image twice; each image has one row")
        self.digest = json_digest([sha256_of(path)])

    def _check_finite(self, ids: NDArray[np.str_]) -> None:
        arrays = {"logits": self._logits, "embedding": self._embeddings}
        for name, array in ((name, array) for name, array in arrays.items() if array is not None):
            for begin in range(0, len(ids), _BLOCK):
                bad = np.flatnonzero(~np.isfinite(array[begin : begin + _BLOCK]).all(axis=-1))
                if len(bad):
                    raise TargetsError(f"{self.source}: the {name} of {ids[begin + bad[0]]} are not finite")

    @classmethod
    def open(cls, path: Path, section: SingleTeacherSection, spec: OutputSpec, description: str) -> LogitsTeacher:
        """Load and check the npz file."""
        return cls(path, section, spec, description)

    def count_outputs(self) -> int:
        """Return the number of columns of the logits."""
        return int(self._logits.shape[1])

    @property
    def classes(self) -> int:
        """Number of the data set's classes that it has logits for."""
        count = 2 if self.single_output else int(self._logits.shape[1])
        return count if self.adapter.columns is None else len(self.adapter.columns)

    def run(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Raise TargetsError, since logits are looked up by id and not computed from pixels."""
        raise TargetsError(f"{self.description} is a file of logits, and knows no image but those whose ids it names")

    def of_ids(self, ids: NDArray[np.str_]) -> NDArray[np.float32]:
        """Look up logits.

        Args:
            ids: IDs of images, (n,).

        Returns:
            Logits in the data set's order of classes, (n, classes).
        """
        return self.to_logits(np.asarray(self._logits[self._rows_of(ids)], np.float32))

    def _rows_of(self, ids: NDArray[np.str_]) -> list[int]:
        return [self._row[valid_utf8(name)] for name in ids.tolist()]

    def open_embedder(self, name: str | None) -> Embedder:
        """Name the array of embeddings, which are looked up by id and not computed from pixels."""
        if self._embeddings is None or name not in (None, "embedding"):
            raise ModelError(
                f"{self.source} has no embeddings of the images: put an array `embedding` (n, width) beside `logits`"
            )
        return Embedder("embedding", self.run)

    def stored_embeddings(self, samples: Samples) -> TargetRows:
        """Return the embeddings of the samples as an array that is read by row."""
        embeddings, rows = self._embeddings, np.asarray(self._rows_of(samples.ids), np.int64)
        assert embeddings is not None  # `open_embedder` has been called
        return _Rows(lambda index: np.asarray(embeddings[rows[index]], np.float32), len(rows), embeddings.shape[1])

    def predict(self, samples: Samples) -> NDArray[np.float32]:
        """Look up the logits of the samples by their ids."""
        return self.of_ids(samples.ids)

    def stored_logits(self, samples: Samples) -> TargetRows:
        """Return the logits of the samples as an array that is read by row."""
        return _Rows(lambda index: self.of_ids(samples.ids[index]), len(samples), self.classes)

    def set_reading(self, section: SingleTeacherSection, samples: Samples) -> None:
        """Decide by rows spread over the whole file how its numbers are read."""
        rows = np.unique(np.linspace(0, len(self._logits) - 1, N_INSPECTED).astype(int))
        self.reading = inspect_outputs(self._logits[rows], kind=section.outputs, description=self.description)

    def check_samples(self, ids: NDArray[np.str_], views: ViewsSection) -> None:
        """Check that the file has logits for exactly these ids, and that there is one view of each image."""
        if views.count > 1:
            raise TargetsError(
                f"{self.description} has logits of the images themselves, not of further views: views.count must be 1"
            )
        names = set(map(valid_utf8, ids.tolist()))
        for problem, affected in (("lacks", names - set(self._row)), ("has surplus", set(self._row) - names)):
            if affected:
                listed = ", ".join(sorted(affected)[:_MAX_LISTED])
                more = f" and {len(affected) - _MAX_LISTED:,} more" if len(affected) > _MAX_LISTED else ""
                raise TargetsError(
                    f"{self.source} {problem} ids: {listed}{more}; it must name each image of train, validation and "
                    "test once (`kdcompress data check RECIPE --ids FILE` writes their ids)"
                )

    def save_copy(self, path: Path) -> None:
        """Do nothing, since there is no model to copy."""


class _Rows:
    """Stored outputs of some images by row index."""

    def __init__(self, look_up: Callable[[Any], NDArray[np.float32]], n: int, width: int) -> None:
        self._look_up = look_up
        self.shape = (n, 1, width)

    def __getitem__(self, index: RowIndex) -> NDArray[np.float32]:
        return self._look_up(index[0])


TEACHER = LogitsTeacher
