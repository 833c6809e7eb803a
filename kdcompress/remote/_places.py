"""Places that URLs lead to, through fsspec: their files, and reading them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kdcompress.errors import DataError, MissingExtraError, error_text, one_line
from kdcompress.urls import PROTOCOLS, name_in, show_url

_CONNECT_S, _READ_S = 8, 60
# What file systems call the number or text that changes with a file's content, the surest first
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "crc32c", "generation", "oid", "blob_id")
_TIMES = ("LastModified", "last_modified", "Last-Modified", "mtime", "updated", "created")
_EXTRA = '"kdcompress[remote]"'
# An ONNX file of more than 2 GB has its weights beside it, under one of these names
_BESIDE = {".onnx": (".data", "_data")}
_DENIED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")  # codes of S3
_CREDENTIALS = {
    "s3": "those of the AWS tools are taken (AWS_PROFILE, AWS_ACCESS_KEY_ID); FSSPEC_S3='{\"anon\": true}' for none",
    "gs": 'those of gcloud are taken (GOOGLE_APPLICATION_CREDENTIALS); FSSPEC_GS=\'{"token": "anon"}\' for none',
}


@dataclass(frozen=True)
class RemoteFile:
    """A file at a distance.

    Attributes:
        name: Path below the place, with slashes.
        path: Its path in the file system.
        size: Number of bytes; None if the server does not tell.
        tag: Changes with the content; "" if the server gives no such thing.
    """

    name: str
    path: str
    size: int | None
    tag: str


class Place:
    """What a URL leads to.

    Args:
        url: The URL, which was checked.

    Raises:
        MissingExtraError: The package that speaks the protocol is not installed.
        DataError: The place cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self.url, self._protocol = url.partition("#")[0], urlsplit(url).scheme.lower()
        with self._explaining():
            try:
                import fsspec

                self._filesystem, self._path = fsspec.core.url_to_fs(self.url, **_options(self._protocol))
            except ImportError as exc:
                package = PROTOCOLS[self._protocol]
                remedy = _EXTRA if package in ("s3fs", "aiohttp", "fsspec") else f"{_EXTRA} {package}"
                raise MissingExtraError(f"{self._protocol}:// needs {package}: pip install {remedy}") from exc

    def files(self) -> tuple[bool, list[RemoteFile]]:
        """List the files.

        Returns:
            (whether the place is a folder, its files, or the file and what belongs to it, by name).

        Raises:
            DataError: There is none, or nothing answers.
        """
        with self._explaining():
            self._filesystem.invalidate_cache()
            if self._protocol in ("http", "https"):
                if self.url.partition("?")[0].endswith("/"):
                    raise DataError(
                        f"{show_url(self.url)}: folders cannot be listed over {self._protocol}://; name a file, "
                        "such as an npz file or a model, or a folder of s3://, gs://, az:// or hf://"
                    )
                return False, self._beside(self._remote_file(name_in(self.url), self._path))
            if not self._filesystem.isfile(self._path):
                return True, self._below()
            return False, self._beside(self._remote_file(name_in(self.url), self._path))

    def _below(self) -> list[RemoteFile]:
        found: Mapping[str, Any] = self._filesystem.find(self._path, detail=True)
        root = self._path.rstrip("/") + "/"
        files = [
            _remote_file(path.removeprefix(root), path, facts)
            for path, facts in sorted(found.items())
            if facts.get("type") == "file" and path != root and not path.endswith("/")  # which stand for folders
        ]
        if not files:
            raise DataError(f"{show_url(self.url)} does not exist, or is an empty folder")
        return files

    def _remote_file(self, name: str, path: str) -> RemoteFile:
        return _remote_file(name, path, self._filesystem.info(path))

    def _beside(self, file: RemoteFile) -> list[RemoteFile]:
        stem, dot, suffix = file.name.rpartition(".")
        endings = _BESIDE.get(f"{dot}{suffix.lower()}", ()) if stem and "?" not in file.path else ()
        others = [ending for ending in endings if self._filesystem.exists(file.path + ending)]
        return [file, *(self._remote_file(file.name + ending, file.path + ending) for ending in others)]

    def read(self, file: RemoteFile, block: int = 1 << 20) -> Iterator[bytes]:
        """Read a file.

        Args:
            file: The file.
            block: Number of bytes to read at once.

        Yields:
            Its bytes, in blocks.

        Raises:
            DataError: It cannot be read.
        """
        with self._explaining(), self._filesystem.open(file.path, "rb") as stream:
            while content := stream.read(block):
                yield content

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn what file systems raise into one line; each has exceptions of its own."""
        try:
            yield
        except (DataError, MissingExtraError):
            raise
        except Exception as exc:
            raise self._error(exc) from exc

    def _error(self, exc: Exception) -> DataError:
        shown, cause = show_url(self.url), exc
        if isinstance(exc, FileNotFoundError):
            # For HTTP that is what fsspec makes of any failure, whose cause tells more
            if not isinstance(exc.__cause__, Exception) or isinstance(exc.__cause__, FileNotFoundError):
                return DataError(f"{shown} does not exist")
            cause = exc.__cause__
        if getattr(cause, "status", None) in (404, 410):
            return DataError(f"{shown} does not exist")
        code = _aws_code(cause)
        if code == "NoSuchBucket":
            return DataError(f"{shown} does not exist: there is no such bucket")
        reason = error_text(cause) if isinstance(cause, OSError) and str(cause) else one_line(cause)
        is_denied = getattr(cause, "status", None) in (401, 403) or code in _DENIED or "credential" in reason.lower()
        if not is_denied and not isinstance(cause, PermissionError):
            return UnreachableError(f"{shown} cannot be reached ({reason})")
        remedy = _CREDENTIALS.get("gs" if self._protocol == "gcs" else self._protocol)
        return DataError(f"{shown}: access is denied ({reason}){f'; {remedy}' if remedy else ''}")


class UnreachableError(DataError):
    """Nothing answers at a place, so that it is not known whether it has changed."""


def _aws_code(exc: Exception) -> str | None:
    """Return what an S3 server calls an error; None for errors of other kinds."""
    response = getattr(exc, "response", None)
    error = response.get("Error") if isinstance(response, dict) else None
    return str(error["Code"]) if isinstance(error, dict) and "Code" in error else None


def _remote_file(name: str, path: str, facts: Mapping[str, Any]) -> RemoteFile:
    tag = next((str(facts[key]) for key in (*_TAGS, *_TIMES) if facts.get(key)), "")
    size = facts.get("size")
    return RemoteFile(name, path, None if size is None else int(size), tag)


def _options(protocol: str) -> dict[str, Any]:
    """Return time limits: by default some packages wait for minutes, and others stop a long download."""
    if protocol == "s3":
        limits = {"connect_timeout": _CONNECT_S, "read_timeout": _READ_S, "retries": {"max_attempts": 3}}
        return {"config_kwargs": limits}
    if protocol in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_READ_S)
        return {"client_kwargs": {"timeout": timeout, "trust_env": True}}
    return {}
