"""What is installed from a wheel is whole: also the recipes, which are data."""

from __future__ import annotations

import zipfile
from pathlib import Path

from built_wheel import build_wheel

from kdcompress import __version__

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_every_module_and_recipe(tmp_path: Path) -> None:
    wheel, source = build_wheel(tmp_path), tmp_path / "source"
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("kdcompress/")}
    files = {path.relative_to(source).as_posix() for path in (source / "kdcompress").rglob("*") if path.is_file()}
    assert "kdcompress/config/presets/mnist.toml" in files
    assert {name for name in files if not name.endswith(".pyc")} == packed


def test_the_citation_names_this_version() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
