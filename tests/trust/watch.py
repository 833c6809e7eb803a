"""What a command may not do: leave a marker, or change anything beside the folders that are its own to write."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

State = dict[str, str]


def snapshot(root: Path, but: Collection[Path] = ()) -> State:
    """Kind and content of everything below `root` by its path, but for what lies in `but`; links are not followed."""
    left_out = {str(path) for path in but}
    return {str(path.relative_to(root)): _state(path) for path in _walk(root, left_out)}


def _walk(folder: Path, left_out: set[str]) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.path in left_out:
            continue
        yield Path(entry.path)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), left_out)


def _state(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if stat.S_ISDIR(mode):
        return "folder"
    if not stat.S_ISREG(mode):
        return f"special {stat.S_IFMT(mode):o}"
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def changes(before: State, now: State) -> list[str]:
    """What differs between two snapshots, a line each."""
    gone = [f"deleted {name}" for name in sorted(before.keys() - now.keys())]
    made = [f"made {name}" for name in sorted(now.keys() - before.keys())]
    other = [f"changed {name}" for name in sorted(before.keys() & now.keys()) if before[name] != now[name]]
    return [*gone, *other, *made]
