"""Making of a bundle: a zipapp with model files, test images, expected outputs, and the code that runs them."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress import registry
from kdcompress._version import __version__
from kdcompress.benchmarking import make_runtime, runtimes_for
from kdcompress.benchmarking._run_lineup import of_run
from kdcompress.benchmarking._subjects import Lineup, Subject
from kdcompress.bundling._code import START, device_modules
from kdcompress.bundling._request import BundleRequest
from kdcompress.device.contents import CODE, DOCUMENT, EXPECTED, IMAGES, BundledFile, Contents
from kdcompress.device.parity import outputs_of
from kdcompress.digests import content_digest
from kdcompress.errors import RunError
from kdcompress.files import write_atomically
from kdcompress.models import external_files
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import named, source_of
from kdcompress.versions import versions

_SHEBANG = b"#!/usr/bin/env python3\n"
_DATE = (1980, 1, 1, 0, 0, 0)  # the same for all, so that the same content gives the same bytes
_MODE = 0o644 << 16  # permissions of unpacked files


@dataclass
class _Parts:
    """Parts of a bundle.

    Attributes:
        files: Description of each model file.
        sources: Path on disk by path in the bundle.
        images: Inputs by key; files that take the same inputs share them.
        expected: Outputs by key.
    """

    files: list[BundledFile] = field(default_factory=list)
    sources: dict[str, Path] = field(default_factory=dict)
    images: dict[str, NDArray[Any]] = field(default_factory=dict)
    expected: dict[str, NDArray[Any]] = field(default_factory=dict)

    def add(self, subject: Subject) -> None:
        """Add a model file, and run it on its images."""
        number = len(self.files)
        folder = f"models/{number}"
        for file in [subject.path] if subject.path.is_file() else sorted(subject.path.iterdir()):
            self.sources[f"{folder}/{file.relative_to(subject.path.parent).as_posix()}"] = file
        if subject.path.suffix == ".onnx":
            for file in external_files(subject.path):
                self.sources[f"{folder}/{file.relative_to(subject.path.parent).as_posix()}"] = file
        shown = subject.shown_path if subject.name != "teacher" else f"teacher{subject.path.suffix}"
        self.files.append(
            BundledFile(
                subject.name,
                f"{folder}/{subject.path.name}",
                shown,
                subject.path.suffix,
                subject.precision,
                content_digest(subject.path),
                subject.size_bytes,
                self._images_key(subject),
                str(number),
            )
        )
        self.expected[str(number)] = outputs_of(subject.runtime, subject.path, subject.images)

    def _images_key(self, subject: Subject) -> str:
        for key, images in self.images.items():
            if images.dtype == subject.images.dtype and np.array_equal(images, subject.images):
                return key
        key = str(len(self.images))
        self.images[key] = subject.images
        return key


def make_bundle(
    run: RunFolder, request: BundleRequest, out: Path, data_dir: Path | None, progress: Progress
) -> dict[str, Any]:
    """Write a bundle of a run's exports and teacher.

    Args:
        run: Folder of a run with exports.
        request: Options.
        out: The bundle.
        data_dir: Folder of the data set, if it has moved.
        progress: Receives notes.

    Returns:
        The document that `kdcompress bundle --json` prints.

    Raises:
        RunError: There are no such exports, or one of them is missing or was modified.
        MissingExtraError: A runtime is not installed.
        DataError: The data set cannot be loaded.
    """
    lineup = of_run(
        run, request.bench, data_dir, progress, n_images=request.images, precisions=request.precisions
    )  # fmt: skip
    parts = _collect(lineup, request)
    runtimes = sorted({subject.runtime for subject in lineup.subjects})
    digest = run.manifest()["files"].get("student.keras", {}).get("digest")
    if not digest:
        raise RunError(f"run {run.path} has no student; `kdcompress distill --fresh` makes it anew")
    packages = versions(*(make_runtime(name).package for name in runtimes))
    contents = Contents(__version__, named(run.path).name, digest, lineup.inputs, packages, tuple(parts.files))
    write_atomically(out, lambda path: _write(path, contents, parts))
    out.chmod(out.stat().st_mode | stat.S_IXUSR)
    return {
        "run": str(run.path),
        "bundle": str(out),
        "bytes": out.stat().st_size,
        "sha256": content_digest(out),
        "images": len(next(iter(parts.images.values()))),
        "runtimes": runtimes,
        "files": [
            {"name": file.name, "path": file.shown_path, "precision": file.precision, "bytes": file.size_bytes}
            for file in parts.files
        ],
        "skipped": [*lineup.skipped, *_missing(run, request, parts)],
    }


def _collect(lineup: Lineup, request: BundleRequest) -> _Parts:
    parts, seen = _Parts(), set()
    for subject in lineup.subjects:
        if subject.path in seen or (subject.name == "teacher" and not request.teacher):
            continue  # a file that is timed on several runtimes is there once
        seen.add(subject.path)
        parts.add(replace(subject, images=np.ascontiguousarray(subject.images)))
    return parts


def _missing(run: RunFolder, request: BundleRequest, parts: _Parts) -> list[str]:
    there = {file.precision for file in parts.files if file.name != "teacher"}
    return [
        f"{precision}: the run has no such export; `kdcompress export {source_of(run.path)} --precision {precision}` "
        "makes it, and `kdcompress bundle` then takes it"
        for precision in request.precisions
        if precision not in there
    ]


def _write(path: Path, contents: Contents, parts: _Parts) -> None:
    with path.open("wb") as stream:
        stream.write(_SHEBANG)
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            _add(archive, "__main__.py", START.read_bytes())
            _add(archive, DOCUMENT, contents.to_json().encode())
            for name, source in _code(parts).items():
                _add(archive, name, source.read_bytes())
            for name, arrays in ((IMAGES, parts.images), (EXPECTED, parts.expected)):
                _add(archive, name, _npz(arrays))
            for name, source in parts.sources.items():
                _add_file(archive, name, source)


def _code(parts: _Parts) -> dict[str, Path]:
    """Source by path in the bundle, of the runner and of all runtimes that may run the files on a device."""
    built_in, root = registry.built_in("runtimes"), START.parents[2]
    paths = [Path(file.path) for file in parts.files]
    runtimes = {built_in[name] for path in paths for name in runtimes_for(path, list(built_in))}
    modules = device_modules(sorted(runtimes)).values()
    return {f"{CODE}/{path.relative_to(root).as_posix()}": path for path in modules}


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    stream = io.BytesIO()
    keywords: Any = dict(arrays)  # NumPy's stubs take them for its own options
    np.savez(stream, **keywords)
    return stream.getvalue()


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, _MODE
    return info


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(_info(name), content)


def _add_file(archive: zipfile.ZipFile, name: str, source: Path) -> None:
    info = _info(name)
    info.file_size = source.stat().st_size  # tells whether the entry needs 64 bits
    with source.open("rb") as stream, archive.open(info, "w") as entry:
        while block := stream.read(1 << 20):
            entry.write(block)
