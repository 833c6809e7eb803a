"""Arrays in npy and npz files, memory-mapped where possible; nothing is unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.data.checksums import check_crc_once
from kdcompress.data.filesystem import exists, is_file, is_folder
from kdcompress.errors import DataError, error_text
from kdcompress.npy import READ_ERRORS, HoldsObjectsError, map_array
from kdcompress.npz import open_npz
from kdcompress.progress import Progress

_KINDS = "biufSUM"  # dtype kinds that can be converted to text: booleans, numbers, text, dates


class ArrayFile:
    """The arrays of an npz file by name, or the npy files of a folder by stem, read on access.

    Uncompressed arrays (as `np.savez` and `np.save` write them) are memory-mapped, compressed ones are loaded; the CRCs
    of npz files are checked. Reading raises DataError for a missing or damaged array.

    Args:
        path: npz file, or folder of npy files.
        progress: Is notified before a large array is read.
    """

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        self.path, self._progress = path, progress or Progress()
        self._is_folder = is_folder(path)
        if self._is_folder:
            self.names = sorted(item.stem for item in path.glob("*.npy") if is_file(item))
            return
        if not is_file(path):
            raise DataError(f"{path} does not exist" if not exists(path) else f"{path} is no file")
        try:
            with open_npz(path) as npz:
                self.names = sorted(npz.members)
        except READ_ERRORS as exc:
            hint = "" if path.suffix == ".npz" else "; save arrays in one: np.savez('images.npz', x=images, y=labels)"
            hint = "; of npy files name the folder, which holds x.npy and y.npy" if path.suffix == ".npy" else hint
            raise DataError(f"{path} is truncated, damaged or no npz file ({error_text(exc)}){hint}") from exc

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.names:
            existing = ", ".join(self.names)[:200]
            raise DataError(f"{self.path} has no array {name!r}; it has {existing or 'none'}")
        where = f"{self.path}: array {name!r}"
        try:
            return self._load(name)
        except HoldsObjectsError as exc:
            raise DataError(f"{where} {str(exc).removeprefix('it ')}") from exc
        except READ_ERRORS as exc:
            raise DataError(f"{where} is truncated or damaged ({error_text(exc)})") from exc

    def load_text(self, name: str, n: int) -> NDArray[np.str_] | None:
        """Read an array of one value per image as text.

        Args:
            name: Name of the array.
            n: Number of images.

        Returns:
            Text, (n,); None if there is no such array.

        Raises:
            DataError: If it has another shape or type.
        """
        if name not in self:
            return None
        array = self[name]
        # Checked before the conversion, which needs many times the memory
        if array.shape != (n,) or array.dtype.kind not in _KINDS:
            rule = f"{self.path}: {name} must be ({n},), one for each image"
            raise DataError(f"{rule}, got {array.shape}" if array.shape != (n,) else f"{rule}, of text or numbers")
        return decode_text(array, f"{self.path}: {name}")

    def _load(self, name: str) -> NDArray[Any]:
        if self._is_folder:
            file = self.path / f"{name}.npy"
            with file.open("rb") as opened:
                return map_array(opened, file.stat().st_size)
        with open_npz(self.path) as npz:
            if npz.members[name].compress_type != zipfile.ZIP_STORED:
                return npz.load(name)
            check_crc_once(npz, name, self.path, self._progress)
            return npz.memory_map(name)


def decode_text(array: NDArray[Any], source: str) -> NDArray[np.str_]:
    """Convert an array to text; bytes are UTF-8.

    Args:
        array: Text, bytes, numbers or dates.
        source: File and array, for messages.

    Returns:
        Text, of the same shape.

    Raises:
        DataError: If bytes are no UTF-8.
    """
    try:
        return np.char.decode(array, "utf-8") if array.dtype.kind == "S" else np.asarray(array).astype(str)
    except UnicodeDecodeError as exc:
        raise DataError(f"{source} holds bytes that are no text; save text (dtype U)") from exc
