"""The notebooks of the examples run, without errors and without output of libraries; git has them without outputs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from kernels import execute, streams

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*/*.ipynb"))
_LIBRARIES = re.compile(r"^(WARNING|INFO|ERROR|[IWE]0000|.*(oneDNN|CUDA|TF-TRT|retracing|absl|Assets written))", re.M)


def test_every_example_has_a_notebook() -> None:
    assert {path.parent for path in NOTEBOOKS} == {path.parent for path in EXAMPLES.glob("*/README.md")}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_outputs_are_cleared(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["cells"][0]["cell_type"] == "markdown"
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
        assert cell["metadata"] == {}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def html(outputs: list[Any]) -> str:
    return "".join(output.data.get("text/html", "") for output in outputs if "data" in output)


# A minute each: `make test` has the shortest way through all verbs
RUN = [path if path.stem == "mnist" else pytest.param(path, marks=pytest.mark.exhaustive) for path in NOTEBOOKS]


@pytest.mark.slow
@pytest.mark.parametrize("path", RUN, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_nothing_of_libraries(path: Path, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install -e '.[dev]'")
    pytest.importorskip("mlxtend", reason="the extra examples is not installed: pip install -e '.[examples]'")
    folder = Path(shutil.copytree(path.parent, tmp_path / "example", ignore=shutil.ignore_patterns("work*", "runs")))
    notebook = nbformat.read(path, as_version=4)
    execute(notebook, folder, timeout=300)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    for cell in notebook.cells:
        printed = streams(cell.get("outputs", []))
        assert "stderr" not in printed, printed["stderr"]
        assert not _LIBRARIES.search(printed.get("stdout", "")), printed["stdout"]
    shown = html(outputs)
    assert shown.count("<progress") >= 4  # teacher or labelling, student, baseline, timing
    assert "student / teacher" in shown
    assert "report.html" in shown
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 2
