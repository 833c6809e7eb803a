"""A real PostgreSQL server on loopback, from the system's package, for the length of a test session."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER, PASSWORD = "sweeper", "se{cr}et@w0rd"
_FAST = signal.SIGINT  # PostgreSQL's "fast shutdown"


def programs() -> Path | None:
    """The folder of the server's programs; None where there is none."""
    found = [Path(path).parent for path in (shutil.which("initdb"),) if path]
    found += sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1] if found else None


@dataclass
class Server:
    """A running server.

    Attributes:
        port: Its port on 127.0.0.1.
        folder: Its files.
        programs: Folder of its programs.
    """

    port: int
    folder: Path
    programs: Path
    process: Any = None

    def url(self, database: str = "postgres", **query: str) -> str:
        """URL of a database, with user and password."""
        from sqlalchemy.engine import URL

        url = URL.create("postgresql", USER, PASSWORD, "127.0.0.1", self.port, database, query)
        return str(url.render_as_string(hide_password=False))

    def create(self, database: str) -> str:
        """Create a database, and return its URL."""
        self.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Rows of a statement."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "fsync": "off"}
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **_owner())
        for _ in range(300):
            with contextlib.suppress(Exception):
                self.execute("SELECT 1")
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Stop it, and cut its connections."""
        self.process.send_signal(_FAST)
        self.process.wait(60)


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A new server, with a password for its only user."""
    folder = programs()
    assert folder is not None
    place = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        (place / "password").write_text(PASSWORD)
        if owner := _owner():
            for path in (place, place / "password"):
                shutil.chown(path, owner["user"])
        making = [
            folder / "initdb", "-D", place / "data", "-U", USER, "--pwfile", place / "password",
            "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale", "C",
        ]  # fmt: skip
        done = subprocess.run(list(map(str, making)), capture_output=True, text=True, cwd=place, check=False, **owner)
        assert done.returncode == 0, done.stderr
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = Server(port, place, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(place)


def _owner() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    names = {user.pw_name for user in pwd.getpwall()}
    return {"user": next(name for name in ("postgres", "nobody") if name in names)}
