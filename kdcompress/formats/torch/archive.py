"""Check of untrusted .pt2 files before PyTorch loads them.

`torch.export.load` unpickles what an archive marks as pickled, imports modules and evaluates expressions that its graph
names, and generates Python code from the names of its nodes. So an archive is read here, and only what passes is
written anew for PyTorch: raw tensors, and a graph of operators that only compute.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.torch.graph_check import check_graph
from kdcompress.paths import check_regular_file

_MODEL = "models/model.json"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_TENSORS = re.compile(r"data/(weights/weight|constants/tensor)_\d+")
# Pickled example inputs, which are left out; constants of the archive format, which are written anew
_DROPPED = re.compile(
    r"data/sample_inputs/model\.pt|archive_format|archive_version|byteorder|version|\.data/\w+|\.format_version"
    r"|\.storage_alignment|data/(weights|constants)/|extra/.*"
)
_EXTRA = "extra/kdcompress.json"
_OLD = ("serialized_exported_program.json", "data/weights/model.pt", "data/constants/model.pt")
_MAX_JSON = 512 << 20
_MAX_EXTRA = 1 << 16


@dataclass(frozen=True)
class Archive:
    """A checked .pt2 file.

    Attributes:
        members: Content by name, without the pickled example inputs.
        settings: What `kdcompress` stored beside the model, see `preprocessing_of`.
    """

    members: Mapping[str, bytes]
    settings: Mapping[str, Any]

    def rewrite(self) -> io.BytesIO:
        """Write the checked members to an archive in memory, as PyTorch reads it."""
        import torch
        from torch.export.pt2_archive._package import PT2ArchiveWriter

        buffer = io.BytesIO()
        with PT2ArchiveWriter(buffer) as writer:
            for name, content in self.members.items():
                writer.write_bytes(name, content)
            inputs = io.BytesIO()
            torch.save(((), {}), inputs)
            writer.write_bytes("data/sample_inputs/model.pt", inputs.getvalue())
        buffer.seek(0)
        return buffer


def read_archive(path: Path) -> Archive:
    """Read and check a .pt2 file.

    Args:
        path: The file.

    Returns:
        Its checked content.

    Raises:
        ModelError: The file is damaged, of an older PyTorch, or has parts that only unpickling or running code could
            load.
    """
    check_regular_file(path, ModelError)
    try:
        with zipfile.ZipFile(path) as file:
            return _read(path, file)
    except ModelError:
        raise
    except Exception as exc:
        raise ModelError(f"{path} is damaged or no file of torch.export.save: {one_line(exc)}") from exc


def _read(path: Path, file: zipfile.ZipFile) -> Archive:
    infos = {info.filename.partition("/")[2] or info.filename: info for info in file.infolist()}
    if old := next((name for name in _OLD if name in infos), None):
        raise ModelError(
            f"{path} is of an older PyTorch, whose archives hold pickled weights ({old}), and pickles are not opened: "
            "save the model again with torch.export.save of PyTorch 2.10 or later"
        )
    if len({info.filename.partition("/")[0] for info in infos.values()}) > 1 or len(infos) < len(file.infolist()):
        raise ModelError(f"{path} has several members of one name; it is damaged or made to mislead")
    members: dict[str, bytes] = {}
    for name, info in infos.items():
        if name == _EXTRA or _DROPPED.fullmatch(name):
            continue
        if name != _MODEL and name not in _CONFIGS and not _TENSORS.fullmatch(name):
            _reject(path, f"the member {name[:80]!r}, which is no tensor and no graph")
        if info.file_size != info.compress_size or (name.endswith(".json") and info.file_size > _MAX_JSON):
            raise ModelError(f"{path} is damaged: {name[:80]!r} is compressed or too large, as no file of PyTorch is")
        members[name] = file.read(info)
    for name in (_MODEL, *_CONFIGS):
        if name not in members:
            raise ModelError(f"{path} is no file of torch.export.save: it holds no {name}")
    for name in (_MODEL, *_CONFIGS):
        document = check_graph(json.loads(members[name]), str(path))
        if name in _CONFIGS:
            _check_tensors(path, document, name.rpartition("/")[0], members)
        members[name] = json.dumps(document).encode()
    extra = file.read(infos[_EXTRA]) if _EXTRA in infos and infos[_EXTRA].file_size <= _MAX_EXTRA else b"{}"
    settings = json.loads(extra)
    return Archive(members, settings if isinstance(settings, dict) else {})


def _check_tensors(path: Path, config: dict[str, Any], folder: str, members: Mapping[str, bytes]) -> None:
    """Check that every weight or constant is a raw tensor, none a pickle, and that bytes of it are stored."""
    for name, entry in config["config"].items():
        stored = f"{folder}/{entry['path_name']}"
        if entry["use_pickle"] or not _TENSORS.fullmatch(stored):
            _reject(path, f"{name[:80]!r} as a pickle")
        sizes = [size["as_int"] for size in entry["tensor_meta"]["sizes"]]
        if not members[stored] and math.prod(sizes):
            raise ModelError(f"{path} is damaged: it declares {name[:80]!r} of {sizes} numbers and stores none")


def _reject(path: Path, reason: str) -> NoReturn:
    raise ModelError(
        f"{path} holds {reason}: pickles and programs in model files are not opened; save a module of plain tensors "
        "with torch.export.save, or give module:function"
    )
