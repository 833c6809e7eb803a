"""Answers to the desk: takes a bundle, has it run, tells how far it is, hands out its result, and cleans up.

Requests are lines of JSON on standard input, answers are marked lines of JSON on standard output.
"""

import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import select
import shutil
import sys
from pathlib import Path
from typing import Any

from kdcompress.device.remote.place import Place, describe
from kdcompress.device.remote.run import start

_BLOCK = 1 << 20
_POLL_S = 0.4
_KEEP = "keep"  # marks what an earlier call was told to keep


class _Gone(Exception):
    """The desk has gone."""


def main() -> None:
    """Answer requests until the desk closes the connection."""
    with contextlib.suppress(BrokenPipeError, _Gone):
        _answer({"python": list(sys.version_info[:3]), "system": os.name})
        for line in iter(sys.stdin.buffer.readline, b""):
            request = json.loads(line.decode())
            place = Place(request)
            try:
                _answer(_ACTIONS[request["do"]](place, request))
            except BrokenPipeError:
                raise
            except OSError as exc:
                _answer({"error": describe(exc, place)})


def _answer(document: "dict[str, Any]") -> None:
    """Answer in a line that is marked, since a login may print what it likes before."""
    sys.stdout.write(f"kdcompress {json.dumps(document)}\n")
    sys.stdout.flush()


def _look(place: Place, request: "dict[str, Any]") -> "dict[str, Any]":
    there = place.bundle.is_file() and place.bundle.stat().st_size == place.size
    existing = next(folder for folder in (place.root, *place.root.parents) if folder.exists())
    return {
        "state": place.state(),
        "whole": there and _sha256(place.bundle) == place.sha256,
        "installed": place.installed(),
        "modules": [name for name in request["modules"] if importlib.util.find_spec(name)],
        "free": shutil.disk_usage(str(existing)).free,
        "folder": str(place.root),
    }


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def _copy(place: Place, request: "dict[str, Any]") -> "dict[str, Any]":
    """Take the bundle from standard input; it is there whole or not at all."""
    place.make()
    part, left = place.folder / f"{os.getpid()}.part", place.size
    try:
        with part.open("wb") as stream:
            while left:
                block = sys.stdin.buffer.read(min(left, _BLOCK))
                if not block:
                    raise _Gone
                stream.write(block)
                left -= len(block)
        if _sha256(part) != place.sha256:
            return {"error": f"{place.bundle} was damaged on its way"}
        part.replace(place.bundle)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
        if not place.bundle.exists():
            _remove_unused(place, place.folder)
    return {}


def _follow(place: Place, request: "dict[str, Any]") -> "dict[str, Any]":
    """Hand out the lines of the log until the run has ended."""
    with place.log.open("rb") as log:
        log.seek(0, os.SEEK_SET if request["from_start"] else os.SEEK_END)
        rest = b""
        while True:
            running = place.state() == "running"
            *lines, rest = (rest + log.read()).split(b"\n")
            for line in lines:
                _answer({"line": line.decode("utf-8", "replace")})
            if not running:
                break
            if select.select([0], [], [], _POLL_S)[0]:
                raise _Gone
    return {"end": json.loads(place.end.read_text()) if place.end.exists() else None}


def _fetch(place: Place, request: "dict[str, Any]") -> "dict[str, Any]":
    content = place.result.read_bytes() if place.result.is_file() else b""
    return {"result": base64.b64encode(content).decode()}


def _finish(place: Place, request: "dict[str, Any]") -> "dict[str, Any]":
    """Remove the run and, if all went well and nothing is to be kept, whatever was put here for it."""
    shutil.rmtree(str(place.run), ignore_errors=True)
    if request["keep"]:
        for folder in (place.folder, place.environment):
            if folder.exists():
                (folder / _KEEP).touch()
    elif request["done"]:
        _remove_unused(place, place.folder, place.environment)
    return {}


def _remove_unused(place: Place, *folders: Path) -> None:
    """Remove folders unless they are to be kept or in use, and what they are in if it is empty then."""
    lock = place.lock()
    if lock is None:
        return
    for folder in folders:
        if not (folder / _KEEP).exists() and not any(folder.glob("run-*")):
            shutil.rmtree(str(folder), ignore_errors=True)
    made_cache = place.root / "made-cache"
    if not set(place.root.iterdir()) - {place.busy, made_cache}:
        made = made_cache.exists()
        shutil.rmtree(str(place.root), ignore_errors=True)
        with contextlib.suppress(OSError):  # others use it by now
            if made:
                place.root.parent.rmdir()
    os.close(lock)


_ACTIONS = {"look": _look, "copy": _copy, "start": start, "follow": _follow, "fetch": _fetch, "finish": _finish}
