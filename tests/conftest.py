"""Shared: an isolated cache, a small folder of genuine digits in MNIST's own format, and the whole MNIST if there."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trust.worker import Worker

from kdcompress.data import Dataset, Samples, make_source
from kdcompress.progress import Progress

WHOLE = os.environ.get("KDCOMPRESS_DATA_DIR")


def pytest_collection_finish() -> None:
    """Libraries and tests stay until the end: no search for garbage looks at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the user's cache or data, nor the network."""
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("KDCOMPRESS_DATA_DIR", raising=False)
    monkeypatch.setattr("kdcompress.data.sources.mnist.URL", "http://127.0.0.1:9/mnist.npz")


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The 5,000 embedded digits."""
    return make_source({"name": "mnist", "source": "embedded"}).load(Progress())


@pytest.fixture(scope="session")
def network(digits: Dataset) -> Any:
    """A small CNN on pixels in [0, 1] that knows the digits."""
    import other_models

    return other_models.trained(digits)


def few_digits(digits: Dataset) -> Samples:
    """300 genuine digits, all classes."""
    return digits.train.take(np.arange(0, 3900, 13))


@pytest.fixture
def small(digits: Dataset) -> Samples:
    """300 genuine digits, all classes."""
    return few_digits(digits)


def idx(array: np.ndarray) -> bytes:
    """An array of uint8 in IDX format."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


NAMES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def write_digits(folder: Path, digits: Dataset) -> Path:
    """Write 400 and 100 genuine digits as four IDX files into a new folder."""
    folder.mkdir()
    for part, samples in (("train", digits.train), ("test", digits.test)):
        taken = samples.take(np.arange(0, len(samples), 10))
        images, labels = NAMES[part]
        (folder / images).write_bytes(idx(taken.images[..., 0]))
        (folder / labels).write_bytes(idx(taken.labels))
    return folder


@pytest.fixture
def digits_dir(tmp_path: Path, digits: Dataset) -> Path:
    """A folder with 400 and 100 genuine digits as four IDX files."""
    return write_digits(tmp_path / "digits", digits)


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished run, good enough to be worth exporting."""
    from tiny_runs import distill

    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        distill(folder / "run", epochs=4, limit=2000)
    return folder / "run"


@pytest.fixture
def finished(_finished: Path, tmp_path: Path) -> Path:
    """A copy of a small finished run, to do with as one likes."""
    return Path(shutil.copytree(_finished, tmp_path / "run"))


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """Runs commands and functions in processes of their own, forked where everything is imported already."""
    with Worker(tmp_path_factory.mktemp("worker")) as worker:
        yield worker


@pytest.fixture(scope="session")
def _brief(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_runs import distill

    folder = tmp_path_factory.mktemp("brief")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        distill(folder / "run", baseline=False, epochs=1)
    return folder / "run"


@pytest.fixture
def brief(_brief: Path, tmp_path: Path) -> Path:
    """A copy of the finished run of `tiny_runs.distill(..., baseline=False, epochs=1)`."""
    return Path(shutil.copytree(_brief, tmp_path / "run"))


@pytest.fixture
def whole_mnist(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the whole MNIST."""
    if not WHOLE or not (Path(WHOLE) / "mnist").is_dir():
        pytest.skip("the whole MNIST is not here: KDCOMPRESS_DATA_DIR is not set or has no mnist/")
    monkeypatch.setenv("KDCOMPRESS_DATA_DIR", WHOLE)
    return Path(WHOLE) / "mnist"


class Recorder(Progress):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.phases: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def begin(self, phase: str, total: int, done: int = 0) -> None:
        self.phases.append(phase)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
