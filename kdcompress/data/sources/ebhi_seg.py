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
from kdcompress.registry import did_you_mean

CLASSES = ("Normal", "Polyp", "Low-grade IN", "High-grade IN", "Serrated adenoma", "Adenocarcinoma")
_FIGSHARE = "figshare, 10.6084/m9.figshare.21540159 (CC BY 4.0)"
_TEST_EVERY = 5  # one case in five is in test


class EbhiSeg(ImageFiles):
    """EBHI-Seg as published: CLASS/image/NAME and CLASS/label/NAME.png, in the folder or in EBHI-SEG/ below it.

    The test part is fixed by a hash of the case (the part of a name before the first dash), so that a case is on one
    side and never moves; `test_fraction` and `split_seed` are rejected. A sample's id is class folder and file name.

    Attributes:
        classes: Classes to use, in order.
    """

    classes: tuple[str, ...] | None = CLASSES

    @field_validator("test_fraction", "split_seed")
    @classmethod
    def _fixed(cls, value: float, info: ValidationInfo) -> float:
        if value != cls.model_fields[str(info.field_name)].default:
            raise ValueError("has no say: the test part of EBHI-Seg is fixed by a hash of the case")
        return value

    def listing(self, progress: Progress) -> Listing:
        """List the tiles; see `ImageFiles.listing`."""
        root = self._root()
        listed = Listing(root, [], [], [], [], ids=[])
        assert listed.groups is not None and listed.ids is not None
        for kind in self.classes or CLASSES:
            for path in find_images([_folder(root, kind) / "image"], progress):
                case = path.name.partition("-")[0]
                listed.names.append(path.relative_to(root).as_posix())
                listed.labels.append(kind)
                listed.parts.append(part_of(case))
                listed.groups.append(case)
                listed.ids.append(f"{kind}/{path.name}")
        return listed

    def mask(self, sample: str) -> NDArray[np.bool_]:
        """Read the segmentation mask of a sample.

        Args:
            sample: Id of the sample.

        Returns:
            (H, W), True on the diagnosed tissue.

        Raises:
            DataError: If there is none.
        """
        kind, _, name = sample.partition("/")
        folder = _folder(self._root(), kind) / "label"
        path = safe_join(folder, f"{Path(name).stem}.png", f"mask of {sample[:200]!r}", DataError)
        if not is_file(path):
            raise DataError(f"mask {path} is missing")
        return read_mask(path)

    def download(self, progress: Progress) -> Path:
        """Raise DataError: no checksum is published that a download could be verified with."""
        raise DataError(
            f"EBHI-Seg is had from {_FIGSHARE}: unpack it, and name the folder that holds EBHI-SEG/ with --data-dir "
            "(or with KDCOMPRESS_DATA_DIR, if it is ebhi-seg/ in it)"
        )

    def _root(self) -> Path:
        """Return the folder that contains the class folders."""
        searched = list(self.search_folders("ebhi-seg"))
        for folder in searched:
            for root in (folder / "EBHI-SEG", folder):
                if any(is_folder(root / kind / "image") for kind in CLASSES):
                    return root
        raise DataError(
            f"no EBHI-Seg in {' or '.join(map(str, searched))}: expected {CLASSES[1]}/image/ and the like, "
            f"or EBHI-SEG/ with them; it is had from {_FIGSHARE}"
        )


DATASET = EbhiSeg


def part_of(case: str) -> str:
    """Assign a case to train or test by a hash of its name.

    Args:
        case: Name of the case.

    Returns:
        "test" for about one case in five, else "train".
    """
    digest = hashlib.sha256(case.encode("utf-8", "surrogatepass"))  # names may be other than UTF-8
    return "test" if int(digest.hexdigest(), 16) % _TEST_EVERY == 0 else "train"


def _folder(root: Path, kind: str) -> Path:
    if kind not in CLASSES:
        raise DataError(
            f"EBHI-Seg has no class {kind!r}{did_you_mean(kind, CLASSES)}; choose data.classes from "
            f"{', '.join(CLASSES)}"
        )
    if not is_folder(root / kind / "image"):
        raise DataError(f"{root / kind} has no folder image/; the published layout is CLASS/image/NAME")
    return root / kind
