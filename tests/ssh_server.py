"""A device behind a real sshd on the loopback interface, with a home and a python3 of its own.

Its login prints something, and its clock jumps.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

_SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
# Notes the bundles that are started, and has a clock that jumps by years at every look
_SITE = """
import itertools, os, sys, time
time.time = itertools.cycle([0.0, 2e9, 1e6, 4e9]).__next__
if any(word.endswith(".pyz") for word in sys.orig_argv):
    with open(os.environ["HOME"] + "/starts", "a") as log:
        log.write(sys.orig_argv[0] + "\\n")
"""
# Relays a connection and breaks it off after some bytes to the server
_CUT = """
import os, select, socket, sys
server, left = socket.create_connection(("127.0.0.1", int(sys.argv[1]))), int(sys.argv[2])
while left > 0:
    for source in select.select([0, server], [], [])[0]:
        block = os.read(0, min(left, 4096)) if source == 0 else server.recv(65536)
        if not block:
            sys.exit()
        if source == 0:
            server.sendall(block)
            left -= len(block)
        else:
            os.write(1, block)
"""


class Device:
    """A device that is reached as `ssh://pi`, or as `ssh://cut`, whose connection breaks after 30 kB.

    Attributes:
        home: Home folder of its user.
        folder: What it, and the ssh that goes there, are configured with.
        address: The same device without an alias.
        process: The sshd.
    """

    def __init__(self, folder: Path, port: int, process: psutil.Popen) -> None:
        self.home, self.folder, self.process = folder / "home", folder, process
        self.address = f"ssh://{getpass.getuser()}@127.0.0.1:{port}"

    @property
    def cache(self) -> Path:
        """The folder of kdcompress in the cache there."""
        return self.home / ".cache" / "kdcompress"

    @property
    def starts(self) -> list[str]:
        """The Python of each bundle that was started there."""
        log = self.home / "starts"
        return log.read_text().splitlines() if log.exists() else []

    def only(self, pattern: str) -> Path:
        """The only file below its cache that matches."""
        (path,) = self.cache.glob(pattern)
        return path

    def end_sessions(self) -> None:
        """End all connections on its side."""
        for session in self.process.children():
            session.kill()


def skip_reason() -> str | None:
    """Why there can be no such device."""
    if _SSHD is None or shutil.which("ssh") is None:
        return "sshd or ssh is not installed: apt-get install openssh-server openssh-client"
    return None


def write_python(folder: Path, python: Path, before: str = "") -> None:
    """Write a python3.

    Args:
        folder: Where it is written to.
        python: The Python that it runs.
        before: Lines of shell before that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "python3"
    path.write_text(f'#!/bin/sh\n{before}\nexec {python} "$@"\n')
    path.chmod(0o755)


@contextmanager
def serving(folder: Path, environment: Mapping[str, str]) -> Iterator[Device]:
    """Serve a device until the context ends.

    Args:
        folder: Where its files are; `bin` in it is first in its PATH, and modules are imported from `modules`.
        environment: More variables of its sessions.
    """
    for name in ("home", "modules"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "modules" / "sitecustomize.py").write_text(_SITE)
    (folder / "home" / ".bashrc").write_text("printf 'Welcome to the device'; echo warning >&2\n")
    for name in ("host", "key", "stranger"):
        _make_key(folder / name)
    shutil.copy(folder / "key.pub", folder / "authorized")
    (folder / "cut.py").write_text(_CUT)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    paths = {"HOME": folder / "home", "PATH": f"{folder / 'bin'}:/usr/bin:/bin", "PYTHONPATH": folder / "modules"}
    variables = {**paths, **environment}
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder / 'host'}\nAuthorizedKeysFile {folder / 'authorized'}\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"SetEnv {' '.join(f'{name}={value}' for name, value in variables.items())}\n"
    )
    relay = f"{sys.executable} {folder / 'cut.py'} {port} 30000"
    (folder / "config").write_text(
        f"Host cut\n  ProxyCommand {relay}\nHost pi cut\n  HostName 127.0.0.1\n  Port {port}\n"
        f"  User {getpass.getuser()}\n  HostKeyAlias device\n"
        f"Host *\n  IdentityFile {folder / 'key'}\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder / 'known'}\n"
        "  GlobalKnownHostsFile none\n  StrictHostKeyChecking accept-new\n"
    )
    assert _SSHD is not None
    with (folder / "log").open("w") as log:
        process = psutil.Popen([_SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        _wait_for(port, process, folder / "log")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KDCOMPRESS_SSH", f"ssh -F {folder / 'config'}")
            yield Device(folder, port, process)
    finally:
        with suppress(psutil.NoSuchProcess):  # a test has ended it
            for child in process.children():
                child.kill()
            process.terminate()
            process.wait(10)


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def _wait_for(port: int, process: psutil.Popen, log: Path) -> None:
    for _ in range(200):
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())
