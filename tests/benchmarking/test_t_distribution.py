from __future__ import annotations

import pytest
from scipy import stats

from kdcompress.benchmarking._t_distribution import t_central, t_quantile


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 9, 10, 33, 100, 999])
def test_quantiles_are_those_of_scipy(dof: int) -> None:
    for central in (0.5, 0.9, 0.95, 0.999):
        assert t_quantile(central, dof) == pytest.approx(stats.t.ppf((1 + central) / 2, dof), rel=1e-10)


def test_one_degree_of_freedom_is_cauchy_by_hand() -> None:
    assert t_central(1.0, 1) == pytest.approx(0.5)  # 2 / pi * atan 1
    assert t_central(0.0, 7) == 0
    assert t_central(2**0.5, 2) == pytest.approx(0.5**0.5)  # t / sqrt(2 + t^2)
