"""URLs of data and models: which are taken, and how they are shown."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from kdcompress.errors import KDCompressError

# Protocols, and the packages that speak them
PROTOCOLS = {
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "hf": "huggingface_hub",
    "https": "aiohttp",
    "http": "aiohttp",
    "memory": "fsspec",
}
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DIGEST = re.compile(r"sha256=([0-9a-f]{64})")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_INVISIBLE = re.compile(r"[\x00-\x20\x7f-\x9f]")
_MAX_CHARS = 2000


def is_url(text: str) -> bool:
    """Whether text is a URL, not a path.

    Args:
        text: A path, a URL, or the name of something.
    """
    return _URL.match(text) is not None


def check_local(path: Path, what: str, error: type[KDCompressError]) -> None:
    """Check that a folder into which results are written is none at a distance, which has no locks and no renaming.

    Args:
        path: The folder; pathlib has taken one slash of a URL away.
        what: What it is, for messages.
        error: Exception to raise.

    Raises:
        KDCompressError: As `error`, if it was a URL.
    """
    scheme, colon, _ = (path.parts[0] if path.parts else "").partition(":")
    if colon and scheme.lower() in PROTOCOLS:
        place = "/".join(path.parts[1:])
        raise error(
            f"{what} is a folder on this machine, got {show_url(f'{scheme}://{place}')}: take one here, and copy it "
            "when the command has ended (`aws s3 sync FOLDER URL`, or what your storage has)"
        )


def check_url(url: str, key: str, error: type[KDCompressError]) -> str:
    """Check the form of a URL; nothing is opened.

    Args:
        url: The URL. `#sha256=...` behind that of a file is the digest that the file must have.
        key: Setting that holds it, for messages.
        error: Exception to raise.

    Returns:
        The URL.

    Raises:
        KDCompressError: As `error`, for an unknown protocol, a password in it, or another form.
    """
    shown = f"{key}: {show_url(url)!r}"
    if len(url) > _MAX_CHARS or _INVISIBLE.search(url):
        raise error(f"{shown}: a URL has at most {_MAX_CHARS:,} characters, and none of space or control")
    if "::" in url:
        raise error(f"{shown}: chained URLs (::) are not taken; name the file or folder itself")
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise error(f"{shown} is no valid URL ({exc})") from exc
    if parts.scheme.lower() not in PROTOCOLS:
        raise error(f"{shown}: unknown protocol; URLs begin with {', '.join(f'{name}://' for name in PROTOCOLS)}")
    if "@" in parts.netloc and parts.scheme.lower() in ("http", "https", "s3"):
        raise error(f"{shown} holds a password, which runs and logs would keep; put it into the environment")
    if parts.fragment and not _DIGEST.fullmatch(parts.fragment):
        raise error(f"{shown}: only #sha256= and 64 lowercase hex digits may follow a URL")
    if parts.scheme.lower() == "http" and not parts.fragment and parts.hostname not in _LOOPBACK:
        raise error(f"{shown}: http:// can be changed on its way; take https://, or add #sha256= and the file's digest")
    if not PurePosixPath(parts.netloc + parts.path).name:
        raise error(f"{shown} names no file or folder")
    return url


def show_url(url: str) -> str:
    """Return a URL for messages: without passwords, and without the signature that its query may hold."""
    plain = url.partition("#")[0].partition("?")[0]
    scheme, separator, rest = plain.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"


def digest_in(url: str) -> str | None:
    """Return the SHA-256 that a URL demands, in hexadecimal; None if it demands none."""
    found = _DIGEST.fullmatch(url.partition("#")[2])
    return found[1] if found else None


def name_in(url: str) -> str:
    """Return the name of the file or folder that a URL leads to; "" if it has none."""
    parts = urlsplit(url)
    return PurePosixPath(unquote(parts.path) or parts.netloc).name


def suffix_in(url: str) -> str:
    """Return the suffix of the file that a URL leads to, in lower case."""
    return PurePosixPath(name_in(url)).suffix.lower()


def parent_of(url: str) -> str:
    """Return the URL of the folder that a file lies in, without digest and query."""
    return url.partition("#")[0].partition("?")[0].rstrip("/").rpartition("/")[0] + "/"
