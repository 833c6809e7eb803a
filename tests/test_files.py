from __future__ import annotations

import errno
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kdcompress.digests import json_digest, sha256_of
from kdcompress.files import write_atomically, write_json


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(part: Path) -> None:
        part.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from kdcompress.files import write_atomically\n"
        "def write(part):\n    part.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(Path(sys.argv[1]), write)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_write_that_the_system_refuses_leaves_nothing(tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    code = (
        "import sys; from pathlib import Path; from kdcompress.files import write_text\n"
        "try:\n    write_text(Path(sys.argv[1]), 'x' * 100_000)\nexcept OSError as e:\n    print(e.errno)"
    )
    path = tmp_path / "a.txt"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], preexec_fn=limited, capture_output=True, text=True, timeout=60
    )
    assert int(done.stdout) == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_json_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_digests(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert json_digest({"a": 1, "b": [2]}) == json_digest({"b": [2], "a": 1})
    assert json_digest({"a": 1}) != json_digest({"a": 2})
