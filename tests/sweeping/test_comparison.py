from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from kdcompress.sweeping._comparison import compare_settings
from kdcompress.sweeping._gain import paired_p
from kdcompress.sweeping._space import Setting

A, B, C = Setting("hinton", 4.0, 0.5), Setting("dist", 4.0, 0.5), Setting("none")
NOISE = np.array([0.0, 0.01, -0.01, 0.004, -0.004])


def test_the_p_value_is_that_of_the_paired_t_test() -> None:
    first, second = [0.91, 0.93, 0.92, 0.95], [0.90, 0.91, 0.92, 0.91]
    differences = [one - other for one, other in zip(first, second, strict=True)]
    assert paired_p(differences, 1e-9) == pytest.approx(ttest_rel(first, second).pvalue)


def test_equal_differences_on_few_images_are_no_certainty() -> None:
    # One image of 200 in each of two seeds: t = 1, p = 0.5, where the deviation of 0 would give p = 0
    assert paired_p([1 / 200, 1 / 200], 1 / 200) == pytest.approx(2 * 0.5 * (1 - 2 * np.arctan(np.sqrt(2)) / np.pi))


def test_noise_shows_nothing() -> None:
    found = compare_settings({A: 0.9 + NOISE, B: 0.901 - NOISE, C: 0.899 + NOISE[::-1]}, B, 1000)
    assert found is not None
    assert (found["correction"], found["pairs"]) == ("Holm", 3)
    assert found["sentence"].startswith("none of the 3 settings is shown to be better than another on validation")
    assert not any(other["shown"] for other in found["others"])
    assert found["others"][0]["difference"]["mean"] == pytest.approx(0.001)


def test_an_effect_is_shown_with_the_correction_over_all_pairs() -> None:
    values = {A: 0.9 + NOISE, B: 0.95 + NOISE + [0.001, 0, 0, 0, -0.001], C: 0.951 + NOISE + [0, 0.004, 0, -0.004, 0]}
    found = compare_settings(values, C, 1000)
    assert found is not None
    by_method = {other["method"]: other for other in found["others"]}
    raw = ttest_rel(values[C], values[A]).pvalue
    assert by_method["hinton"]["p"] == pytest.approx(2 * raw)  # the second smallest of three
    assert (by_method["hinton"]["shown"], by_method["dist"]["shown"]) == (True, False)
    assert found["sentence"].startswith(
        "the student without a teacher is shown to be better on validation than hinton T 4 alpha 0.5, not than dist"
    )
    found = compare_settings({A: values[A], B: values[B]}, B, 1000)
    assert found is not None
    assert found["sentence"] == (
        "dist T 4 alpha 0.5 is shown to be better on validation than hinton T 4 alpha 0.5 (paired over 5 seeds)"
    )


def test_the_best_one_may_be_noisy_where_others_differ() -> None:
    values = {A: 0.9 + NOISE / 100, B: 0.91 + NOISE / 100, C: 0.92 + 5 * NOISE}
    found = compare_settings(values, C, 100_000)
    assert found is not None
    assert "is best on validation, and not shown to be better than any other" in found["sentence"]


def test_one_seed_or_one_setting_compares_nothing() -> None:
    found = compare_settings({A: [0.9], B: [0.95]}, B, 1000)
    assert found is not None
    assert "in one seed: whether that is chance, several seeds tell" in found["sentence"]
    assert found["others"][0]["p"] is None
    assert not found["others"][0]["shown"]
    assert compare_settings({A: [0.9, 0.91]}, A, 1000) is None
