"""URLs: their form, what is shown of them, and what belongs to them."""

from __future__ import annotations

import pytest

from kdcompress.errors import DataError
from kdcompress.plugins import is_reference
from kdcompress.urls import PROTOCOLS, check_url, digest_in, is_url, name_in, parent_of, show_url, suffix_in

DIGEST = "ab" * 32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/digits", True),
        ("HTTPS://host/t.onnx", True),
        ("memory://a", True),
        ("digits", False),
        ("C:\\digits", False),
        ("C:/digits", False),
        ("package.module:teacher", False),
        ("runs/demo:channels-0.5", False),
        ("keras:MobileNetV2", False),
        ("", False),
    ],
)
def test_a_url_is_told_from_paths_and_references(text: str, expected: bool) -> None:
    assert is_url(text) == expected
    if expected:
        assert not is_reference(text)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/digits",
        "gs://bucket/digits/",
        "https://host/t.onnx",
        f"http://host/t.onnx#sha256={DIGEST}",
        "http://127.0.0.1:8000/t.onnx",
        "https://host/t.onnx?X-Amz-Signature=abc",
        "abfs://container@account.dfs.core.windows.net/digits",
    ],
)
def test_urls_of_files_and_folders_pass(url: str) -> None:
    assert check_url(url, "data.dir", DataError) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/passwd", "unknown protocol; URLs begin with s3://, gs://"),
        ("ftp://host/x", "unknown protocol"),
        ("s3://", "names no file or folder"),
        ("https://user:secret@host/t.onnx", "holds a password, which runs and logs would keep"),
        ("s3://key:secret@bucket/x", "holds a password"),
        ("zip://a.csv::s3://bucket/a.zip", "chained URLs"),
        ("http://host/t.onnx", "can be changed on its way; take https://, or add #sha256="),
        ("https://host/t.onnx#part", "only #sha256= and 64 lowercase hex digits"),
        (f"https://host/t.onnx#sha256={DIGEST[:-1]}", "only #sha256="),
        ("https://host/a b", "none of space or control"),
        ("https://host/a\x1b[31m", "none of space or control"),
        ("https://host/" + "a" * 2000, "at most 2,000 characters"),
        ("https://[host/x", "no valid URL"),
    ],
)
def test_others_are_refused_in_one_line(url: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        check_url(url, "data.dir", DataError)
    message = str(caught.value)
    assert message.startswith("data.dir: ")
    assert words in message
    assert "secret" not in message
    assert message.isprintable()


def test_messages_hold_neither_passwords_nor_signatures() -> None:
    assert show_url("https://user:secret@host/a/t.onnx?signature=secret#sha256=0") == "https://host/a/t.onnx"
    assert show_url("s3://bucket/a@b/c") == "s3://bucket/a@b/c"


def test_parts_of_a_url() -> None:
    url = f"https://host/a/My%20model.ONNX?version=3#sha256={DIGEST}"
    assert (name_in(url), suffix_in(url), digest_in(url)) == ("My model.ONNX", ".onnx", DIGEST)
    assert parent_of("s3://bucket/a/table.csv") == "s3://bucket/a/"
    assert (name_in("memory://digits"), name_in("s3://bucket/a/"), digest_in("s3://bucket/a")) == ("digits", "a", None)


def test_every_protocol_is_one_that_fsspec_knows() -> None:
    known = pytest.importorskip("fsspec.registry").known_implementations
    assert PROTOCOLS.keys() <= known.keys()
