"""What a SavedModel's folder and graph hold, looked at before TensorFlow loads it.

Loading a SavedModel runs programs: its variables' restoring, its initialisers, and ops that the import of a graph folds
into constants. So the file is read with TensorFlow's own message class, which reads it as the loader will, and nothing
is loaded unless all of it only computes.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.saved_model.graph_ops import COMPUTING, SAVING, runs, savers_at_work
from kdcompress.paths import check_regular_file, safe_join
from kdcompress.trust import REMEDY, trusts_code

_MOST_BYTES = 2 << 30  # of one protocol buffer; more, its own library cannot read
_MOST_FILLED = 1 << 30  # bytes of constants that the file gives by shape and one value
_LEAST_DENSE = 16  # bytes of a constant per byte in the file, below which its values are all there
_HANDLES = (20, 21, 120, 121)  # data types: handles of resources, objects, and references to them
_CHECKED: set[tuple[str, int, int, bool]] = set()


def check_saved_model(path: Path) -> None:
    """Refuse a SavedModel that could do more than compute, in one line, before TensorFlow loads it.

    Its folder must hold its own files alone, its graph the ops of `COMPUTING`; where the user trusts its maker, any
    ops. A graph that has passed is not looked at again in this process. Errors: ModelError.
    """
    _check_folder(path)
    file, trusted = path / "saved_model.pb", trusts_code()
    stat = _stat_of(file)
    known = (os.path.realpath(file), stat.st_mtime_ns, stat.st_size, trusted)
    if known in _CHECKED:
        return
    graphs = _parse(file)
    for meta in graphs:
        _check_assets(path, meta)
        _check_constants(path, meta.graph_def)
        _check_variables(path, meta)
    # As the loader decides: this one form is loaded function by function, all else by importing its main graph
    by_objects = len(graphs) == 1 and graphs[0].HasField("object_graph_def")
    if not trusted:
        for meta in graphs:
            _check_ops(path, meta, by_objects)
    _CHECKED.add(known)


def _check_folder(path: Path) -> None:
    """Everything in the folder is a file or a folder in it: a link elsewhere, or a FIFO, would be read as a part."""
    root = Path(os.path.realpath(path))

    def refuse(exc: OSError) -> NoReturn:
        raise ModelError(f"SavedModel {path} cannot be read: {one_line(exc)}") from exc

    for folder, folders, files in os.walk(root, onerror=refuse):
        for inside in (Path(folder, name) for name in (*folders, *files)):
            real = Path(os.path.realpath(inside))
            if not real.is_relative_to(root):
                raise ModelError(
                    f"SavedModel {path} holds a link out of its folder, {_shown(str(inside.relative_to(root)))} to "
                    f"{_shown(str(real))}; copy it with what its links lead to (cp -rL), if you know who made them"
                )
            if not real.is_dir():
                check_regular_file(inside, ModelError)


def _stat_of(file: Path) -> os.stat_result:
    check_regular_file(file, ModelError)
    for read_whole in (file, file.parent / "fingerprint.pb", file.parent / "debug" / "saved_model_debug_info.pb"):
        if read_whole.is_file() and read_whole.stat().st_size > _MOST_BYTES:
            size = read_whole.stat().st_size
            raise ModelError(f"{read_whole} has {size:,} bytes; a SavedModel's graph has at most {_MOST_BYTES:,}")
    try:
        return file.stat()
    except OSError as exc:  # without it, TensorFlow would load a saved_model.pbtxt, which nothing here has checked
        raise ModelError(f"{file.parent} is no SavedModel: it must hold saved_model.pb ({one_line(exc)})") from exc


def _parse(file: Path) -> list[Any]:
    """The meta graphs of a saved_model.pb."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    refused = f"{file.parent} cannot be loaded as a SavedModel: {file.name} is truncated, damaged or no SavedModel"
    try:
        model.ParseFromString(file.read_bytes())
    except Exception as exc:
        raise ModelError(f"{refused}: {one_line(exc)}") from exc
    if not model.meta_graphs:
        raise ModelError(f"{refused}: it holds no graph")
    return list(model.meta_graphs)


def _check_assets(path: Path, meta: Any) -> None:
    """Names of assets, in both places where a SavedModel may have them, lead to files in its folder of assets."""
    from tensorflow.core.protobuf import meta_graph_pb2

    names = [asset.filename for asset in meta.asset_file_def]
    if "saved_model_assets" in meta.collection_def:
        for packed in meta.collection_def["saved_model_assets"].any_list.value:
            asset = meta_graph_pb2.AssetFileDef()
            try:
                packed.Unpack(asset)
            except Exception as exc:
                raise ModelError(f"SavedModel {path} is damaged: its list of assets cannot be read") from exc
            names.append(asset.filename)
    for name in names:
        safe_join(path / "assets", name, f"assets of SavedModel {path}", ModelError)


def _check_constants(path: Path, graph: Any) -> None:
    """Constants that are a shape and one value grow as they are read: a few bytes could fill the memory.

    What ops make while they run (Fill, Tile, Range, lists) is known only then, and not bounded here.
    """
    filled = 0
    for _, nodes in _parts(graph):
        for tensor in (node.attr["value"].tensor for node in nodes if "value" in node.attr):
            declared = math.prod(max(side.size, 0) for side in tensor.tensor_shape.dim) * _size_of(tensor.dtype)
            if tensor.string_val:
                declared += declared // 24 * len(tensor.string_val[-1])
            filled += declared if declared > _LEAST_DENSE * tensor.ByteSize() else 0
    if filled > _MOST_FILLED:
        raise ModelError(
            f"SavedModel {path} has constants of {filled:,} bytes of which its file holds a few; "
            f"at most {_MOST_FILLED:,} may be filled in; save it with constants of their own size"
        )


def _size_of(dtype: int) -> int:
    import tensorflow as tf

    try:
        kind = tf.as_dtype(dtype)
    except TypeError:
        return 0  # TensorFlow refuses it
    return 24 if kind == tf.string else 0 if dtype in _HANDLES else int(kind.size)


def _check_variables(path: Path, meta: Any) -> None:
    """Variables, as the object graph and the index of the checkpoint declare them, fit into the stored bytes.

    Initialisers of graphs of TensorFlow 1 may make others, which are not bounded here.
    """
    import tensorflow as tf

    prefix = path / "variables" / "variables"
    if not prefix.with_name("variables.index").is_file():
        return  # it has none, or TensorFlow says what is missing
    try:
        reader = tf.compat.v1.train.NewCheckpointReader(str(prefix))
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except Exception as exc:
        raise ModelError(f"SavedModel {path} has damaged variables: {one_line(exc)}") from exc
    stored = sum(shard.stat().st_size for shard in prefix.parent.glob("variables.data-*") if shard.is_file())
    indexed = sum(math.prod(map(int, shape)) * _size_of(types[name].as_datatype_enum) for name, shape in shapes.items())
    variables = [node.variable for node in meta.object_graph_def.nodes if node.WhichOneof("kind") == "variable"]
    declared = sum(math.prod(max(d.size, 0) for d in v.shape.dim) * _size_of(v.dtype) for v in variables)
    if max(indexed, declared) > stored:
        raise ModelError(
            f"SavedModel {path} declares variables of {max(indexed, declared):,} bytes and stores {stored:,}; "
            "it is truncated or damaged: get it again"
        )


def _parts(graph: Any) -> Iterator[tuple[str, Iterable[Any]]]:
    """The main graph and the functions that a file has beside it, each with its nodes."""
    yield "the main graph", graph.node
    for function in graph.library.function:
        yield f"function {_shown(function.signature.name)}", function.node_def


def _check_ops(path: Path, meta: Any, by_objects: bool) -> None:
    """Only ops that compute, in every function, also those that nothing calls: importing one may already run it."""
    _check_function_names(path, meta.graph_def.library)
    allowed = COMPUTING | {function.signature.name for function in meta.graph_def.library.function}
    for number, (where, nodes) in enumerate(_parts(meta.graph_def)):
        savers = []
        for node in nodes:
            if node.op in SAVING:
                savers.append(node)
            elif node.op not in allowed:
                _refuse(path, node, where, "which is none of those that only compute")
            elif "value" in node.attr and node.attr["value"].tensor.dtype in _HANDLES:
                _refuse(path, node, where, "whose value is a handle of something outside of the file")
        if savers and (amiss := _at_work(meta, number, savers, by_objects)):
            first = min(amiss, key=lambda node: str(node.op))
            _refuse(path, first, where, "which could reach files when the model is loaded or called")


def _at_work(meta: Any, number: int, savers: list[Any], by_objects: bool) -> list[Any]:
    """The nodes of the saver that loading or calling could run, of the main graph (number 0) or a function."""
    if number == 0:
        return [] if by_objects else savers_at_work(meta)  # with an object graph, the main graph is not imported
    return savers if not by_objects or runs(meta, number - 1) else []


def _check_function_names(path: Path, library: Any) -> None:
    """One function per name, none of them that of an op: a node's op would not tell what it runs."""
    from tensorflow.python.framework import op_def_registry

    for name, count in Counter(function.signature.name for function in library.function).items():
        if not name or count > 1 or op_def_registry.get(name) is not None:
            raise ModelError(
                f"SavedModel {path} has {count} function(s) of the name {_shown(name)}; a name must be that of one "
                "function and of no op; it is damaged or made to mislead"
            )


def _refuse(path: Path, node: Any, where: str, why: str) -> NoReturn:
    raise ModelError(
        f"SavedModel {path} holds the op {_shown(node.op)} (node {_shown(node.name)} of {where}), {why}; "
        f"use {REMEDY}, or give module:function that builds the model"
    )


def _shown(name: str) -> str:
    text = repr(name)
    return text if len(text) <= 80 else f"{text[:80]}..."
