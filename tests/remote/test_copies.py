"""What a URL leads to is copied once, again where it changed, and never trusted."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from conftest import Recorder

from kdcompress.cache import cache_dir, clear_cache, list_entries
from kdcompress.errors import DataError, MissingExtraError
from kdcompress.remote import _copies, _places, local_path

pytest.importorskip("fsspec")


@pytest.fixture(autouse=True)
def fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known from earlier in this process."""
    monkeypatch.setattr(_copies, "_KNOWN", {})


def again(url: str, recorder: Recorder | None = None) -> Path:
    """As another process would see it."""
    _copies._KNOWN.clear()
    return local_path(url, recorder)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_a_path_is_itself() -> None:
    assert local_path("a/b") == Path("a/b")


def test_a_folder_is_copied_once_and_then_only_what_changed(bucket: Any, recorder: Recorder) -> None:
    files = {"a/1.png": b"one", "a/2.png": b"two", "b/c/3.png": b"three"}
    for name, content in files.items():
        bucket.put(f"digits/{name}", content)
    bucket.put("digits-of-others/x.png", b"not ours")
    folder = local_path("s3://bucket/digits", recorder)
    assert contents(folder) == files
    assert recorder.notes == ["s3://bucket/digits: 3 files, 11 B, copied into the cache"]
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    assert again("s3://bucket/digits", recorder) == folder
    bucket.put("digits/a/2.png", b"TWO")  # of the same size
    bucket.put("digits/d.png", b"four")
    bucket.delete("digits/b/c/3.png")
    again("s3://bucket/digits", recorder)
    assert contents(folder) == {"a/1.png": b"one", "a/2.png": b"TWO", "d.png": b"four"}
    assert recorder.notes[1:] == ["s3://bucket/digits: 2 files, 7 B, copied into the cache"]
    assert (folder / "a/1.png").stat().st_mtime_ns == times[folder / "a/1.png"]


def test_a_copy_that_was_changed_is_made_again(bucket: Any, recorder: Recorder) -> None:
    bucket.put("t.npz", b"12345")
    path = local_path("s3://bucket/t.npz")
    path.write_bytes(b"54321")
    assert again("s3://bucket/t.npz", recorder).read_bytes() == b"12345"
    os.utime(path, ns=(1, 1))  # as a copy of the cache may have
    assert again("s3://bucket/t.npz", recorder) == path
    assert len(recorder.notes) == 1


def test_a_damaged_record_makes_the_copy_anew(bucket: Any) -> None:
    bucket.put("t.npz", b"12345")
    path = local_path("s3://bucket/t.npz")
    record = path.parent.parent / "copy.json"
    for content in (b"", b"[]", b'{"url": 1}', record.read_bytes().replace(b"12345", b"1")):
        record.write_bytes(content)
        assert again("s3://bucket/t.npz").read_bytes() == b"12345"


def test_a_process_asks_the_server_once(web: Any) -> None:
    (web.folder / "t.npz").write_bytes(b"12345")
    assert local_path(f"{web.url}/t.npz").read_bytes() == b"12345"
    asked = len(web.requests)
    assert local_path(f"{web.url}/t.npz").name == "t.npz"
    assert len(web.requests) == asked
    again(f"{web.url}/t.npz")
    assert not any(request.startswith("GET") for request in web.requests[asked:])


def test_without_a_network_the_copy_is_used(web: Any, recorder: Recorder) -> None:
    (web.folder / "t.npz").write_bytes(b"12345")
    url = f"{web.url}/t.npz"
    path = local_path(url)
    web.stop()
    assert again(url, recorder) == path
    assert recorder.notes[-1].startswith(f"{url} cannot be reached (")
    assert recorder.notes[-1].endswith("; its copy in the cache is used")
    path.write_bytes(b"54321")
    with pytest.raises(DataError, match="cannot be reached"):
        again(url)


def test_the_digest_that_a_url_demands_is_checked(web: Any) -> None:
    (web.folder / "t.npz").write_bytes(b"12345")
    digest = sha256(b"12345").hexdigest()
    assert local_path(f"{web.url}/t.npz#sha256={digest}").read_bytes() == b"12345"
    with pytest.raises(DataError, match=f"is not the file that its URL demands: its SHA-256 is {digest}, expected 000"):
        local_path(f"{web.url}/t.npz#sha256={64 * '0'}")


def test_onnx_files_bring_their_weights(bucket: Any, web: Any) -> None:
    for name in ("t.onnx", "t.onnx.data", "u.onnx", "u.onnx_data", "t.txt"):
        bucket.put(f"models/{name}", name.encode())
        (web.folder / name).write_bytes(name.encode())
    for url in ("s3://bucket/models", web.url):
        assert sorted(contents(local_path(f"{url}/t.onnx").parent)) == ["t.onnx", "t.onnx.data"]
        assert sorted(contents(local_path(f"{url}/u.onnx").parent)) == ["u.onnx", "u.onnx_data"]


def test_what_cannot_be_had_is_one_line(bucket: Any, web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}/t.npz"
    for url, words in {
        "s3://bucket/none": "s3://bucket/none does not exist",
        "s3://no-such-bucket/a": "s3://no-such-bucket/a does not exist",
        f"{web.url}/none.npz": "/none.npz does not exist",
        f"{web.url}/": "folders cannot be listed over http://; name a file, such as",
        nowhere: "cannot be reached (",
        "file:///etc/passwd": "unknown protocol",
        "memory://nothing": "memory://nothing does not exist",
    }.items():
        with pytest.raises(DataError) as caught:
            local_path(url)
        assert words in str(caught.value)
        assert str(caught.value).isprintable()
        assert not any(kind == "remote" and size for kind, _, size in list_entries())
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(MissingExtraError, match=r'gs:// needs gcsfs: pip install "kdcompress\[remote\]" gcsfs'):
        local_path("gs://bucket/a")


def test_a_bucket_without_access_names_the_credentials(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("a", b"1")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    code = "import sys; from kdcompress.remote import local_path; local_path('s3://bucket/a')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "s3://bucket/a: access is denied (" in done.stderr
    assert "AWS_PROFILE" in done.stderr


def test_a_place_larger_than_the_disk_is_refused_before_it_is_copied(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("t.npz", bytes(5000))
    usage = shutil.disk_usage(Path.cwd())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4000))
    with pytest.raises(DataError, match=r"needs 5.00 kB in the cache .*, where 4.00 kB are free; set KDC"):
        local_path("s3://bucket/t.npz")


@pytest.mark.parametrize("name", ["../../escaped", "a/../../../escaped", "/escaped", "..\\..\\escaped"])
def test_names_of_a_strangers_listing_stay_inside(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/hostile/plain", b"1")
    listed = _places.RemoteFile(name, "/hostile/plain", 1, "tag")
    monkeypatch.setattr(_places.Place, "files", lambda self: (True, [listed]))
    with pytest.raises(DataError, match=r"leads out of the folder"):
        local_path("memory://hostile")
    assert not list(tmp_path.rglob("escaped"))
    memory.rm("/hostile", recursive=True)


@pytest.mark.parametrize("size", [3, 8])
def test_a_server_that_gives_another_size_is_refused(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/hostile/x", b"12345")
    listed = _places.RemoteFile("x", "/hostile/x", size, "tag")
    monkeypatch.setattr(_places.Place, "files", lambda self: (True, [listed]))
    with pytest.raises(DataError, match=rf"x gave 5 bytes, expected {size}; try again"):
        local_path("memory://hostile")
    assert not [path for path in cache_dir("remote").rglob("*") if path.name == "x"]
    memory.rm("/hostile", recursive=True)


def test_a_copy_that_was_killed_goes_on(bucket: Any, recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        bucket.put(f"many/{number}", bytes(number))
    real, calls = _copies._copy_file, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(_copies, "_copy_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        local_path("s3://bucket/many")
    monkeypatch.setattr(_copies, "_copy_file", real)
    folder = again("s3://bucket/many", recorder)
    assert {name: len(content) for name, content in contents(folder).items()} == {str(n): n for n in range(40)}
    assert int(recorder.notes[-1].split(": ")[1].split()[0]) < 40


def test_the_cache_lists_and_clears_copies(bucket: Any) -> None:
    bucket.put("digits/a/1.png", b"one")
    folder = local_path("s3://bucket/digits")
    assert [kind for kind, _, _ in list_entries()] == ["remote"]
    clear_cache()
    assert not folder.exists()
    assert again("s3://bucket/digits") == folder
