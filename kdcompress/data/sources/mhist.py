"""Colorectal polyps, 224x224 RGB, HP or SSA, with the votes of 7 pathologists (MHIST, Wei et al. 2021; on request)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import PositiveInt

from kdcompress.cache import cache_dir
from kdcompress.config.images import ImageSettings, Resize
from kdcompress.data.base import Dataset, DatasetSource
from kdcompress.data.duplicates import quality_notice
from kdcompress.data.filesystem import is_file
from kdcompress.data.mhist.files import MhistFiles, image_folder, inspect_files
from kdcompress.data.mhist.origin import SYNTHETIC_NOTICE, describe_difference, request_instructions, synthetic_origin
from kdcompress.data.mhist.summary import check_leakage, summary_lines
from kdcompress.data.mhist.table import PARTS, TABLE, Annotations, read_annotations
from kdcompress.data.mhist.votes import CLASSES, soft_labels, subclasses_from_votes, votes_by_class
from kdcompress.data.resizing import note_distorted
from kdcompress.data.samples import Samples
from kdcompress.data.stores import FileImages
from kdcompress.errors import DataError
from kdcompress.progress import Progress


class Mhist(DatasetSource):
    """MHIST as published: annotations.csv with images/ or images.zip. A sample's id is the name of its image.

    Attributes:
        size: H or (H, W) to which all images are resized.
        resize: How another aspect ratio is resized: squash (the default), crop or pad.
        subclasses: Known subclasses from the votes: "agreement" (unanimous and contested, 4 in all) or "votes" (one for
            every number of votes, 8 in all).
        labels: "majority", or "votes" to learn the distribution of votes.
        allow_duplicates: Whether test images may also be in train.
    """

    size: PositiveInt | tuple[PositiveInt, PositiveInt] | None = None
    resize: Resize | None = None
    subclasses: Literal["none", "agreement", "votes"] = "none"
    labels: Literal["majority", "votes"] = "majority"
    allow_duplicates: bool = False

    def load(self, progress: Progress) -> Dataset:
        """Load from the user's folder, KDCOMPRESS_DATA_DIR/mhist or the cache; see `DatasetSource.load`."""
        folder = self._folder(progress)
        listed = read_annotations(folder)
        origin = synthetic_origin(folder, listed.names.tolist())
        root = image_folder(folder, progress)
        files = inspect_files(root, folder / TABLE, listed, self.size is not None, progress)
        for note in (files.describe_conversions(), files.describe_unlisted()):
            if note:
                progress.note(note)
        dataset = self._dataset(folder, listed, files)
        if self.resize in (None, "squash"):
            note_distorted(files.names, files.rows, dataset.input_shape, progress)
        if not self.allow_duplicates:
            check_leakage(dataset)
        difference = describe_difference(dataset.parts, files.describe_sizes())
        marked = f"synthetic: {folder} ({origin})" if origin else f"{folder} (not the published MHIST)"
        notices = [SYNTHETIC_NOTICE if origin else difference, quality_notice(dataset)]
        source = marked if origin or difference else str(folder)
        return replace(dataset, source=source, notice="; ".join(filter(None, notices)) or None)

    def download(self, progress: Progress) -> Path:
        """Raise DataError: MHIST must be requested from its owners."""
        raise DataError(request_instructions())

    def summary(self, dataset: Dataset) -> list[str]:
        """Describe the data set, with the annotators' agreement and the state of the files."""
        return [*super().summary(dataset), *summary_lines(dataset)]

    def _folder(self, progress: Progress) -> Path:
        searched = []
        for folder in self.search_folders("mhist"):
            if is_file(folder / TABLE):
                return folder.resolve()
            searched.append(folder)
            if self.dir is None and not folder.is_relative_to(cache_dir()):
                progress.note(f"KDCOMPRESS_DATA_DIR is set, but there is no {TABLE} in {folder}")
        if self.dir is None:
            raise DataError(f"no MHIST in {' or '.join(map(str, searched))}: {request_instructions()}")
        nested = next(searched[0].glob(f"*/{TABLE}"), None)
        hint = f"; is it {nested.parent} that is meant?" if nested else ", as MHIST has beside images/ or images.zip"
        raise DataError(f"{searched[0]} holds no {TABLE}{hint}")

    def _dataset(self, folder: Path, listed: Annotations, files: MhistFiles) -> Dataset:
        votes = votes_by_class(listed.ssa)
        subclasses, names = (
            (None, None) if self.subclasses == "none" else subclasses_from_votes(listed.ssa, self.subclasses)
        )
        shares = soft_labels(votes) if self.labels == "votes" else None
        settings = ImageSettings(resize=self.resize or "squash")
        images = FileImages(files.root, files.names, (*self._size(files), 3), files.rows, settings)
        samples = Samples(images, listed.labels, files.names, None, subclasses, votes, shares)
        train, test = (samples.take(np.flatnonzero(listed.parts == part)) for part in PARTS)
        for index, name in enumerate(CLASSES):
            if index not in train.labels:
                raise DataError(f"{folder / TABLE}: train has no image of class {name}; it needs both")
        return Dataset("mhist", str(folder), CLASSES, train, test, subclasses=names, image_settings=settings)

    def _size(self, files: MhistFiles) -> tuple[int, int]:
        if self.size is None:
            return int(files.rows["height"][0]), int(files.rows["width"][0])
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


DATASET = Mhist
