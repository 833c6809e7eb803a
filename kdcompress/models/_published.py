"""ImageNet weights as Keras publishes them: its files, its cache, its download."""

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
    """A weights file that keras.applications would load: where it is published, and its MD5 if Keras knows that."""

    url: str
    md5: str | None

    @property
    def path(self) -> Path:
        """Its place in Keras's cache: in `KERAS_HOME`, else ~/.keras (made if it is not there)."""
        return _home() / "models" / self.url.rpartition("/")[2]

    def fetch(self, what: str, note: Callable[[str], None]) -> Path:
        """The file, from Keras's cache or downloaded into it by Keras, which checks it where its MD5 is known.

        Keras writes to the file's own place: one process does that, others wait.

        `what` names the model. Errors: ModelError says where to put the file, if nothing answers within seconds.
        """
        import keras

        path = self.path
        try:
            if not path.is_file():
                open_url(self.url).close()  # looking a name up, Keras would wait for a minute without a network
                note(f"{what}: downloading its ImageNet weights, {path.name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{path}.lock"), _impatient():
                keras.utils.get_file(
                    path.name, self.url, cache_subdir="models", cache_dir=str(path.parents[1]), file_hash=self.md5
                )
        except Exception as exc:  # Keras raises that itself
            reason = " ".join(str(getattr(exc, "reason", exc)).split())[:200]
            raise ModelError(
                f"{what}: its ImageNet weights cannot be downloaded ({reason}); put {self.url} at {path}, "
                f'or name a weights file: {what.split()[0]}.pretrained = "PATH"'
            ) from exc
        return path


def _home() -> Path:
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    with suppress(OSError):
        home.mkdir(parents=True, exist_ok=True)
    return home if os.access(home, os.W_OK) else Path(tempfile.gettempdir()) / ".keras"  # as Keras does


@contextmanager
def _impatient() -> Iterator[None]:
    """Connections that are opened within give up after some seconds without an answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(CONNECT_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
