"""Moments at which a command kills itself: at its n-th change to the file system, or at a step of its work."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink", "shutil.rmtree")
_WRITING = os.O_WRONLY | os.O_RDWR


def arm(moment: dict[str, Any]) -> None:
    """Arm this process: {"change": n}, {"phase": name, "step": n}, or {"count": file} to only count changes."""
    if "phase" in moment:
        _arm_steps(moment["phase"], moment["step"])
    else:
        _arm_changes(moment)


def _arm_steps(phase: str, step: int) -> None:
    from kdcompress.cli._terminal import Terminal

    began, stepped = Terminal.begin, Terminal.step
    now = {"phase": ""}

    def begin(self: Any, name: str, total: int, done: int = 0) -> None:
        now["phase"] = name
        began(self, name, total, done)

    def at_step(self: Any, done: int, parts: Any) -> None:
        if now["phase"] == phase and done >= step:
            os.kill(os.getpid(), signal.SIGKILL)
        stepped(self, done, parts)

    Terminal.begin, Terminal.step = begin, at_step


def _arm_changes(moment: dict[str, Any]) -> None:
    seen = {"changes": 0, "busy": False}
    me = os.getpid()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if seen["busy"] or os.getpid() != me or not _changes(event, arguments):
            return
        seen["changes"] += 1
        if "count" in moment:
            seen["busy"] = True
            with open(moment["count"], "w", encoding="utf-8") as out:  # noqa: PTH123
                out.write(str(seen["changes"]))
            seen["busy"] = False
        elif seen["changes"] == moment["change"]:
            os.kill(me, signal.SIGKILL)

    sys.addaudithook(hook)


def _changes(event: str, arguments: tuple[Any, ...]) -> bool:
    if event != "open":
        return event in _CHANGES
    _, mode, flags = arguments
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(isinstance(flags, int) and flags & _WRITING)
