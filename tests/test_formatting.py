from __future__ import annotations

import pytest

from kdcompress.formatting import digits, grew


@pytest.mark.parametrize(
    ("ratio", "bigger"), [(None, False), (0.5, False), (1.00004, False), (1.01, True), (3.0, True)]
)
def test_what_grew_is_told_where_the_ratio_shows_it(ratio: float | None, bigger: bool) -> None:
    assert grew(ratio) == bigger
    if ratio is not None:
        assert (digits(ratio) > "1.00") == bigger
