"""Shared: a run with its page, where onnxruntime-web lies, and one browser for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, find_chromium
from other_models import onnx_file
from tiny_runs import distill

import kdcompress
from kdcompress.demonstration._ort_web import INSTALL, PACKAGE

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def ort_web() -> Path:
    """The npm package: where KDCOMPRESS_ORT_WEB says, or in node_modules beside the sources."""
    folder = Path(os.environ.get("KDCOMPRESS_ORT_WEB") or ROOT / PACKAGE)
    if not folder.is_dir():
        pytest.skip(
            f"onnxruntime-web is not here: KDCOMPRESS_ORT_WEB names no folder of it, and `{INSTALL}` was not given"
        )
    return folder


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A headless Chromium."""
    find_chromium()
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def exported(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with ONNX files in float32 and int8, whose teacher knows the digits, takes NCHW and ends in softmax."""
    folder = tmp_path_factory.mktemp("exported")
    teacher = onnx_file(network, folder / "big.onnx", nchw=True, softmax=True)
    settings = {"teacher.model": str(teacher), "teacher.preprocessing.scale": "1/255"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        run = distill(folder / "run", settings=settings, epochs=3, limit=2000, baseline=False)
        kdcompress.export(run, "onnx", ("fp32", "int8"), max_metric_drop=1.0)
    return run.path


@pytest.fixture(scope="session")
def page(exported: Path, ort_web: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of that run."""
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        kdcompress.demo(exported, out=folder / "demo", ort_web=ort_web)
    return folder / "demo"
