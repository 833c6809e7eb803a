"""The contract of a runtime; a subject is a RuntimeCase, a subclass of Runtime and a file that it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.benchmarking import Runtime
from kdcompress.errors import ModelError
from kdcompress.leftovers import temporary_folder
from kdcompress.testing._imports import check_light_import


@dataclass(frozen=True)
class RuntimeCase:
    """A runtime and a model file.

    Attributes:
        kind: The subclass of Runtime.
        path: A file with one of its endings, which takes batches of any size.
        image_shape: The shape of one image, where the file leaves it open.
    """

    kind: type[Runtime]
    path: Path
    image_shape: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return self.kind().signature(self.path).image_shape(self.path, self.image_shape)


def check_import(case: RuntimeCase) -> None:
    """The module of the runtime imports no heavy library."""
    check_light_import(case.kind)


def check_names(case: RuntimeCase) -> None:
    """It says which package it is of, what is imported, and which files it runs; both are installed here."""
    assert case.kind.package
    assert case.kind.module
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in case.kind.suffixes)
    assert case.path.suffix.lower() in case.kind.suffixes, f"{case.path} is no file of this runtime"
    case.kind().require()
    case.kind().load()


def check_outputs(case: RuntimeCase) -> None:
    """Outputs have one row an image, and depend neither on the batch size nor on the number of threads."""
    images = _images(case, 4)
    whole = _run(case, images, 1)
    assert whole.shape[0] == len(images), f"{len(images)} images give outputs {whole.shape}"
    assert np.isfinite(whole).all()
    single = np.concatenate([_run(case, images[i : i + 1], 1) for i in range(len(images))])
    scale = max(float(np.abs(whole).max()), 1e-6)
    assert np.abs(whole - single).max() < 1e-3 * scale, "outputs depend on the batch size"
    assert np.abs(whole - _run(case, images, 2)).max() < 1e-3 * scale, "outputs depend on the number of threads"


def check_facts(case: RuntimeCase) -> None:
    """Settings can be written as JSON; shares of operators, where there are some, sum to 1, the largest first."""
    runtime = case.kind()
    assert json.dumps(runtime.settings())
    shares = runtime.operators(case.path, 1, _images(case, 1))
    if shares is not None:
        values = list(shares.values())
        assert abs(sum(values) - 1) < 0.01
        assert values == sorted(values, reverse=True)


def check_damaged_file(case: RuntimeCase) -> None:
    """A file that is no model is refused with ModelError and its path."""

    with temporary_folder() as folder:
        path = folder / f"damaged{case.path.suffix}"
        path.write_bytes(b"no model at all")
        try:
            case.kind().signature(path)
        except ModelError as exc:
            assert str(path) in str(exc), f"the error does not name the file: {exc}"
        else:
            raise AssertionError("a file of other bytes is opened")


def _images(case: RuntimeCase, n: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (n, *case.shape), np.uint8)


def _run(case: RuntimeCase, images: Any, threads: int) -> Any:
    opened = case.kind().open(case.path, threads, images.shape)
    outputs = opened.invoke(opened.prepare(images))
    return np.asarray(outputs[0] if isinstance(outputs, list | tuple) else outputs, np.float64)


RUNTIME_CHECKS: tuple[Callable[[RuntimeCase], None], ...] = (
    check_import,
    check_names,
    check_outputs,
    check_facts,
    check_damaged_file,
)
