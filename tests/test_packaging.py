"""What is installed from a wheel is whole: also the recipes, which are data."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from kdcompress import __version__

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_every_module_and_recipe(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "kdcompress", source / "kdcompress", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(source)], check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("kdcompress/")}
    files = {path.relative_to(source).as_posix() for path in (source / "kdcompress").rglob("*") if path.is_file()}
    assert "kdcompress/config/presets/mnist.toml" in files
    assert {name for name in files if not name.endswith(".pyc")} == packed


def test_the_citation_names_this_version() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
