"""A Jupyter kernel shows bars, the user's own output, and none of libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kernels import execute, streams

SETUP = """
import logging, os, subprocess, sys, time
import kdcompress
from kdcompress.notebook import for_notebooks, quiet_libraries

@for_notebooks
def verb(fail=False, progress=None):
    progress.warn("at chance")
    progress.begin("training", 2)
    os.write(1, b"noise on 1")
    os.write(2, b"noise on 2")
    subprocess.run([sys.executable, "-c", "print('noise of a child')"])
    logging.getLogger("tensorflow").warning("noise of a log")
    logging.basicConfig()
    print("my own print")
    if fail:
        raise KeyboardInterrupt
    progress.step(2, {})
    progress.end()

environment = dict(os.environ)
"""


def outputs_of(folder: Path, *cells: str) -> list[list[Any]]:
    """The outputs of each cell."""
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install -e '.[dev]'")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    execute(notebook, folder, allow_errors=True)
    return [cell.outputs for cell in notebook.cells]


def test_libraries_are_silent_and_the_user_is_heard(tmp_path: Path) -> None:
    _, imported, called, failed, after = outputs_of(
        tmp_path,
        SETUP,
        "print('TF_CPP_MIN_LOG_LEVEL' in os.environ, 'tensorflow' in sys.modules)",
        "verb()",
        "verb(fail=True)",
        "os.write(2, b'after'); time.sleep(1); logging.getLogger('tensorflow').warning('after'); logging.root.handlers",
    )
    assert streams(imported) == {"stdout": "False False\n"}
    assert streams(called) == {"stdout": "my own print\n"}
    bar = next(output for output in called if output.output_type == "display_data")
    assert 'value="1.0000"' in bar.data["text/html"]
    assert "<b>Warning:</b> at chance" in bar.data["text/html"]
    assert [output.ename for output in failed if output.output_type == "error"] == ["KeyboardInterrupt"]
    assert streams(after)["stderr"].startswith("after")  # all is as it was before the calls
    assert after[-1].data["text/plain"] == "[]"


def test_calls_that_overlap_restore_the_streams(tmp_path: Path) -> None:
    [[*_], outputs] = outputs_of(
        tmp_path,
        SETUP,
        "first, second = quiet_libraries(), quiet_libraries()\n"
        "first.__enter__(); second.__enter__(); first.__exit__(None, None, None)\n"
        "os.write(2, b'hidden'); second.__exit__(None, None, None); os.write(2, b'shown'); time.sleep(1)",
    )
    assert streams(outputs) == {"stderr": "shown"}
