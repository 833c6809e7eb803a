"""Colorectal biopsy tiles, 224x224 RGB, in six classes with masks (EBHI-Seg, Shi, Li, Hu et al.; CC BY 4.0)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationInfo, field_validator

from kdcompress.data.filesystem import is_file, is_folder
from kdcompress.data.finding import find_images
from kdcompress.data.images import read_mask
from kdcompress.data.listing import ImageFiles, Listing
from kdcompress.errors import DataError
from kdcompress.paths import safe_join
from kdcompress.progress import Progress
from kdcompress.registry import suggestion

CLASSES = ("Normal", "Polyp", "Low-grade IN", "High-grade IN", "Serrated adenoma", "Adenocarcinoma")
_FIGSHARE = "figshare, 10.6084/m9.figshare.21540159 (CC BY 4.0)"
_ONE_IN = 5  # cases whose tiles are the test part


class EbhiSeg(ImageFiles):
    """The tiles as published: CLASS/image/NAME beside CLASS/label/NAME.png, in the folder or in EBHI-SEG/ below it.

    `classes` chooses some of the six, in an order of your own. The test part is fixed by a hash of the case (what
    stands before the first dash of a name), so that a case is on one side and never moves; `test_fraction` and
    `split_seed` have no say. A sample's id is its class folder and file name.
    """

    classes: tuple[str, ...] | None = CLASSES

    @field_validator("test_fraction", "split_seed")
    @classmethod
    def _fixed(cls, value: float, info: ValidationInfo) -> float:
        if value != cls.model_fields[str(info.field_name)].default:
            raise ValueError("has no say: the test part of EBHI-Seg is fixed by a hash of the case")
        return value

    def listing(self, progress: Progress) -> Listing:
        """See ImageFiles.listing."""
        root = self._root()
        listed = Listing(root, [], [], [], [], ids=[])
        assert listed.groups is not None and listed.ids is not None
        for kind in self.classes or CLASSES:
            for path in find_images([_folder(root, kind) / "image"]):
                case = path.name.partition("-")[0]
                listed.names.append(path.relative_to(root).as_posix())
                listed.labels.append(kind)
                listed.parts.append(part_of(case))
                listed.groups.append(case)
                listed.ids.append(f"{kind}/{path.name}")
        return listed

    def mask(self, sample: str) -> NDArray[np.bool_]:
        """The mask (H, W) of the sample with that id, True on the diagnosed tissue; DataError if there is none."""
        kind, _, name = sample.partition("/")
        folder = _folder(self._root(), kind) / "label"
        path = safe_join(folder, f"{Path(name).stem}.png", f"mask of {sample[:200]!r}", DataError)
        if not is_file(path):
            raise DataError(f"mask {path} is missing")
        return read_mask(path)

    def download(self, progress: Progress) -> Path:
        """See DatasetSource.download; its place has no checksum of its own to hold a download to."""
        raise DataError(
            f"EBHI-Seg is had from {_FIGSHARE}: unpack it, and name the folder that holds EBHI-SEG/ with --data-dir "
            "(or with KDCOMPRESS_DATA_DIR, if it is ebhi-seg/ in it)"
        )

    def _root(self) -> Path:
        """The folder of class folders."""
        looked = list(self.search_folders("ebhi-seg"))
        for folder in looked:
            for root in (folder / "EBHI-SEG", folder):
                if any(is_folder(root / kind / "image") for kind in CLASSES):
                    return root
        raise DataError(
            f"no EBHI-Seg in {' or '.join(map(str, looked))}: expected {CLASSES[1]}/image/ and the like, "
            f"or EBHI-SEG/ with them; it is had from {_FIGSHARE}"
        )


DATASET = EbhiSeg


def part_of(case: str) -> str:
    """The part that all tiles of a case are in: test for one case in five, by a hash of its name alone."""
    digest = hashlib.sha256(case.encode("utf-8", "surrogatepass"))  # of a name that is not UTF-8, too
    return "test" if int(digest.hexdigest(), 16) % _ONE_IN == 0 else "train"


def _folder(root: Path, kind: str) -> Path:
    if kind not in CLASSES:
        raise DataError(
            f"EBHI-Seg has no class {kind!r}{suggestion(kind, CLASSES)}; choose data.classes from {', '.join(CLASSES)}"
        )
    if not is_folder(root / kind / "image"):
        raise DataError(f"{root / kind} has no folder image/; the published layout is CLASS/image/NAME")
    return root / kind
