"""Colorectal polyps, 224x224 RGB, HP or SSA, with the votes of 7 pathologists (MHIST, Wei et al. 2021; on request)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import PositiveInt

from kdcompress.cache import cache_dir
from kdcompress.data.base import Dataset, DatasetSource
from kdcompress.data.duplicates import quality_notice
from kdcompress.data.filesystem import is_file
from kdcompress.data.mhist.files import MhistFiles, image_folder, inspect_files
from kdcompress.data.mhist.origin import SYNTHETIC_NOTICE, describe_difference, request_instructions, synthetic_origin
from kdcompress.data.mhist.summary import check_leakage, pixel_digests, summary_lines
from kdcompress.data.mhist.table import PARTS, TABLE, Annotations, read_annotations
from kdcompress.data.mhist.votes import CLASSES, soft_labels, subclasses_from_votes, votes_by_class
from kdcompress.data.samples import Samples
from kdcompress.data.stores import FileImages
from kdcompress.errors import DataError
from kdcompress.progress import Progress


class Mhist(DatasetSource):
    """annotations.csv with images/ or images.zip, as the owners hand them out; a sample's id is its image's name.

    `size` (H or H, W) scales all images. `subclasses` makes known ones of the votes: "agreement" (unanimous and
    contested HP and SSA: 4) or "votes" (one of every number of votes: 8). `labels = "votes"` has the share of votes
    learned in place of the majority's label. `allow_duplicates` goes on where a test image is in train, too.
    """

    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    subclasses: Literal["none", "agreement", "votes"] = "none"
    labels: Literal["majority", "votes"] = "majority"
    allow_duplicates: bool = False

    def load(self, progress: Progress) -> Dataset:
        """The images of the named folder, KDCOMPRESS_DATA_DIR/mhist or the cache, checked, with votes beside them."""
        folder = self._folder(progress)
        listed = read_annotations(folder)
        origin = synthetic_origin(folder, listed.names.tolist())
        root = image_folder(folder, progress)
        files = inspect_files(root, folder / TABLE, listed, self.size is not None, progress)
        for note in (files.describe_conversions(), files.describe_unlisted()):
            if note:
                progress.note(note)
        dataset = self._dataset(folder, listed, files)
        digests = pixel_digests(dataset, files)
        if not self.allow_duplicates:
            check_leakage(dataset, digests)
        differs = describe_difference(dataset.parts, files.describe_sizes())
        mark = f"synthetic: {folder} ({origin})" if origin else f"{folder} (not the published MHIST)"
        said = [SYNTHETIC_NOTICE if origin else differs, quality_notice(dataset, digests)]
        source = mark if origin or differs else str(folder)
        return replace(dataset, source=source, notice="; ".join(filter(None, said)) or None)

    def download(self, progress: Progress) -> Path:
        """See DatasetSource.download; MHIST is handed out by its owners alone."""
        raise DataError(request_instructions())

    def summary(self, dataset: Dataset) -> list[str]:
        """See DatasetSource.summary; with the annotators' agreement and the state of the files."""
        return [*super().summary(dataset), *summary_lines(dataset)]

    def _folder(self, progress: Progress) -> Path:
        looked = []
        for folder in self.search_folders("mhist"):
            if is_file(folder / TABLE):
                return folder.resolve()
            looked.append(folder)
            if self.dir is None and not folder.is_relative_to(cache_dir()):
                progress.note(f"KDCOMPRESS_DATA_DIR is set, but there is no {TABLE} in {folder}")
        if self.dir is None:
            raise DataError(f"no MHIST in {' or '.join(map(str, looked))}: {request_instructions()}")
        deeper = next(looked[0].glob(f"*/{TABLE}"), None)
        hint = f"; is it {deeper.parent} that is meant?" if deeper else ", as MHIST has beside images/ or images.zip"
        raise DataError(f"{looked[0]} holds no {TABLE}{hint}")

    def _dataset(self, folder: Path, listed: Annotations, files: MhistFiles) -> Dataset:
        votes = votes_by_class(listed.ssa)
        finer, names = (None, None) if self.subclasses == "none" else subclasses_from_votes(listed.ssa, self.subclasses)
        soft = soft_labels(votes) if self.labels == "votes" else None
        images = FileImages(files.root, files.names, (*self._size(files), 3), files.rows["sha256"])
        every = Samples(images, listed.labels, files.names, None, finer, votes, soft)
        train, test = (every.take(np.flatnonzero(listed.parts == part)) for part in PARTS)
        for index, name in enumerate(CLASSES):
            if index not in train.labels:
                raise DataError(f"{folder / TABLE}: train has no image of class {name}; it needs both")
        return Dataset("mhist", str(folder), CLASSES, train, test, subclasses=names)

    def _size(self, files: MhistFiles) -> tuple[int, int]:
        if self.size is None:
            return int(files.rows["height"][0]), int(files.rows["width"][0])
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


DATASET = Mhist
