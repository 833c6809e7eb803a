"""Check of untrusted SavedModels before TensorFlow loads them.

Loading a SavedModel runs code: the restoring of its variables, its initialisers, and ops that the import of a graph
folds into constants. The file is therefore parsed with TensorFlow's own message class, as the loader parses it, and is
loaded only if everything in it only computes.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from kdcompress.errors import ModelError, one_line
from kdcompress.formats.saved_model.graph_ops import COMPUTING, SAVING, may_run, unsafe_savers
from kdcompress.paths import check_regular_file, safe_join
from kdcompress.trust import REMEDY, trusts_code

_MAX_BYTES = 2 << 30  # limit of the protobuf library for one message
_MAX_FILLED_BYTES = 1 << 30  # of constants that are stored as a shape and one value
_DENSE_RATIO = 16  # bytes of a constant per stored byte up to which all its values are taken to be stored
_HANDLES = (20, 21, 120, 121)  # data types: handles of resources and variants, and references to them
_CHECKED: set[tuple[str, int, int, bool]] = set()


def check_saved_model(path: Path) -> None:
    """Check a SavedModel before TensorFlow loads it.

    Its folder may contain only its own files, its graph only the ops in `COMPUTING`, or any ops if the user trusts its
    code. A graph that has passed is not checked again in the same process.

    Args:
        path: Folder of the SavedModel.

    Raises:
        ModelError: The SavedModel is damaged, links outside its folder, or could do more than compute.
    """
    _check_folder(path)
    file, trusted = path / "saved_model.pb", trusts_code()
    stat = _check_size(file)
    key = (os.path.realpath(file), stat.st_mtime_ns, stat.st_size, trusted)
    if key in _CHECKED:
        return
    graphs = _parse(file)
    for meta in graphs:
        _check_assets(path, meta)
        _check_constants(path, meta.graph_def)
        _check_variables(path, meta)
    # The loader's own criterion: this form is loaded function by function, all others by importing the main graph
    by_objects = len(graphs) == 1 and graphs[0].HasField("object_graph_def")
    if not trusted:
        for meta in graphs:
            _check_ops(path, meta, by_objects)
    _CHECKED.add(key)


def _check_folder(path: Path) -> None:
    """Check that everything in the folder is a regular file or folder in it, since links and FIFOs would be read."""
    root = Path(os.path.realpath(path))

    def fail(exc: OSError) -> NoReturn:
        raise ModelError(f"SavedModel {path} cannot be read: {one_line(exc)}") from exc

    for folder, folders, files in os.walk(root, onerror=fail):
        for member in (Path(folder, name) for name in (*folders, *files)):
            target = Path(os.path.realpath(member))
            if not target.is_relative_to(root):
                raise ModelError(
                    f"SavedModel {path} holds a link out of its folder, {_quote(str(member.relative_to(root)))} to "
                    f"{_quote(str(target))}; copy it with what its links lead to (cp -rL), if you know who made them"
                )
            if not target.is_dir():
                check_regular_file(member, ModelError)


def _check_size(file: Path) -> os.stat_result:
    """Check the sizes of the files that are read whole, and return the status of the graph's file."""
    check_regular_file(file, ModelError)
    for part in (file, file.parent / "fingerprint.pb", file.parent / "debug" / "saved_model_debug_info.pb"):
        if part.is_file() and part.stat().st_size > _MAX_BYTES:
            size = part.stat().st_size
            raise ModelError(f"{part} has {size:,} bytes; a SavedModel's graph has at most {_MAX_BYTES:,}")
    try:
        return file.stat()
    except OSError as exc:  # without it, TensorFlow would load an unchecked saved_model.pbtxt
        raise ModelError(f"{file.parent} is no SavedModel: it must hold saved_model.pb ({one_line(exc)})") from exc


def _parse(file: Path) -> list[Any]:
    """Parse the MetaGraphDefs of a saved_model.pb."""
    from tensorflow.core.protobuf import saved_model_pb2

    model = saved_model_pb2.SavedModel()
    message = f"{file.parent} cannot be loaded as a SavedModel: {file.name} is truncated, damaged or no SavedModel"
    try:
        model.ParseFromString(file.read_bytes())
    except Exception as exc:
        raise ModelError(f"{message}: {one_line(exc)}") from exc
    if not model.meta_graphs:
        raise ModelError(f"{message}: it holds no graph")
    return list(model.meta_graphs)


def _check_assets(path: Path, meta: Any) -> None:
    """Check that the names of assets, which a SavedModel can list in two ways, stay in its assets folder."""
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
    """Limit constants that are stored as a shape and one value: a few bytes could fill the memory.

    The size of what ops create at run time (Fill, Tile, Range, lists) is not limited here.
    """
    filled = 0
    for _, nodes in _functions(graph):
        for tensor in (node.attr["value"].tensor for node in nodes if "value" in node.attr):
            declared = math.prod(max(dim.size, 0) for dim in tensor.tensor_shape.dim) * _item_size(tensor.dtype)
            if tensor.string_val:
                declared += declared // 24 * len(tensor.string_val[-1])
            filled += declared if declared > _DENSE_RATIO * tensor.ByteSize() else 0
    if filled > _MAX_FILLED_BYTES:
        raise ModelError(
            f"SavedModel {path} has constants of {filled:,} bytes of which its file holds a few; "
            f"at most {_MAX_FILLED_BYTES:,} may be filled in; save it with constants of their own size"
        )


def _item_size(dtype: int) -> int:
    import tensorflow as tf

    try:
        kind = tf.as_dtype(dtype)
    except TypeError:
        return 0  # TensorFlow will reject it
    return 24 if kind == tf.string else 0 if dtype in _HANDLES else int(kind.size)


def _check_variables(path: Path, meta: Any) -> None:
    """Check that the variables that the object graph and the checkpoint index declare fit into the stored bytes.

    Variables that initialisers in graphs of TensorFlow 1 create are not limited here.
    """
    import tensorflow as tf

    prefix = path / "variables" / "variables"
    if not prefix.with_name("variables.index").is_file():
        return  # there are no variables, or TensorFlow reports what is missing
    try:
        reader = tf.compat.v1.train.NewCheckpointReader(str(prefix))
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except Exception as exc:
        raise ModelError(f"SavedModel {path} has damaged variables: {one_line(exc)}") from exc
    stored = sum(shard.stat().st_size for shard in prefix.parent.glob("variables.data-*") if shard.is_file())
    sizes = {name: _item_size(dtype.as_datatype_enum) for name, dtype in types.items()}
    indexed = sum(math.prod(map(int, shape)) * sizes[name] for name, shape in shapes.items())
    variables = [node.variable for node in meta.object_graph_def.nodes if node.WhichOneof("kind") == "variable"]
    declared = sum(math.prod(max(d.size, 0) for d in v.shape.dim) * _item_size(v.dtype) for v in variables)
    if max(indexed, declared) > stored:
        raise ModelError(
            f"SavedModel {path} declares variables of {max(indexed, declared):,} bytes and stores {stored:,}; "
            "it is truncated or damaged: get it again"
        )


def _functions(graph: Any) -> Iterator[tuple[str, Iterable[Any]]]:
    """Iterate over the main graph and the functions of the library with their nodes."""
    yield "the main graph", graph.node
    for function in graph.library.function:
        yield f"function {_quote(function.signature.name)}", function.node_def


def _check_ops(path: Path, meta: Any, by_objects: bool) -> None:
    """Check the ops of all functions, also of those that nothing calls, since importing one may already run it."""
    _check_function_names(path, meta.graph_def.library)
    allowed = COMPUTING | {function.signature.name for function in meta.graph_def.library.function}
    for number, (label, nodes) in enumerate(_functions(meta.graph_def)):
        savers = []
        for node in nodes:
            if node.op in SAVING:
                savers.append(node)
            elif node.op not in allowed:
                _reject(path, node, label, "which is none of those that only compute")
            elif "value" in node.attr and node.attr["value"].tensor.dtype in _HANDLES:
                _reject(path, node, label, "whose value is a handle of something outside of the file")
        if savers and (unsafe := _unsafe_savers(meta, number, savers, by_objects)):
            first = min(unsafe, key=lambda node: str(node.op))
            _reject(path, first, label, "which could reach files when the model is loaded or called")


def _unsafe_savers(meta: Any, number: int, savers: list[Any], by_objects: bool) -> list[Any]:
    """Find the saver nodes that loading or calling could run, in the main graph (number 0) or a function."""
    if number == 0:
        return [] if by_objects else unsafe_savers(meta)  # with an object graph, the main graph is not imported
    return savers if not by_objects or may_run(meta, number - 1) else []


def _check_function_names(path: Path, library: Any) -> None:
    """Check that names of functions are unique and not those of ops, since nodes refer to both by name."""
    from tensorflow.python.framework import op_def_registry

    for name, count in Counter(function.signature.name for function in library.function).items():
        if not name or count > 1 or op_def_registry.get(name) is not None:
            raise ModelError(
                f"SavedModel {path} has {count} function(s) of the name {_quote(name)}; a name must be that of one "
                "function and of no op; it is damaged or made to mislead"
            )


def _reject(path: Path, node: Any, label: str, reason: str) -> NoReturn:
    raise ModelError(
        f"SavedModel {path} holds the op {_quote(node.op)} (node {_quote(node.name)} of {label}), {reason}; "
        f"{REMEDY}, or give module:function that builds the model"
    )


def _quote(name: str) -> str:
    text = repr(name)
    return text if len(text) <= 80 else f"{text[:80]}..."
