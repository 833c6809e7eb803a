"""ImageNet weights that Keras publishes, and their download."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from kdcompress.data.download import CONNECT_TIMEOUT_S, open_url
from kdcompress.errors import ModelError

KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class PublishedWeights:
    """A weights file of keras.applications.

    Attributes:
        url: Where it is published.
        digest: Its MD5 or SHA-256, or None if Keras does not record one.
        file: Its name in Keras's cache, if it is not the last part of the URL.
    """

    url: str
    digest: str | None
    file: str | None = None

    @property
    def path(self) -> Path:
        """Path in Keras's cache: in `KERAS_HOME`, else ~/.keras, which is made if necessary."""
        return _keras_home() / "models" / (self.file or self.url.rpartition("/")[2])

    def fetch(self, subject: str, note: Callable[[str], None]) -> Path:
        """Download the file into Keras's cache, unless it is there.

        Keras checks the digest if there is one. It does not write atomically, so other processes wait meanwhile.

        Args:
            subject: Role and name of the model, for messages.
            note: Is called with a message before a download.

        Returns:
            Path of the file.

        Raises:
            ModelError: If it cannot be downloaded; says where to put it by hand.
        """
        import keras

        path = self.path
        try:
            if not path.is_file():
                open_url(self.url).close()  # without a network, Keras would wait a minute for the name lookup
                note(f"{subject}: downloading its ImageNet weights, {path.name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock"), _short_timeout():
                keras.utils.get_file(
                    path.name, self.url, cache_subdir="models", cache_dir=str(path.parents[1]), file_hash=self.digest
                )
        except Exception as exc:  # what get_file raises
            reason = " ".join(str(getattr(exc, "reason", exc)).split())[:200]
            raise ModelError(
                f"{subject}: its ImageNet weights cannot be downloaded ({reason}); put {self.url} at {path}, "
                f'or name a weights file: {subject.split()[0]}.pretrained = "PATH"'
            ) from exc
        return path


def _keras_home() -> Path:
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    return home if os.access(home, os.W_OK) else Path(tempfile.gettempdir()) / ".keras"  # as Keras does


@contextmanager
def _short_timeout() -> Iterator[None]:
    """Context manager that limits how long new connections wait for an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
