"""What a bundle holds besides its code: model files, test images, and the outputs expected of each file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.errors import KDCompressError

DOCUMENT = "bundle.json"
IMAGES = "data/images.npz"
EXPECTED = "data/expected.npz"
CODE = "code"
FORMAT = 1


@dataclass(frozen=True)
class BundledFile:
    """A model file in a bundle.

    Attributes:
        name: student or teacher.
        path: Its path in the bundle.
        shown_path: Its path in results: relative to the run, or a name for a teacher's.
        suffix: Suffix, such as .onnx.
        precision: Precision, if known.
        sha256: Of the file.
        size_bytes: Size, with the external weights of an ONNX model.
        images: Key of its inputs in `IMAGES`.
        expected: Key of the outputs in `EXPECTED` that it gave where the bundle was made.
    """

    name: str
    path: str
    shown_path: str
    suffix: str
    precision: str | None
    sha256: str
    size_bytes: int
    images: str
    expected: str


@dataclass(frozen=True)
class Contents:
    """Contents of a bundle.

    Attributes:
        kdcompress: Version of kdcompress that made it.
        run: Name of the run.
        student_digest: Digest of the run's student.
        inputs: Description of the images.
        packages: Version of each runtime's package where the bundle was made.
        files: The model files.
        format: Version of this description.
    """

    kdcompress: str
    run: str
    student_digest: str
    inputs: str
    packages: dict[str, str]
    files: tuple[BundledFile, ...]
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the text of `DOCUMENT`."""
        return json.dumps(asdict(self), indent=1)

    @property
    def summary(self) -> dict[str, Any]:
        """What a result keeps of its bundle: whose files it measured."""
        files = [{"path": file.shown_path, "name": file.name, "sha256": file.sha256} for file in self.files]
        return {
            "kdcompress": self.kdcompress, "run": self.run, "student_digest": self.student_digest, "files": files,
        }  # fmt: skip


def read_contents(folder: Path) -> tuple[Contents, dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Read an unpacked bundle.

    Args:
        folder: Folder that it was unpacked to.

    Returns:
        (contents, images by key, expected outputs by key).

    Raises:
        KDCompressError: The bundle is of a later version, or incomplete.
    """
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise KDCompressError(f"this bundle has format {document['format']}, and its runner knows {FORMAT}")
        files = tuple(BundledFile(**file) for file in document.pop("files"))
        contents = Contents(**document, files=files)
        images, expected = (_arrays(folder / name) for name in (IMAGES, EXPECTED))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise KDCompressError(f"the bundle is incomplete ({exc}); make it again with `kdcompress bundle`") from exc
    return contents, images, expected


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}
