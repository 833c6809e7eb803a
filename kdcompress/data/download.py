"""One checked download with an answer within seconds, whether or not there is a network."""

from __future__ import annotations

import http.client
import queue
import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from kdcompress.digests import sha256_of
from kdcompress.errors import DataError
from kdcompress.files import write_atomically

CONNECT_TIMEOUT_S = 8.0


def download(url: str, target: Path, sha256: str, most: int) -> None:
    """Fetch `url` to `target`, whole or not at all, and refuse other bytes than those with this SHA-256.

    Errors: DataError when nothing answers within CONNECT_TIMEOUT_S seconds, when more than `most` bytes come, or when
    the bytes differ.
    """

    def fetch(part: Path) -> None:
        with open_url(url) as response, part.open("wb") as out:
            left = most
            while block := response.read(1 << 16):
                left -= len(block)
                if left < 0:  # a server may go on without end
                    raise DataError(f"{url} gives more than {most:,} bytes, far more than was published")
                out.write(block)
        if (got := sha256_of(part)) != sha256:
            raise DataError(f"{url} gave other bytes than the published ones (SHA-256 {got}, expected {sha256})")

    try:
        write_atomically(target, fetch)
    except (TimeoutError, urllib.error.URLError, ConnectionError, ssl.SSLError, http.client.HTTPException) as exc:
        raise DataError(f"cannot download {url} ({getattr(exc, 'reason', exc)})") from exc


def open_url(url: str) -> Any:
    """The opened answer of `url`, an exception of the network's if none comes within CONNECT_TIMEOUT_S seconds."""
    # In a thread: looking a name up has no time-out of its own and can hang for a minute without a network.
    answer: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            answer.put(urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S))
        except Exception as exc:
            answer.put(exc)

    threading.Thread(target=ask, daemon=True).start()
    try:
        response = answer.get(timeout=CONNECT_TIMEOUT_S)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_TIMEOUT_S:.0f} s") from None
    if isinstance(response, Exception):
        raise response
    return response
