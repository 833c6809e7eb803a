"""Folders of images with odd names, sizes and kinds."""

from __future__ import annotations

import os
import struct
import zlib

from trust.commands import DATA, IMAGES
from trust.hostile.data_files import folder_of, images_of
from trust.place import Place
from trust.registry import kind

_AT = "set"
_BOTH = (*DATA, *IMAGES)


@kind("images-ansi-names", "escape sequences in names of images", at=_AT, commands=("images", *DATA, *IMAGES[1:]))
def _(place: Place) -> None:
    images_of(place, ("a\x1b[2J\x1b]0;owned\x07.png", "b\u202egnp.exe.png", "c\nkdcompress: all is well.png"))


@kind(
    "images-bytes-names",
    "names of images that are no UTF-8",
    at=_AT,
    commands=("images-csv", *DATA, "images", *IMAGES[2:]),
)
def _(place: Place) -> None:
    images_of(place, (b"caf\xe9.png", b"\xff\xfe.png"))


@kind("images-ansi-class", "escape sequences in names of classes", at=_AT, commands=_BOTH)
def _(place: Place) -> None:
    images_of(place, classes=("a\x1b[2J", "b\u202e", *"01234567"))


@kind("images-fifo", "a FIFO among images", at=_AT, commands=_BOTH)
def _(place: Place) -> None:
    os.mkfifo(images_of(place) / "0" / "fifo.png")


@kind("images-loop", "a link to the folder above", at=_AT, commands=_BOTH)
def _(place: Place) -> None:
    images = images_of(place)
    (images / "0" / "again").symlink_to(images)
    (images / "loop").symlink_to("loop")


@kind("images-link-out", "an image that is a link to a file outside", at=_AT, commands=_BOTH)
def _(place: Place) -> None:
    (images_of(place) / "0" / "secret.png").symlink_to(place.outside / "canary.txt")


def _png(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
        + chunk(b"IEND", b"")
    )


@kind("images-bomb", "an image of 60,000 x 60,000 pixels in 1 kB", at=_AT, commands=_BOTH)
def _(place: Place) -> None:
    (images_of(place) / "0" / "huge.png").write_bytes(_png(60_000, 60_000))


@kind("images-text-bomb", "a text chunk of 1 GB in an image", at=_AT, commands=_BOTH)
def _(place: Place) -> None:
    packed = zlib.compress(bytes(1 << 30), 1)
    content = b"Comment\x00\x00" + packed
    good = _png(28, 28)
    chunk = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    (images_of(place) / "0" / "text.png").write_bytes(good[:33] + chunk + good[33:])


@kind("images-group-redos", "a regular expression for groups that takes for ever", at=_AT, commands=DATA)
def _(place: Place) -> None:
    images_of(place, ("a" * 60 + "!.png",))
    folder_of(place, "folder", dir="images", group="^0/(a+a+)+$|^.*[0-9].png$|!")


@kind("images-postscript", "a PostScript program named .png", at=_AT, commands=_BOTH)
def _(place: Place) -> None:
    program = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n({place.mark('ps')}) (w) file closefile\nshowpage\n"
    (images_of(place) / "0" / "program.png").write_bytes(program.encode())


@kind("honest-images", "nothing: a control", at=_AT, commands=("check",), sound=True)
def _(place: Place) -> None:
    images_of(place)
