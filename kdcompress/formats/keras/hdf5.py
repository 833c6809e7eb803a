"""HDF5 files from anywhere: plain numbers in the file itself, no more of them than are stored, and no links."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from kdcompress.errors import ModelError

_MOST_OBJECTS = 1_000_000
# Compressed weights shrink little; a file of zeros that claims more than this is a bomb
_MOST_TIMES, _SLACK = 100, 1 << 20
_NUMBERS = "fiub"


def check_hdf5(tree: Any, what: str) -> int:
    """The bytes of all data sets in an open HDF5 file, as they will be in memory.

    Errors: ModelError for a link of any kind (soft, external, of a user's), for data in other files (external storage,
    virtual data sets), for data that are no numbers, and for a size that is declared and not stored.
    """
    total = 0
    for name, item in _items(tree, what):
        if hasattr(item, "shape"):
            total += _bytes_of(name, item, what)
    return total


def _items(tree: Any, what: str) -> Iterator[tuple[str, Any]]:
    """Every object below a group, each once, however many names it has."""
    import h5py

    seen, waiting = {_address(tree)}, [("", tree)]
    while waiting:
        prefix, group = waiting.pop()
        for key in group:
            name = f"{prefix}/{key}"
            link = group.get(key, getlink=True)
            if not isinstance(link, h5py.HardLink):
                kind = type(link).__name__.replace("Link", "").lower()
                raise ModelError(f"{what} holds a link ({kind}) at {name[:80]!r}; weights must lie in the file itself")
            item = group[key]
            if (place := _address(item)) in seen:
                continue
            seen.add(place)
            if len(seen) > _MOST_OBJECTS:
                raise ModelError(f"{what} holds more than {_MOST_OBJECTS:,} objects; no model does")
            if isinstance(item, h5py.Group):
                waiting.append((name, item))
            yield name, item


def _address(item: Any) -> Any:
    import h5py

    facts = h5py.h5o.get_info(item.id)
    return facts.fileno, facts.addr


def _bytes_of(name: str, data: Any, what: str) -> int:
    """The bytes that a data set takes in memory; ModelError if the file does not hold them."""
    where = f"{what}: data set {name[:80]!r}"
    if data.external or data.is_virtual:
        raise ModelError(f"{where} lies in another file; weights must lie in the file itself")
    if data.shape is None:
        raise ModelError(f"{where} has no shape")
    text = data.dtype.metadata is not None and "vlen" in data.dtype.metadata
    if data.dtype.kind not in _NUMBERS and not (data.dtype.kind in "SO" and (text or data.dtype.kind == "S")):
        raise ModelError(f"{where} holds {data.dtype}, and no numbers")
    declared = math.prod(data.shape) * data.dtype.itemsize
    stored = data.id.get_storage_size()
    packed = data.id.get_create_plist().get_nfilters() > 0
    most = max(_SLACK, _MOST_TIMES * stored) if packed else stored
    if declared > most:
        raise ModelError(f"{where} claims {declared:,} bytes {data.shape}, and the file stores {stored:,} of it")
    return int(declared)
