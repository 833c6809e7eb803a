from __future__ import annotations

import shutil
from pathlib import Path

import bare_device
import pytest
from earlier import RUN

import kdcompress


@pytest.fixture(scope="session")
def _bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with exports, and its bundle beside it."""
    folder = tmp_path_factory.mktemp("bundled")
    shutil.copytree(RUN, folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        kdcompress.bundle(folder / "run", out=folder / "pi.pyz", images=8)
    return folder


@pytest.fixture
def bundled(_bundled: Path, tmp_path: Path) -> Path:
    """A copy of them, to do with as one likes; the cache is where tests have it."""
    shutil.copytree(_bundled, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="session")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of a device with NumPy and onnxruntime alone."""
    return bare_device.make(tmp_path_factory.mktemp("device") / "env", "numpy", "onnxruntime")


@pytest.fixture(scope="session")
def measured(_bundled: Path, device: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of the bundle on the device."""
    import subprocess

    folder = tmp_path_factory.mktemp("measured")
    command = [str(device), str(_bundled / "pi.pyz"), "--duration", "0.01", "--threads", "1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    (folder / "stderr").write_text(done.stderr)
    return folder
