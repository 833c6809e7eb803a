from __future__ import annotations

import hashlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdcompress.data import download as _download
from kdcompress.data.download import download
from kdcompress.errors import DataError

BODY = b"digits" * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/silent":
            self.close_connection = True
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    httpd = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def test_the_published_bytes_arrive(server: str, tmp_path: Path) -> None:
    download(f"{server}/x", tmp_path / "x", hashlib.sha256(BODY).hexdigest(), len(BODY))
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "words"),
    [("/x", "other bytes than the published ones"), ("/missing", "Not Found"), ("/silent", "cannot download")],
)
def test_other_bytes_are_refused(server: str, tmp_path: Path, path: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        download(f"{server}{path}", tmp_path / "x", "0" * 64, len(BODY))
    assert list(tmp_path.iterdir()) == []


def test_no_more_is_taken_than_was_published(server: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gives more than 5,999 bytes"):
        download(f"{server}/x", tmp_path / "x", hashlib.sha256(BODY).hexdigest(), len(BODY) - 1)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_never_answers_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_download, "CONNECT_TIMEOUT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.perf_counter()
        with pytest.raises(DataError, match="cannot download"):
            download(f"http://127.0.0.1:{silent.getsockname()[1]}/x", tmp_path / "x", "0" * 64, len(BODY))
        assert time.perf_counter() - start < 20
