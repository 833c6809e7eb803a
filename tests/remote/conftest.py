"""Real servers on loopback: S3's protocol, and a folder over HTTP."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Bucket:
    """A bucket of a server that speaks S3's protocol."""

    def __init__(self, client: Any) -> None:
        self._client, self.url = client, "s3://bucket"

    def put(self, name: str, content: bytes) -> None:
        self._client.put_object(Bucket="bucket", Key=name, Body=content)

    def put_folder(self, folder: Path, prefix: str) -> None:
        for path in filter(Path.is_file, folder.rglob("*")):
            self.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def delete(self, name: str) -> None:
        self._client.delete_object(Bucket="bucket", Key=name)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of the server."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, which commands find by the environment of the AWS tools."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    if "bucket" in [entry["Name"] for entry in client.list_buckets()["Buckets"]]:
        for entry in client.list_objects_v2(Bucket="bucket").get("Contents", []):
            client.delete_object(Bucket="bucket", Key=entry["Key"])
    else:
        client.create_bucket(Bucket="bucket")
    return Bucket(client)


class Web:
    """A folder that is served over HTTP.

    Attributes:
        folder: The folder.
        url: Its address.
        requests: Method and path of every request.
        stop: Ends the server.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.requests = folder, list[str]()
        web = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                web.requests.append(self.requestline.rpartition(" ")[0])

        handler = functools.partial(Handler, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """An empty folder that is served."""
    (tmp_path / "web").mkdir()
    web = Web(tmp_path / "web")
    yield web
    web.stop()
