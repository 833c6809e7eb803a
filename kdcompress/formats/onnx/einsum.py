"""A limit to tf2onnx's search for the order of an einsum's indices."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

_ORDERS = 120  # all of five indices, as in attention over a sequence


@contextmanager
def limited_search() -> Iterator[None]:
    """Let tf2onnx try a limited number of orders.

    It converts the einsum once for each order of its indices: 5,040 times, in a minute, for attention over the two axes
    of an image.
    """
    from tf2onnx.optimizer import einsum_optimizer

    def first_orders(indices: Iterable[str]) -> Iterator[tuple[Any, ...]]:
        return itertools.islice(itertools.permutations(indices), _ORDERS)

    before, einsum_optimizer.permutations = einsum_optimizer.permutations, first_orders
    try:
        yield
    finally:
        einsum_optimizer.permutations = before
