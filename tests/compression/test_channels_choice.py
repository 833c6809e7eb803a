"""Importance of channels, and how many of them stay."""

from __future__ import annotations

from typing import Any

import channel_models
import keras
import numpy as np
import pytest
from channel_models import classifier
from hypothesis import given
from hypothesis import strategies as st
from keras import layers

from kdcompress.compression.channels.budgets import Budget, find_share
from kdcompress.compression.channels.coupling import Coupling, find_coupling
from kdcompress.compression.channels.importance import l1_scores, taylor_scores
from kdcompress.compression.channels.masking import mask
from kdcompress.compression.channels.selection import count_kept, select
from kdcompress.errors import ModelError


def group(coupling: Coupling, *names: str) -> Any:
    (found,) = (each for each in coupling.groups if set(each.layers) == set(names))
    return found


def losses(outputs: Any, labels: Any) -> Any:
    return keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)


def data(n: int = 6) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return keras.ops.convert_to_tensor(rng.uniform(0, 255, (n, 16, 16, 3)).astype("f")), rng.integers(0, 5, n)


def test_l1_is_the_sum_of_weights_over_the_layers_of_a_group() -> None:
    model = classifier(channel_models.residual)
    coupling = find_coupling(model)
    sums = sum(np.abs(np.asarray(model.get_layer(name).kernel)).sum((0, 1, 2)) for name in ("a", "c"))
    np.testing.assert_allclose(l1_scores(coupling)[group(coupling, "a", "c").classes], sums / sums.mean(), rtol=1e-6)


def test_taylor_is_activation_times_gradient_by_hand() -> None:
    """Two dense layers, whose gradients are worked out in NumPy."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4, activation="relu", name="hidden"), layers.Dense(3, name="logits")]
    )
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 6)).astype("f"), np.array([0, 1, 2, 1, 0])
    w1, b1, w2, b2 = model.get_weights()
    hidden = np.maximum(x @ w1 + b1, 0)
    logits = hidden @ w2 + b2
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    gradient = (chances - np.eye(3)[y]) @ w2.T
    expected = ((hidden * gradient) ** 2).sum(0)
    coupling = find_coupling(model)
    scores = taylor_scores(model, coupling, [(keras.ops.convert_to_tensor(x), y)], losses)
    np.testing.assert_allclose(scores[group(coupling, "hidden").classes], expected / expected.mean(), rtol=1e-4)


@pytest.mark.parametrize("name", ["inverted_residual", "multiplied", "flattened", "shared", "nested"])
def test_taylor_is_the_slope_of_the_loss_along_the_weights_that_read(name: str) -> None:
    """An independent check by finite differences: the weights that read one channel are scaled by 1 +- h."""
    model = classifier(channel_models.BODIES[name])
    coupling = find_coupling(model)
    images, labels = data(3)
    scores = taylor_scores(model, coupling, [(images, labels)], losses)
    tested = max(coupling.groups, key=lambda each: len(each.classes))
    squares, h = [], 1e-2
    for index in tested.classes[:4]:
        slopes = []
        for sign in (1, -1):
            scaled = mask(model, coupling, coupling.all_kept())
            own = find_coupling(scaled)
            for weight in own.weights_that_read():
                slices = weight.slices()
                slices[own.classes[weight.units] == index] *= 1 + sign * h
                weight.assign(slices)
            slopes.append(np.asarray(losses(scaled(images, training=False), labels), np.float64))
        squares.append((((slopes[0] - slopes[1]) / (2 * h)) ** 2).sum())
    actual = scores[tested.classes[:4]]
    np.testing.assert_allclose(actual / actual.sum(), squares / np.sum(squares), rtol=0.05, atol=1e-3)


def test_a_channel_that_is_never_active_goes_first() -> None:
    model = classifier(channel_models.residual)
    bias = np.zeros(24, "f")
    bias[[3, 17]] = -1e6
    model.get_layer("b").bias.assign(bias)
    coupling = find_coupling(model)
    scores = taylor_scores(model, coupling, [data()], losses)
    kept = select(coupling, scores, 0.3)
    classes = group(coupling, "b").classes
    assert scores[classes[[3, 17]]].tolist() == [0, 0]
    assert not kept[classes[[3, 17]]].any()


def test_scores_are_the_same_every_time_and_do_not_change_the_model() -> None:
    model = classifier(channel_models.chain)  # with dropout and BatchNorm
    coupling, weights = find_coupling(model), model.get_weights()
    first, second = (taylor_scores(model, coupling, [data()], losses) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_counts() -> None:
    assert [count_kept(size, 0.5) for size in (64, 96, 20, 16, 12, 3, 1)] == [32, 48, 8, 8, 6, 2, 1]
    assert [count_kept(64, share) for share in (0.01, 0.1, 0.3, 0.99, 1.0)] == [64, 56, 48, 8, 8]


@given(st.integers(1, 2048), st.floats(0, 1))
def test_counts_are_multiples_and_never_zero(size: int, share: float) -> None:
    count = count_kept(size, share)
    assert 1 <= count <= size
    assert size < 16 or count == size or (count % 8 == 0 and abs(count - max(8, size * (1 - share))) <= 4.001)


def test_equal_scores_keep_the_first_channels() -> None:
    coupling = find_coupling(classifier(channel_models.chain))
    kept = select(coupling, np.ones(coupling.class_count), 0.5)
    for each in coupling.groups:
        count = count_kept(len(each.classes), 0.5)
        assert kept[each.classes].tolist() == [True] * count + [False] * (len(each.classes) - count)


def params(model: Any) -> float:
    return float(model.count_params())


def test_the_smallest_share_that_meets_a_budget() -> None:
    model = classifier(channel_models.chain)
    coupling = find_coupling(model)
    total = params(model)
    notes: list[str] = []
    result = find_share(model, coupling, [Budget("max_params_ratio", 0.6, lambda m: params(m) / total)], notes.append)
    assert result.ratios["max_params_ratio"] <= 0.6
    counts = [count_kept(len(each.classes), result.share - 1 / 128) for each in coupling.groups]
    assert counts != [count_kept(len(each.classes), result.share) for each in coupling.groups]  # less does not do
    ratio = result.ratios["max_params_ratio"]
    assert notes == [f"max_params_ratio = 0.6: {100 * result.share:.1f} % of the channels go, ratio {ratio:.4g}"]


def test_several_budgets_are_all_met() -> None:
    model = classifier(channel_models.chain)
    total = params(model)
    loose = Budget("loose", 0.9, lambda m: params(m) / total)
    tight = Budget("tight", 0.4, lambda m: params(m) / total)
    shares = [
        find_share(model, find_coupling(model), budgets).share for budgets in ([loose, tight], [tight, loose], [tight])
    ]
    assert shares[0] == pytest.approx(shares[1], abs=1 / 100) == shares[2]


def test_a_budget_that_is_met_removes_nothing() -> None:
    model = classifier(channel_models.chain)
    notes: list[str] = []
    result = find_share(model, find_coupling(model), [Budget("max_params_ratio", 1.0, lambda m: 0.7)], notes.append)
    assert result.share == 0
    assert notes == ["max_params_ratio = 1: met as it is, no channel has to go, ratio 0.7"]


def test_a_budget_out_of_reach_says_the_nearest() -> None:
    model = classifier(channel_models.chain)
    total = params(model)
    with pytest.raises(ModelError) as caught:
        find_share(model, find_coupling(model), [Budget("max_params_ratio", 0.01, lambda m: params(m) / total)])
    assert str(caught.value) == (
        "max_params_ratio = 0.01 cannot be met: with the fewest channels that net can have the ratio to the teacher is "
        f"{949 / total:.4g}; give at least that, or take a smaller student"
    )


def test_a_noisy_measurement_is_taken_a_few_times() -> None:
    model, calls = classifier(channel_models.chain), []
    rng = np.random.default_rng(0)

    def latency(candidate: Any) -> float:
        calls.append(candidate)
        return params(candidate) / params(model) * rng.uniform(0.95, 1.05)

    result = find_share(model, find_coupling(model), [Budget("max_latency_ratio", 0.5, latency, 1 / 32)])
    assert 0.1 < result.share < 0.8
    assert len(calls) <= 7
