from __future__ import annotations

import pytest

from kdcompress.verification.costs._base import einsum_macs


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("ab,bc->ac", [(2, 3), (3, 5)], 30),
        ("bhqd,bhkd->bhqk", [(1, 2, 7, 4), (1, 2, 9, 4)], 2 * 7 * 9 * 4),
        ("...x,xy->...y", [(6, 8, 3), (3, 5)], 6 * 8 * 3 * 5),
        ("...ab,...bc->...ac", [(4, 1, 2, 3), (6, 3, 5)], 4 * 6 * 30),  # 4 x 1 and 6 broadcast to 4 x 6
        (" ab , b -> a ", [(2, 3), (3,)], 6),
        ("ab->ba", [(2, 3)], 0),
    ],
)
def test_an_einsum_costs_the_product_of_its_indices(equation: str, shapes: list[tuple[int, ...]], macs: int) -> None:
    assert einsum_macs(equation, *shapes) == macs
