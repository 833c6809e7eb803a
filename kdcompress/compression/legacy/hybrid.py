"""A Keras 3 model some of whose layers are run by layers of tf_keras, as tensorflow-model-optimization wraps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kdcompress.errors import ModelError


class Hybrid:
    """A Keras 3 model that computes with other layers in place of some of its own.

    The graph is run by Keras 3, so all layers that are not replaced compute what they always do. A replacement has
    weights of its own; those of the layer that it stands for stay as they are.

    Args:
        model: Functional or Sequential Keras 3 model; models in it may be nested.
        replacements: Built layers of tf_keras by the id of the Keras 3 layer that they stand for.

    Attributes:
        variables: All variables, with those of wrappers (masks, centroids, ranges) and the seeds of random layers.
        parameters: The TensorFlow variables that are trained.

    Raises:
        ModelError: The model, or one in it, is a subclassed one.
    """

    def __init__(self, model: Any, replacements: Mapping[int, Any]) -> None:
        self.model = model
        self._graph = graph_of(model)
        self._operations = [operation for operation, _ in walk(model)]
        self._replacements = dict(replacements)
        self._kept = [
            operation
            for operation in self._operations
            if id(operation) not in self._replacements and hasattr(operation, "variables")
        ]
        self._activities = {key: _activity(layer) for layer in self._operations if (key := id(layer)) in replacements}
        # Wrappers put tensors in the place of variables when they are traced, so the variables are listed before that
        kept = [variable for operation in self._kept for variable in operation.variables]
        self.variables = _unique(kept + [weight for layer in self._replacing() for weight in layer.weights])
        kept = [weight.value for weight in self._kept_weights()]
        self.parameters = kept + [weight for layer in self._replacing() for weight in layer.trainable_weights]

    def __call__(self, images: Any, training: bool = False) -> Any:
        """Run the graph.

        Args:
            images: Tensor (batch, H, W, C).
            training: Whether the layers are in training mode.

        Returns:
            Outputs (batch, head).
        """
        return self._run(self._graph, training)(images)

    @property
    def losses(self) -> list[Any]:
        """The losses of regularizers and layers of the last call."""
        layers = (*self._kept, *self._replacing(), *self._activities.values())
        return [loss for layer in layers for loss in layer.losses]

    def constrain(self) -> None:
        """Apply the constraints of the kept layers; the optimizer of tf_keras applies those of the others."""
        for weight in self._kept_weights():
            if weight.constraint is not None:
                weight.assign(weight.constraint(weight))

    def _kept_weights(self) -> list[Any]:
        return _unique([weight for operation in self._kept for weight in operation.trainable_variables])

    def _replacing(self) -> list[Any]:
        """The replacements, in the order of the graph."""
        return [self._replacements[id(layer)] for layer in self._operations if id(layer) in self._replacements]

    def _run(self, graph: Any, training: bool) -> Callable[..., Any]:
        def select(operation: Any) -> Callable[..., Any]:
            if id(operation) in self._replacements:
                return self._replaced(operation, training)
            if is_model(operation):
                return self._run(graph_of(operation), training)
            return _in_mode(operation, training)

        def run(*inputs: Any, **_: Any) -> Any:
            outputs = graph._run_through_graph(inputs, operation_fn=select)
            return outputs[0] if isinstance(outputs, list | tuple) and len(outputs) == 1 else outputs

        return run

    def _replaced(self, layer: Any, training: bool) -> Callable[..., Any]:
        def call(inputs: Any, **_: Any) -> Any:
            return self._activities[id(layer)](self._replacements[id(layer)](inputs, training=training))

        return call


def walk(model: Any) -> Iterator[tuple[Any, int]]:
    """Yield the operations of a model, those of nested models included, from input to output.

    Args:
        model: Functional or Sequential Keras 3 model.

    Yields:
        (operation, how many times it is called), each operation once.
    """
    order: dict[int, Any] = {}
    calls: dict[int, int] = {}

    def visit(graph: Any, times: int) -> None:
        for depth in sorted(graph._nodes_by_depth, reverse=True):
            for node in graph._nodes_by_depth[depth]:
                operation = node.operation
                if is_model(operation):
                    visit(graph_of(operation), times)
                elif not node.is_input:
                    order.setdefault(id(operation), operation)
                    calls[id(operation)] = calls.get(id(operation), 0) + times

    visit(graph_of(model), 1)
    yield from ((operation, calls[key]) for key, operation in order.items())


def graph_of(model: Any) -> Any:
    """Return the functional graph of a model; a Sequential has one inside.

    Args:
        model: Keras 3 model.

    Raises:
        ModelError: It is a subclassed model.
    """
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise ModelError(
            f"a model must be functional or Sequential, and built, to be compressed, and {model.name} is a "
            f"{type(model).__name__}; build it from its layers with keras.Model(inputs, outputs)"
        )
    return graph


def is_model(operation: Any) -> bool:
    """Whether an operation of a graph is itself a model."""
    import keras

    return isinstance(operation, keras.Model)


def _in_mode(operation: Any, training: bool) -> Callable[..., Any]:
    if not getattr(operation, "_call_has_training_arg", False):
        return operation  # type: ignore[no-any-return]

    def call(*args: Any, **settings: Any) -> Any:
        return operation(*args, **{**settings, "training": training})

    return call


def _activity(layer: Any) -> Any:
    """A layer that computes the loss of a replaced layer's activity regularizer, which wrappers pass over."""
    import keras

    return keras.layers.Identity(activity_regularizer=getattr(layer, "activity_regularizer", None))


def _unique(variables: list[Any]) -> list[Any]:
    return list({id(variable): variable for variable in variables}.values())
