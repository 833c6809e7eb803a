"""TFLite files that are cut, spoilt, or say odd things of themselves."""

from __future__ import annotations

import os
import shutil

from trust.commands import FILES
from trust.place import Place
from trust.registry import kind

_AT = "bad.tflite"
_HONEST = "run/exports/student-fp32.tflite"


def _honest(place: Place) -> bytes:
    return (place.work / _HONEST).read_bytes()


@kind("tflite-metadata-garbage", "metadata: no JSON, of the same length", at=_AT, commands=FILES)
def _(place: Place) -> None:
    content = _honest(place)
    at = content.index(b'"student_digest"')
    (place.work / _AT).write_bytes(content[:at] + b"\x00\xff{]" * 4 + content[at + 16 :])


@kind("tflite-metadata-types", "metadata: classes of other types", at=_AT, commands=FILES)
def _(place: Place) -> None:
    content = _honest(place)
    (place.work / _AT).write_bytes(content.replace(b'"classes"', b'"CLASSES"').replace(b'"input"', b'"iNput"'))


@kind("tflite-ansi", "escape sequences among the names of classes", at=_AT, commands=("predict", "verify", "bench"))
def _(place: Place) -> None:
    content = _honest(place)
    at = content.index(b'"0"')
    (place.work / _AT).write_bytes(content[: at + 1] + b"\x1b" + content[at + 2 :])


@kind("tflite-truncated", "a file cut in half", at=_AT, commands=FILES, refused=FILES)
def _(place: Place) -> None:
    content = _honest(place)
    (place.work / _AT).write_bytes(content[: len(content) // 2])


@kind("tflite-garbage", "random bytes behind the right magic", at=_AT, commands=FILES, refused=FILES)
def _(place: Place) -> None:
    import numpy as np

    (place.work / _AT).write_bytes(b"\x1c\x00\x00\x00TFL3" + np.random.default_rng(0).bytes(5000))


@kind("tflite-offsets", "offsets that lead far out of the file", at=_AT, commands=FILES, refused=FILES)
def _(place: Place) -> None:
    content = bytearray(_honest(place))
    content[0:4] = (0x7FFFFFF0).to_bytes(4, "little")
    (place.work / _AT).write_bytes(content)


@kind("tflite-fifo", "a FIFO in place of a model", at=_AT, commands=FILES, refused=FILES)
def _(place: Place) -> None:
    os.mkfifo(place.work / _AT)


@kind("honest-tflite", "nothing: a control", at=_AT, commands=FILES, sound=True)
def _(place: Place) -> None:
    shutil.copy(place.work / _HONEST, place.work / _AT)
