"""Hostile and damaged .pt2 files: nothing in them is unpickled, imported or evaluated."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch_models

from kdcompress.errors import ModelError
from kdcompress.formats.torch.model import open_program
from kdcompress.trust import trusting_code

torch = torch_models.require()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return torch_models.export(torch_models.cnn().eval(), tmp_path / "m.pt2")


def rewrite(path: Path, change: Callable[[str, bytes], bytes], more: dict[str, bytes] | None = None) -> Path:
    """The archive with changed and further members."""
    changed = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, change(info.filename.partition("/")[2], old.read(info)))
        for name, content in (more or {}).items():
            new.writestr(f"m/{name}", content)
    return changed


def in_graph(path: Path, old: str, new: str) -> Path:
    """The archive with another text in its graph."""

    def change(name: str, content: bytes) -> bytes:
        if name != "models/model.json":
            return content
        assert old.encode() in content
        return content.replace(old.encode(), json.dumps(new)[1:-1].encode())

    return rewrite(path, change)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_pickled_example_inputs_are_never_opened(file: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save((Evil(tmp_path / "evil"),), buffer)
    changed = rewrite(file, lambda name, old: buffer.getvalue() if name.startswith("data/sample_inputs") else old)
    assert np.isfinite(open_program(changed).run(np.zeros((2, 3, 32, 32), np.uint8))).all()
    assert not (tmp_path / "evil").exists()


def test_pickled_weights_are_refused(file: Path, tmp_path: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name == "data/weights/weight_0":
            return pickle.dumps(Evil(tmp_path / "evil"))
        if name == "data/weights/model_weights_config.json":
            return content.replace(b'"use_pickle": false', b'"use_pickle": true', 1)
        return content

    with pytest.raises(ModelError, match="as a pickle: pickles and programs in model files are not opened"):
        open_program(rewrite(file, change))
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("data/aotinductor/model/model.so", "which is no tensor and no graph"),
        ("data/constants/custom_obj_0", "which is no tensor and no graph"),
        ("data/weights/model.pt", "is of an older PyTorch"),
        ("serialized_exported_program.json", "is of an older PyTorch"),
        ("models/other.json", "which is no tensor and no graph"),
    ],
)
def test_members_that_are_no_tensors_are_refused(file: Path, member: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        open_program(rewrite(file, lambda name, content: content, {member: b"x"}))


@pytest.mark.parametrize(
    "operator",
    [
        "torch.hub.load", "torch.load", "torch.ops.aten.from_file.default", "torch.ops.load_library",
        "_operator.methodcaller", "torch.ops.mine.relu.default", "#evil:x", "math.__class__",
        "torch.ops.aten.__class__.mro",
    ],
)  # fmt: skip
def test_operators_that_could_do_more_than_compute_are_refused(file: Path, operator: str) -> None:
    with pytest.raises(ModelError, match="which is none of PyTorch's own that only compute"):
        open_program(in_graph(file, "torch.ops.aten.relu.default", operator))


def test_operators_of_others_need_trust(file: Path) -> None:
    path = in_graph(file, "torch.ops.aten.relu.default", "torch.ops.mine.relu.default")
    with trusting_code(), pytest.raises(ModelError, match="cannot be loaded by PyTorch"):
        open_program(path)  # since no such operator is registered


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').mkdir('evil')", "Symbol('s77').__class__", "Symbol('s77', positive=True)**9**9**9",
        "Pow(Integer(9), Pow(Integer(9), Integer(9)))", "open('x')", "exec(s1)", "lambda: 0",
    ],
)  # fmt: skip
def test_sizes_are_no_programs(file: Path, expression: str) -> None:
    with zipfile.ZipFile(file) as archive:
        text = archive.read(next(name for name in archive.namelist() if name.endswith("model.json"))).decode()
    start = text.index("Symbol('s")
    symbol = text[start : text.index(")", start) + 1]
    with pytest.raises(ModelError, match="has a size that is no expression of sizes"):
        open_program(in_graph(file, symbol, expression))


@pytest.mark.parametrize("name", ["x=print(1)", "x): pass\n#", "__class__", 'x"]', "a b"])
def test_names_do_not_become_code(file: Path, name: str) -> None:
    with pytest.raises(ModelError, match="has a name that could become code"):
        open_program(in_graph(file, "p_0_weight", name))


def test_structures_import_no_modules(tmp_path: Path) -> None:
    path = torch_models.export(torch_models.vit().eval(), tmp_path / "m.pt2")
    with pytest.raises(ModelError, match=r"inputs or outputs of the type 'collections\.defaultdict'"):
        open_program(in_graph(path, "builtins.dict", "collections.defaultdict"))


def test_the_code_of_guards_is_not_run(file: Path) -> None:
    def change(name: str, content: bytes) -> bytes:
        if name != "models/model.json":
            return content
        graph = json.loads(content)
        graph["guards_code"] = ["__import__('os')._exit(3)"]
        return json.dumps(graph).encode()

    assert open_program(rewrite(file, change)).sizes == (None, 3, 32, 32)


def test_declared_weights_must_be_stored(file: Path) -> None:
    with pytest.raises(ModelError, match=r"declares '0\.weight' of \[8, 3, 3, 3\] numbers and stores none"):
        open_program(rewrite(file, lambda name, content: b"" if name == "data/weights/weight_0" else content))


def test_compressed_members_are_refused(file: Path) -> None:
    changed = file.with_name("changed.pt2")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, bytes(1000) if "weight_0" in info.filename else old.read(info))
    with pytest.raises(ModelError, match="is compressed or too large"):
        open_program(changed)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + bytes(100)])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.pt2").write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.pt2 is damaged or no file of torch\.export\.save"):
        open_program(tmp_path / "m.pt2")


def test_a_truncated_file_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(ModelError, match=r"is damaged|holds the member"):
        open_program(file)
