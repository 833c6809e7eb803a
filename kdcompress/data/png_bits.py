"""Detection of 16-bit PNG files that store the numbers of a camera of fewer bits unscaled."""

from __future__ import annotations

import struct
from typing import IO

import numpy as np
from PIL import Image

_SIGNATURE = 8  # bytes
_MAX_CHUNKS = 1000  # before the pixels
_MAX_BITS = 14  # with 15, unscaled numbers look like scaled ones


def find_unscaled_white(image: Image.Image) -> int | None:
    """Find the number that is white in a grey 16-bit PNG file whose numbers have fewer bits.

    The chunk sBIT holds the number of bits. Encoders are to scale the numbers to 16 bits all the same, and many do not.
    A scaled number below 2**bits has nothing in the bits that scaling adds, except for rounding up by one.

    Args:
        image: The opened image, of which pixels are decoded only if it has the chunk.

    Returns:
        The number, or None if the numbers are scaled, as far as can be told, or there is no such chunk.
    """
    bits = _read_significant_bits(getattr(image, "fp", None))
    if bits is None or not 1 <= bits <= _MAX_BITS:
        return None
    values = np.asarray(image)
    is_unscaled = values.max() < 2**bits and (values % 2 ** (16 - bits)).max() > 1
    return 2**bits - 1 if is_unscaled else None


def _read_significant_bits(file: IO[bytes] | None) -> int | None:
    """Read the chunk sBIT of a grey PNG file, and restore the file's position."""
    if file is None:
        return None
    position = file.tell()
    try:
        file.seek(_SIGNATURE)
        for _ in range(_MAX_CHUNKS):
            head = file.read(8)
            if len(head) < 8:
                return None
            length, name = struct.unpack(">I4s", head)
            if name == b"sBIT":
                content = file.read(1)
                return content[0] if length == 1 and content else None
            if name == b"IDAT":
                return None
            file.seek(length + 4, 1)  # with the checksum
        return None
    finally:
        file.seek(position)
