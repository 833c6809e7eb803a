"""Images on their way to a worker: files and memory-mapped arrays travel by name, and are read where they are used."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def register_maps(ray: Any) -> None:
    """Let memory-mapped arrays travel as the place in their file.

    Args:
        ray: The module.
    """
    ray.util.register_serializer(np.memmap, serializer=describe_map, deserializer=open_map)


def describe_map(array: Any) -> dict[str, Any]:
    """Describe where an array lies.

    Args:
        array: np.memmap, whole or sliced.

    Returns:
        `file`, `offset`, `dtype` and `shape`; `pixels` where it is no contiguous part of a file.
    """
    if getattr(array, "filename", None) is None or not array.flags.c_contiguous or array.dtype.hasobject:
        return {"pixels": np.array(array)}
    # The attribute `offset` of a slice is that of the whole array
    first = array.offset - array.offset % mmap.ALLOCATIONGRANULARITY
    begin = np.frombuffer(array._mmap, np.uint8).ctypes.data
    offset = first + array.ctypes.data - begin
    return {"file": str(array.filename), "offset": offset, "dtype": array.dtype.str, "shape": array.shape}


def open_map(where: dict[str, Any]) -> NDArray[Any]:
    """Open what `describe_map` described.

    Args:
        where: The description.

    Returns:
        The array.
    """
    if "pixels" in where:
        return np.asarray(where["pixels"])
    return np.memmap(where["file"], where["dtype"], "r", where["offset"], where["shape"])
