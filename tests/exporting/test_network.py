from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from keras import Input, Sequential, layers

from kdcompress.exporting._network import Network, freeze
from kdcompress.exporting._parity import Reference


def nodes(network: Network) -> list[Any]:
    return list(network.function.get_concrete_function().graph.as_graph_def().node)


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_it_computes_what_the_model_computes_at_any_batch_size(
    network: Network, reference: Reference, batch: int
) -> None:
    logits = network.function(reference.images[:batch].astype(np.float32))["logits"]
    np.testing.assert_allclose(logits, reference.logits[:batch], atol=1e-4)


def test_it_holds_no_variable_no_dropout_and_no_shape_worked_out_at_run_time(network: Network) -> None:
    kinds = {node.op for node in nodes(network)}
    assert not kinds & {"VarHandleOp", "ReadVariableOp", "RandomUniform"}
    reshapes = [node for node in nodes(network) if node.op == "Reshape"]
    kind_of = {node.name: node.op for node in nodes(network)}
    assert reshapes
    assert {kind_of[node.input[1]] for node in reshapes} == {"Const"}


def test_layers_are_found_in_the_names_of_nodes(network: Network) -> None:
    assert network.layer_name("classifier_1/block_1/depthwise_1/depthwise") == "depthwise"
    assert network.layer_name("elsewhere/Conv2D") == "elsewhere/Conv2D"
    assert network.locate_operator("DepthwiseConv2dNative") == " of layer depthwise"
    assert network.locate_operator("Erfinv") == ""


def test_layers_whose_names_end_in_numbers_are_told_apart() -> None:
    hidden = [layers.Dense(3, name="dense", activation="tanh"), layers.Dense(3, name="dense_1", activation="elu")]
    network = freeze(
        Sequential([Input((4, 4, 1)), layers.Flatten(), *hidden, layers.Dense(2, name="logits")]), (4, 4, 1)
    )
    assert network.locate_operator("Tanh") == " of layer dense"
    assert network.locate_operator("Elu") == " of layer dense_1"
    assert network.locate_operator("BiasAdd") == " of layer dense or dense_1 or logits"


def test_a_model_for_any_size_is_fixed_to_the_one_asked_for() -> None:
    model = Sequential([Input((None, None, 3)), layers.GlobalAveragePooling2D(), layers.Dense(2)])
    assert freeze(model, (8, 6, 3)).signature.shape.as_list() == [None, 8, 6, 3]


def test_a_model_in_half_precision_still_gives_float32() -> None:
    model = Sequential(
        [Input((4, 4, 1)), layers.Flatten(dtype="float16"), layers.Dense(2, dtype="float16")], name="half"
    )
    logits = freeze(model, (4, 4, 1)).function(np.ones((1, 4, 4, 1), np.float32))["logits"]
    assert logits.dtype.name == "float32"
