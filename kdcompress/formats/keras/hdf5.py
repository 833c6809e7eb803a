"""Check of untrusted HDF5 files: they may hold only numbers that are stored in the file itself, and no links."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from kdcompress.errors import ModelError

_MAX_OBJECTS = 1_000_000
# Trained weights compress little: a higher ratio is a decompression bomb
_MAX_COMPRESSION, _SLACK = 100, 1 << 20
_NUMERIC_KINDS = "fiub"
_BFLOAT16 = "|V2"  # HDF5 has no such type: Keras stores two bytes a number, and the name of the type


def check_hdf5(tree: Any, source: str) -> int:
    """Check an HDF5 file.

    Args:
        tree: The open file.
        source: Name of the file in errors.

    Returns:
        Bytes of all datasets in memory.

    Raises:
        ModelError: The file has links (soft, external or user-defined), data in other files (external storage or
            virtual datasets), non-numeric data, or datasets larger than what is stored.
    """
    total = 0
    for name, item in _items(tree, source):
        if hasattr(item, "shape"):
            total += _dataset_bytes(name, item, source)
    return total


def _items(tree: Any, source: str) -> Iterator[tuple[str, Any]]:
    """Iterate over all objects below a group, each once, even if it has several names."""
    import h5py

    seen, pending = {_address(tree)}, [("", tree)]
    while pending:
        prefix, group = pending.pop()
        for key in group:
            name = f"{prefix}/{key}"
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                kind = type(link).__name__.replace("Link", "").lower()
                raise ModelError(
                    f"{source} holds a link ({kind}) at {name[:80]!r}; weights must be stored in the file itself"
                )
            item = group[key]
            if (address := _address(item)) in seen:
                continue
            seen.add(address)
            if len(seen) > _MAX_OBJECTS:
                raise ModelError(f"{source} holds more than {_MAX_OBJECTS:,} objects; no model does")
            if isinstance(item, h5py.Group):
                pending.append((name, item))
            yield name, item


def _address(item: Any) -> Any:
    import h5py

    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def _dataset_bytes(name: str, data: Any, source: str) -> int:
    """Return the bytes of a dataset in memory, after checking that the file stores them."""
    label = f"{source}: data set {name[:80]!r}"
    if data.external or data.is_virtual:
        raise ModelError(f"{label} is stored in another file; weights must be stored in the file itself")
    if data.shape is None:
        raise ModelError(f"{label} has no shape")
    is_bfloat16 = data.dtype.str == _BFLOAT16 and data.attrs.get("dtype") == "bfloat16"
    text = data.dtype.metadata is not None and "vlen" in data.dtype.metadata
    is_text = data.dtype.kind == "S" or (data.dtype.kind == "O" and text)
    if data.dtype.kind not in _NUMERIC_KINDS and not is_text and not is_bfloat16:
        if data.dtype.str == _BFLOAT16:
            raise ModelError(f"{label} holds bytes without a type, as .h5 files do of bfloat16; save it as .keras")
        raise ModelError(f"{label} holds {data.dtype}, and no numbers")
    declared = math.prod(data.shape) * data.dtype.itemsize
    stored = data.id.get_storage_size()
    compressed = data.id.get_create_plist().get_nfilters() > 0
    limit = max(_SLACK, _MAX_COMPRESSION * stored) if compressed else stored
    if declared > limit:
        raise ModelError(f"{label} claims {declared:,} bytes {data.shape}, and the file stores {stored:,} of it")
    return int(declared)
