"""ONNX files that reach for other files, never end, or lie about their sizes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

from trust.commands import FILES
from trust.place import Place
from trust.registry import kind

_AT = "bad.onnx"
_HONEST = "run/exports/student-fp32.onnx"


def _edited(name: str, abuses: str, refused: tuple[str, ...] = FILES) -> Callable[[Callable[[Place, Any], None]], None]:
    """Register a function that spoils the exported student, given as a ModelProto."""

    def register(spoil: Callable[[Place, Any], None]) -> None:
        @kind(name, abuses, at=_AT, commands=FILES, refused=refused)
        def make(place: Place) -> None:
            import onnx

            model = onnx.load(str(place.work / _HONEST))
            spoil(place, model)
            (place.work / _AT).write_bytes(model.SerializeToString())

    return register


def _largest(model: Any) -> Any:
    return max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))


def _external(tensor: Any, location: str) -> bytes:
    """Let a tensor say that its values lie at `location`; returns them."""
    import onnx

    values: bytes = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(values)))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return values


@_edited("onnx-external-climbs", "weights in a file above the folder")
def _(place: Place, model: Any) -> None:
    values = _external(_largest(model), "../../outside/weights.bin")
    (place.outside / "weights.bin").write_bytes(values)


@_edited("onnx-external-absolute", "weights in a file by its absolute name")
def _(place: Place, model: Any) -> None:
    values = _external(_largest(model), str(place.outside / "weights.bin"))
    (place.outside / "weights.bin").write_bytes(values)


@_edited("onnx-external-link", "weights in a link that leads out")
def _(place: Place, model: Any) -> None:
    values = _external(_largest(model), "weights.bin")
    (place.outside / "weights.bin").write_bytes(values)
    (place.work / "weights.bin").symlink_to(place.outside / "weights.bin")


@_edited("onnx-external-fifo", "weights in a FIFO")
def _(place: Place, model: Any) -> None:
    _external(_largest(model), "weights.bin")
    os.mkfifo(place.work / "weights.bin")


@_edited("onnx-constant-climbs", "a Constant node whose value lies above the folder")
def _(place: Place, model: Any) -> None:
    import onnx

    tensor = onnx.TensorProto()
    tensor.CopyFrom(_largest(model))
    model.graph.initializer.remove(_largest(model))
    (place.outside / "weights.bin").write_bytes(_external(tensor, "../../outside/weights.bin"))
    node = onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
    model.graph.node.insert(0, node)


@_edited("onnx-custom-domain", "an operator of a library that nobody has")
def _(place: Place, model: Any) -> None:
    model.graph.node[0].domain = "com.evil"
    entry = model.opset_import.add()
    entry.domain, entry.version = "com.evil", 1


# verify counts its operators and runs none
@_edited("onnx-endless", "a Loop that never ends", refused=tuple(name for name in FILES if name != "verify"))
def _(place: Place, model: Any) -> None:
    from onnx import TensorProto, helper

    last = model.graph.node[-1]
    output, last.output[0] = last.output[0], "before_the_loop"
    scalar = TensorProto.BOOL
    inside = helper.make_graph(
        [
            helper.make_node("Identity", ["again"], ["once_more"]),
            helper.make_node("Identity", ["carried"], ["handed_on"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("again", scalar, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("once_more", scalar, []),
            helper.make_tensor_value_info("handed_on", TensorProto.FLOAT, None),
        ],
    )  # fmt: skip
    always = helper.make_node("Constant", [], ["always"], value=helper.make_tensor("t", scalar, [], [True]))
    loop = helper.make_node("Loop", ["", "always", "before_the_loop"], [output], body=inside)
    model.graph.node.extend([always, loop])


@_edited("onnx-huge-tensor", "an initializer that declares 400 GB")
def _(place: Place, model: Any) -> None:
    _largest(model).dims[0] = 10**11


@_edited("onnx-metadata-deep", "metadata: JSON nested without end", refused=())
def _(place: Place, model: Any) -> None:
    for entry in model.metadata_props:
        entry.value = "[" * 200_000


@_edited("onnx-metadata-types", "metadata: JSON of other types, and escape sequences", refused=())
def _(place: Place, model: Any) -> None:
    for entry in model.metadata_props:
        entry.value = {"classes": '["\\u001b[2J\\u001b]0;owned\\u0007", 3, null]'}.get(entry.key, '{"a": [null]}')


@_edited("onnx-metadata-garbage", "metadata: no JSON", refused=())
def _(place: Place, model: Any) -> None:
    for entry in model.metadata_props:
        entry.value = "\x00{]"


@kind("onnx-garbage", "random bytes", at=_AT, commands=FILES, refused=FILES)
def _(place: Place) -> None:
    import numpy as np

    (place.work / _AT).write_bytes(np.random.default_rng(0).bytes(5000))


@kind("onnx-fifo", "a FIFO in place of a model", at=_AT, commands=FILES, refused=FILES)
def _(place: Place) -> None:
    os.mkfifo(place.work / _AT)


@kind("honest-onnx", "nothing: a control", at=_AT, commands=FILES, sound=True)
def _(place: Place) -> None:
    shutil.copy(place.work / _HONEST, place.work / _AT)
