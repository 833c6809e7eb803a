"""Verified downloads that fail within seconds without a network."""

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


def download(url: str, target: Path, sha256: str, max_bytes: int) -> None:
    """Download a file atomically and verify its SHA-256.

    Args:
        url: The URL.
        target: Path of the file.
        sha256: Expected SHA-256, 64 hex digits.
        max_bytes: Limit at which the download is aborted.

    Raises:
        DataError: If nothing answers within CONNECT_TIMEOUT_S seconds, the file is too large, or its SHA-256 differs.
    """

    def fetch(part: Path) -> None:
        with open_url(url) as response, part.open("wb") as out:
            remaining = max_bytes
            while block := response.read(1 << 16):
                remaining -= len(block)
                if remaining < 0:  # a server may send data without end
                    raise DataError(f"{url} gives more than {max_bytes:,} bytes, far more than was published")
                out.write(block)
        if (got := sha256_of(part)) != sha256:
            raise DataError(f"{url} gave other bytes than the published ones (SHA-256 {got}, expected {sha256})")

    try:
        write_atomically(target, fetch)
    except (TimeoutError, urllib.error.URLError, ConnectionError, ssl.SSLError, http.client.HTTPException) as exc:
        raise DataError(f"cannot download {url} ({getattr(exc, 'reason', exc)})") from exc


def open_url(url: str) -> Any:
    """Open a URL.

    Args:
        url: The URL.

    Returns:
        The response, to be closed by the caller.

    Raises:
        OSError: If there is no answer within CONNECT_TIMEOUT_S seconds, or the request fails.
    """
    # In a thread: a name lookup has no timeout of its own and can block for a minute without a network
    answer: queue.Queue[Any] = queue.Queue()

    def request() -> None:
        try:
            answer.put(urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S))
        except Exception as exc:
            answer.put(exc)

    threading.Thread(target=request, daemon=True).start()
    try:
        response = answer.get(timeout=CONNECT_TIMEOUT_S)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_TIMEOUT_S:.0f} s") from None
    if isinstance(response, Exception):
        raise response
    return response
