"""Safe, atomic extraction of MHIST's images.zip into the cache."""

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

# The published images take less than 400 MB; zip hardly compresses images
MAX_BYTES = 4 << 30
MAX_RATIO = 100
MAX_FILES = 100_000
_SMALL = 1 << 20  # bytes of a zip file up to which the limit of unpacked bytes stays the same


def extract_archive(archive: Path, folder: str, progress: Progress) -> Path:
    """Extract the images of a zip file into the cache, unless that was done before.

    Args:
        archive: The zip file, by whose digest the folder in the cache is named.
        folder: Folder inside the zip file; names are relative to it.
        progress: Receives progress.

    Returns:
        The folder in the cache.

    Raises:
        DataError: If the zip file is damaged or encrypted, has names outside its folder, or unpacks to too many bytes.
    """
    with lock_entry("data", f"mhist-images-{sha256_of(archive)[:16]}", progress) as target:
        if target.is_dir():
            return target
        part = target.with_name(f"{target.name}.part")  # may be left from a killed run
        remove_path(part)
        try:
            with open_zip(archive) as opened:
                members = _members(opened, archive, folder, PathResolver(part))
                _unpack(opened, members, part, progress)
            move_into_place(part, target)
        except OSError as exc:
            raise DataError(f"{archive} cannot be unpacked into {target} ({exc.strerror or exc})") from exc
        except READ_ERRORS as exc:
            raise DataError(f"{archive} is damaged, locked or no zip file ({error_text(exc)}); get it anew") from exc
        finally:
            remove_path(part)
        return target


def _members(opened: zipfile.ZipFile, archive: Path, folder: str, resolver: PathResolver) -> dict[str, zipfile.ZipInfo]:
    """Return the images in a zip file by their target paths; one invalid entry makes the whole file invalid."""
    infos = opened.infolist()
    _check_size(archive, len(infos), sum(info.file_size for info in infos))
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        if info.compress_type not in SUPPORTED_COMPRESSION:
            raise DataError(f"{archive}: {info.filename[:80]!r} is packed neither stored nor deflated; pack it anew")
        path = _relative_name(info.filename, archive, folder)
        if (
            info.is_dir()
            or not is_image_path(Path(path.name))
            or any(part.startswith((".", "__")) for part in path.parts)
        ):
            continue
        name = resolver.resolve(str(path), f"{archive}: entry {info.filename[:80]!r}")
        if name in members:
            raise DataError(f"{archive}: {name} is in it twice; pack one of them")
        members[name] = info
    if not members:
        raise DataError(f"{archive} holds no images")
    return members


def _check_size(archive: Path, count: int, size: int) -> None:
    limit = min(MAX_BYTES, MAX_RATIO * max(_SMALL, archive.stat().st_size))
    if size > limit or count > MAX_FILES:
        raise DataError(
            f"{archive} would unpack to {size:,} bytes in {count:,} files, above {limit:,} or {MAX_FILES:,}: a zip "
            "bomb, or not the images; unpack it yourself if you trust it"
        )


def _relative_name(name: str, archive: Path, folder: str) -> PurePosixPath:
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
            # zipfile reads no more than an entry's declared size, so the total that was checked is not exceeded
            with opened.open(info) as source, target.open("xb") as out:
                shutil.copyfileobj(source, out, 1 << 20)
            progress.step(done, {})
    finally:
        progress.end()
