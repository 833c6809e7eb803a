"""images.zip of MHIST, unpacked into the user cache: safely, once, whole or not at all."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from kdcompress.cache import lock_entry
from kdcompress.data.finding import is_image_path
from kdcompress.data.resolving import PathResolver
from kdcompress.digests import sha256_of
from kdcompress.errors import DataError, error_text
from kdcompress.files import move_into_place
from kdcompress.leftovers import remove_path
from kdcompress.npy import READ_ERRORS
from kdcompress.npz import SUPPORTED_COMPRESSION, open_zip
from kdcompress.progress import Progress

# The published images take less than 400 MB; images hardly shrink when they are zipped
MAX_BYTES = 4 << 30
MAX_TIMES = 100
MAX_FILES = 100_000
_SMALL = 1 << 20  # bytes up to which a zip file may be of what shrinks well


def extract_archive(archive: Path, folder: str, progress: Progress) -> Path:
    """The folder in the cache that holds the images of a zip file; what leads to `folder`/ in names is taken off.

    It is named by the zip file's content, so that another zip file makes another folder. Errors: DataError for a zip
    file that is damaged, locked by a password, leads out of its folder, or unpacks to more than images would.
    """
    with lock_entry("data", f"mhist-images-{sha256_of(archive)[:16]}", progress) as place:
        if place.is_dir():
            return place
        part = place.with_name(f"{place.name}.part")  # what a killed run left of it goes first
        remove_path(part)
        try:
            with open_zip(archive) as opened:
                members = _members(opened, archive, folder, PathResolver(part))
                _unpack(opened, members, part, progress)
            move_into_place(part, place)
        except OSError as exc:
            raise DataError(f"{archive} cannot be unpacked into {place} ({exc.strerror or exc})") from exc
        except READ_ERRORS as exc:
            raise DataError(f"{archive} is damaged, locked or no zip file ({error_text(exc)}); get it anew") from exc
        finally:
            remove_path(part)
        return place


def _members(opened: zipfile.ZipFile, archive: Path, folder: str, inside: PathResolver) -> dict[str, zipfile.ZipInfo]:
    """The images in a zip file by the path that they get; anything wrong with any entry refuses the whole file."""
    infos = opened.infolist()
    _refuse_bomb(archive, len(infos), sum(info.file_size for info in infos))
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if info.compress_type not in SUPPORTED_COMPRESSION:
            raise DataError(f"{archive}: {info.filename[:80]!r} is packed neither stored nor deflated; pack it anew")
        path = _inside(info.filename, archive, folder)
        if (
            info.is_dir()
            or not is_image_path(Path(path.name))
            or any(part.startswith((".", "__")) for part in path.parts)
        ):
            continue
        name = inside.resolve(str(path), f"{archive}: entry {info.filename[:80]!r}")
        if name in found:
            raise DataError(f"{archive}: {name} is in it twice; pack one of them")
        found[name] = info
    if not found:
        raise DataError(f"{archive} holds no images")
    return found


def _refuse_bomb(archive: Path, count: int, size: int) -> None:
    most = min(MAX_BYTES, MAX_TIMES * max(_SMALL, archive.stat().st_size))
    if size > most or count > MAX_FILES:
        raise DataError(
            f"{archive} would unpack to {size:,} bytes in {count:,} files, above {most:,} or {MAX_FILES:,}: a zip "
            "bomb, or not the images; unpack it yourself if you trust it"
        )


def _inside(name: str, archive: Path, folder: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or any(ord(letter) < 32 for letter in name):
        raise DataError(f"{archive}: entry {name[:80]!r} leads out of the folder, or is no name; nothing was unpacked")
    return PurePosixPath(*path.parts[path.parts.index(folder) + 1 :]) if folder in path.parts[:-1] else path


def _unpack(opened: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], part: Path, progress: Progress) -> None:
    progress.begin("unpacking images", len(members))
    try:
        for done, (path, info) in enumerate(members.items(), start=1):
            target = part / path
            target.parent.mkdir(parents=True, exist_ok=True)
            # No more than the size it claims is read of an entry, so that the sum that was checked holds
            with opened.open(info) as source, target.open("xb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            progress.step(done, {})
    finally:
        progress.end()
