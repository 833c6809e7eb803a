"""A missing package is named with what brings it, and nothing else is taken for one."""

from __future__ import annotations

import configparser
from pathlib import Path

from packaging.requirements import Requirement

from kdcompress.errors import MissingExtraError
from kdcompress.missing import BROUGHT_BY, missing_package, package_of

ROOT = Path(__file__).parent.parent


def test_every_requirement_has_a_command_that_brings_it() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    edge = (ROOT / "docs" / "requirements-edge.txt").read_text(encoding="utf-8").splitlines()
    alone = {Requirement(line).name for line in edge if line[:1].isalpha()} | {"onnxruntime", "ai-edge-litert"}
    groups = {"kdcompress": config["options"]["install_requires"]}
    extras = config["options.extras_require"]
    groups |= {f'"kdcompress[{name}]"': extras[name] for name in extras if name not in ("docs", "dev")}
    known = {package_of(module): brought for module, brought in BROUGHT_BY.items()}
    for brought, lines in groups.items():
        for name in (Requirement(line).name for line in lines.split("\n") if line):
            # A runtime is an extra, too, which on a device would bring TensorFlow
            right = {name} if name in alone else {brought} if brought == "kdcompress" else {brought, name}
            assert known[name.lower().replace("_", "-")] in right, name


def test_an_import_of_something_else_is_left_as_it_is() -> None:
    assert missing_package(ModuleNotFoundError("No module named 'mine'", name="mine"), "it") is None
    told = MissingExtraError("it needs x: pip install x")
    told.__cause__ = ModuleNotFoundError("No module named 'keras'", name="keras")
    assert missing_package(told, "it") is None
