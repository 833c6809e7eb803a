"""Where the runtime of a page comes from: a folder, ./node_modules or the CDN, of one version alone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kdcompress.cli._app import app
from kdcompress.demonstration import _ort_web
from kdcompress.demonstration._ort_web import BINARY, MODULE, VERSION, find_web_runtime
from kdcompress.errors import MissingExtraError, UsageError


def package(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str = VERSION) -> Path:
    """A package of two small files, whose hashes stand in for the known ones."""
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"version": version}))
    contents = {MODULE: b"export {}", BINARY: b"\0asm"}
    for name, content in contents.items():
        (folder / "dist" / name).write_bytes(content)
    hashes = {name: base64.b64encode(hashlib.sha384(one).digest()).decode() for name, one in contents.items()}
    monkeypatch.setattr(_ort_web, "_HASHES", hashes)
    monkeypatch.setattr(_ort_web, "_SIZES", {name: len(one) for name, one in contents.items()})
    return folder


def test_it_is_found_in_node_modules_a_package_or_its_dist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = package(tmp_path / "node_modules/onnxruntime-web", monkeypatch)
    for choice in (None, here, str(here / "dist")):
        runtime = find_web_runtime(choice, tmp_path)
        assert dict(runtime.files) == {MODULE: b"export {}", BINARY: b"\0asm"}
        assert (runtime.address, runtime.remote) == ("ort/", False)


def test_without_it_one_line_names_the_three_ways(tmp_path: Path) -> None:
    with pytest.raises(MissingExtraError) as caught:
        find_web_runtime(None, tmp_path)
    for way in (f"npm install onnxruntime-web@{VERSION}", "--ort-web FOLDER", "--ort-web cdn"):
        assert way in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_bytes_are_refused_with_the_version_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = package(tmp_path / "web", monkeypatch, version="1.2.3")
    (here / "dist" / BINARY).write_bytes(b"\0asM")
    with pytest.raises(UsageError, match=rf"{BINARY} is not that of onnxruntime-web {VERSION} but of 1\.2\.3; `npm"):
        find_web_runtime(here, tmp_path)
    (here / "package.json").write_text("[1]")
    (here / "dist" / BINARY).write_bytes(b"\0asm and more")
    with pytest.raises(UsageError, match=rf"is not that of onnxruntime-web {VERSION}; `npm"):
        find_web_runtime(here, tmp_path)


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"and {re.escape(MODULE)} is not in it; `npm install"):
        find_web_runtime(tmp_path, tmp_path)
    (tmp_path / MODULE).mkdir()
    with pytest.raises(UsageError, match="is a folder; it must be a file"):
        find_web_runtime(tmp_path, tmp_path)


def test_the_cdn_is_asked_for_the_pinned_version_alone(tmp_path: Path) -> None:
    runtime = find_web_runtime("cdn", tmp_path)
    assert runtime.remote
    assert not runtime.files
    for part in ("module", "binary"):
        facts = runtime.facts()[part]
        assert isinstance(facts, dict)
        assert facts["url"].startswith("https://")
        assert f"@{VERSION}/" in facts["url"]
        assert re.fullmatch(r"sha384-[\w+/]{64}", facts["integrity"])


def test_the_known_hashes_are_those_of_the_package(ort_web: Path, tmp_path: Path) -> None:
    runtime = find_web_runtime(ort_web, tmp_path)
    assert runtime.bytes == sum(map(len, runtime.files.values()))
    shutil.copytree(ort_web / "dist", tmp_path / "dist", ignore=lambda _, names: {*names} - {MODULE, BINARY})
    with (tmp_path / "dist" / MODULE).open("r+b") as file:
        file.seek(1000)
        file.write(b"!")
    with pytest.raises(UsageError, match=f"is not that of onnxruntime-web {VERSION}; "):
        find_web_runtime(tmp_path, tmp_path)


def test_help_names_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = CliRunner().invoke(app, ["demo", "--help"]).output
    assert f"npm install onnxruntime-web@{VERSION}" in shown
