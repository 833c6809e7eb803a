from __future__ import annotations

import numpy as np
import pytest

from kdcompress.metrics.multiple import holm


def test_p_values_by_hand() -> None:
    # 0.01 * 4, 0.02 * 3 = 0.06 (0.03 * 2 as well), 0.5 * 1, in the order given
    assert holm(np.array([0.5, 0.01, 0.03, 0.02])) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    # A later one is never below an earlier one: 0.02 * 3 = 0.06, then 0.025 * 2 = 0.05, raised to 0.06
    assert holm(np.array([0.02, 0.025, 0.9])) == pytest.approx([0.06, 0.06, 0.9])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([])).shape == (0,)


def test_of_a_hundred_families_without_an_effect_at_most_five_make_a_claim() -> None:
    rng = np.random.default_rng(0)
    claims = [holm(rng.uniform(size=10)).min() < 0.05 for _ in range(4000)]
    assert 0.04 < np.mean(claims) < 0.06  # exactly 1 - 0.995^10 = 0.049 for independent tests
