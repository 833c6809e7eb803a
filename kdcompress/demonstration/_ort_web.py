"""The runtime of the page: the WebAssembly build of onnxruntime-web, of one version, known by its hashes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kdcompress.errors import MissingExtraError, UsageError
from kdcompress.files import read_json
from kdcompress.paths import check_regular_file

VERSION = "1.30.0"
CDN = "cdn"
MODULE, BINARY = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
PACKAGE = Path("node_modules/onnxruntime-web")
INSTALL = f"npm install onnxruntime-web@{VERSION}"
ADDRESS = f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/"
# SHA-384 of the files in the npm package's dist/, as browsers take them
_HASHES = {
    MODULE: "PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG",
    BINARY: "vjBJ1z7qrhkTyYsNqKeF6c7N+nOJSU94czEo+tvZcu8G75JparGq9kB+kTnEUNVM",
}
_SIZES = {MODULE: 73_054, BINARY: 14_239_897}


@dataclass(frozen=True)
class WebRuntime:
    """The runtime of a page.

    Attributes:
        address: Folder of its files: relative to the page, or that of the public CDN.
        files: Their contents by name; empty if the page loads them from the CDN.
    """

    address: str
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """Whether the page loads it from elsewhere."""
        return not self.files

    @property
    def bytes(self) -> int:
        """Size of the files."""
        return sum(_SIZES.values())

    def facts(self) -> dict[str, object]:
        """Return what the page needs to load it."""
        return {
            "version": VERSION,
            "remote": self.remote,
            "bytes": self.bytes,
            "module": {"url": self.address + MODULE, "integrity": f"sha384-{_HASHES[MODULE]}"},
            "binary": {"url": self.address + BINARY, "integrity": f"sha384-{_HASHES[BINARY]}"},
        }


def find_web_runtime(choice: str | Path | None, working_folder: Path) -> WebRuntime:
    """Find the runtime that a page shall use.

    Args:
        choice: Folder of the npm package, or its dist/; "cdn"; or None for the package in ./node_modules.
        working_folder: The current folder.

    Returns:
        The runtime, of the pinned version.

    Raises:
        MissingExtraError: Nothing was chosen, and ./node_modules has no such package.
        UsageError: The folder does not hold the files, or other ones.
    """
    if str(choice) == CDN:
        return WebRuntime(ADDRESS)
    folder = Path(choice) if choice is not None else working_folder / PACKAGE
    if choice is None and not folder.is_dir():
        raise MissingExtraError(
            f"the page needs onnxruntime-web {VERSION}, and ./{PACKAGE} is not there: `{INSTALL}` brings it, --ort-web "
            f"FOLDER names it elsewhere, and --ort-web {CDN} lets the page load it from a public server"
        )
    dist = folder / "dist" if (folder / "dist").is_dir() else folder
    return WebRuntime("ort/", {name: _read(dist / name, folder) for name in _HASHES})


def _read(path: Path, folder: Path) -> bytes:
    check_regular_file(path, UsageError)
    if not path.is_file():
        raise UsageError(
            f"{folder} must be the npm package onnxruntime-web or its dist/, and {path.name} is not in it; `{INSTALL}` "
            "brings it"
        )
    content = path.read_bytes() if path.stat().st_size == _SIZES[path.name] else b""
    if base64.b64encode(hashlib.sha384(content).digest()).decode() != _HASHES[path.name]:
        other = _found_version(path.parent.parent)
        raise UsageError(f"{path} is not that of onnxruntime-web {VERSION}{other}; `{INSTALL}` brings it")
    return content


def _found_version(package: Path) -> str:
    """Name the version that the package says it has, if it is another one."""
    try:
        version = str(read_json(package / "package.json", UsageError, "").get("version", ""))[:40]
    except (OSError, UsageError):
        return ""
    return f" but of {version}" if version not in ("", VERSION) else ""
