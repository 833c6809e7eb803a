from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from own_group import together

from kdcompress.config.cluster import check_divisible
from kdcompress.config.sections import ViewsSection
from kdcompress.data import Samples
from kdcompress.errors import RecipeError, TrainingError
from kdcompress.models import seed_everything
from kdcompress.training.averaging import averaging, mean_of
from kdcompress.training.checkpoints import get_values, set_values
from kdcompress.training.feed import Feed
from kdcompress.training.group import ALONE, WorkerLostError
from kdcompress.training.group_checks import check_losses_divide, check_same_start
from kdcompress.training.ring import Ring, RingDoor
from kdcompress.training.sharing import agree, share_batch

SIZES = [1, 5, 2000, 2049, 100_003]  # below and above what is added by rank, and not a multiple of the workers


@pytest.mark.parametrize("world", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_a_sum_is_the_sum_and_has_the_same_bits_everywhere(world: int, size: int) -> None:
    rng = np.random.default_rng(size)
    vectors = rng.normal(size=(world, size)).astype(np.float32)
    sums = together(world, lambda ring: [ring.sum(vectors[ring.rank]) for _ in range(3)])
    for repeated in sums:
        for result in repeated:
            assert result.tobytes() == sums[0][0].tobytes()
    assert sums[0][0] == pytest.approx(vectors.astype(np.float64).sum(0), abs=1e-6 * world)


@pytest.mark.parametrize("world", [2, 3])
def test_data_of_any_size_are_gathered_by_rank(world: int) -> None:
    data = [bytes([rank]) * 70_000 * rank for rank in range(world)]
    assert together(world, lambda ring: ring.gather(data[ring.rank])) == [data] * world
    assert together(world, lambda ring: ring.from_leader(data[ring.rank] + b"x")) == [b"x"] * world


def test_a_worker_that_is_gone_is_noticed_at_once_by_all() -> None:
    def act(ring: Ring) -> Any:
        ring.sum(np.zeros(10, np.float32))
        if ring.rank == 1:
            return ring.close()
        started = time.monotonic()
        with pytest.raises(WorkerLostError, match="a training worker is gone"):
            ring.sum(np.zeros(100_000, np.float32))
        with pytest.raises(WorkerLostError):
            ring.gather(b"")
        ring.close()
        return time.monotonic() - started

    seconds = [value for value in together(3, act) if value is not None]
    assert len(seconds) == 2
    assert max(seconds) < 5


def test_workers_at_different_calls_are_told_apart() -> None:
    def act(ring: Ring) -> None:
        if ring.rank == 0:
            ring._calls += 1
        with pytest.raises(WorkerLostError, match="at call"):
            ring.sum(np.zeros(3, np.float32))
        ring.close()

    together(2, act)


def test_a_door_listens_on_its_address_alone_and_lets_no_stranger_in() -> None:
    doors = [RingDoor("127.0.0.1", b"secret") for _ in range(2)]
    addresses = [door.address for door in doors]
    assert {host for host, _ in addresses} == {"127.0.0.1"}
    stranger = socket.create_connection(addresses[0])
    stranger.sendall(b"let me in, I am worker 1")
    stranger.close()
    with ThreadPoolExecutor(2) as pool:
        ends = [pool.submit(door.join, rank, addresses) for rank, door in enumerate(doors)]
        first, second = (end.result(timeout=20) for end in ends)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second.gather, b"second")
        assert first.gather(b"first") == other.result(timeout=20) == [b"first", b"second"]
    first.close()
    second.close()


def test_a_worker_with_another_secret_is_no_member() -> None:
    door, stranger = RingDoor("127.0.0.1", b"secret"), RingDoor("127.0.0.1", b"another")
    threading.Thread(target=door._accept, args=(1, 0, queue.SimpleQueue()), daemon=True).start()
    with pytest.raises(WorkerLostError, match="worker 0 does not answer"):
        stranger.join(1, [door.address, stranger.address])


@pytest.mark.parametrize(("batch", "workers", "sizes"), [(250, 4, "248 or 252"), (3, 4, "take 4,")])
def test_a_batch_that_does_not_divide_is_refused_with_those_that_do(batch: int, workers: int, sizes: str) -> None:
    check_divisible(workers * 3, workers)
    with pytest.raises(RecipeError, match=r"training.batch_size must be a multiple .* got \d+") as caught:
        check_divisible(batch, workers)
    assert sizes in str(caught.value)


@pytest.mark.parametrize(("starts", "problem"), [(["a 1", "b 1"], "other data"), (["a 1", "a 2"], "2 epochs in")])
def test_workers_that_begin_differently_are_told(starts: list[str], problem: str) -> None:
    def act(ring: Ring) -> None:
        key, epoch = starts[ring.rank].split()
        with pytest.raises(TrainingError, match=f"training worker 1 .*{problem}"):
            check_same_start(ring, key, int(epoch))

    together(2, act)


OPTIMIZERS: dict[str, Callable[[], tuple[Any, dict[str, Any]]]] = {
    "adam": lambda: (keras.optimizers.Adam, {}),
    "clipped": lambda: (keras.optimizers.SGD, {"global_clipnorm": 0.1, "momentum": 0.9}),
    "clipped by value": lambda: (keras.optimizers.RMSprop, {"clipvalue": 0.01}),
    "decayed and averaged": lambda: (keras.optimizers.AdamW, {"weight_decay": 0.1, "use_ema": True}),
    "accumulated": lambda: (keras.optimizers.Adam, {"gradient_accumulation_steps": 2}),
    "scaled": lambda: (keras.optimizers.LossScaleOptimizer, {"inner_optimizer": keras.optimizers.Adam(0.01)}),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_takes_the_step_of_the_mean_gradient(name: str) -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 4)).astype(np.float32)
    gradients = rng.normal(size=(2, 4, 3, 4)).astype(np.float32)  # workers, steps, ...
    if name == "scaled":
        gradients[1, 2, 0, 0] = np.inf  # of one worker: all must skip the step

    def steps(kind: Any, settings: dict[str, Any], own: np.ndarray) -> tuple[list[np.ndarray], Any]:
        variables = [keras.Variable(start), keras.Variable(start[0])]
        optimizer = kind(**settings)
        optimizer.build(variables)
        for gradient in own:
            optimizer.apply([gradient, gradient[0]], variables)
        return get_values([*variables, *optimizer.variables]), optimizer

    def act(ring: Ring) -> list[np.ndarray]:
        kind, settings = OPTIMIZERS[name]()
        derived = averaging(kind, ring)
        values, optimizer = steps(derived, settings, gradients[ring.rank])
        assert isinstance(optimizer, kind)
        return values

    kind, settings = OPTIMIZERS[name]()
    expected, _ = steps(kind, settings, gradients.mean(0))
    one, other = together(2, act)
    for a, b, c in zip(expected, one, other, strict=True):
        assert a == pytest.approx(b, abs=1e-6, rel=1e-6)
        assert b.tobytes() == c.tobytes()


def test_one_process_keeps_its_optimizer() -> None:
    assert averaging(keras.optimizers.Adam, ALONE) is keras.optimizers.Adam


def test_a_variable_without_a_gradient_has_none_afterwards() -> None:
    def act(ring: Ring) -> list[Any]:
        return mean_of([np.full(3, ring.rank, np.float32), None, np.full((2, 2), 5, np.float16)], ring)

    for first, none, half in together(2, act):
        assert np.array_equal(first, np.full(3, 0.5))
        assert none is None
        assert half.dtype == "float16"
        assert np.array_equal(half, np.full((2, 2), 5))


def network() -> Any:
    """BatchNorm on images and on vectors, and random layers of three kinds."""
    seed_everything(0)
    return keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.GaussianNoise(0.1),
            keras.layers.Conv2D(4, 3, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.SpatialDropout2D(0.3),
            keras.layers.Flatten(),
            keras.layers.Dense(8, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(3),
        ]
    )


def gradients_of(model: Any, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
    return [np.asarray(gradient) for gradient in tape.gradient(loss, model.trainable_variables)]


def test_batch_norm_and_random_layers_see_the_batch_of_all_workers() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(3, 2, (12, 6, 6, 2)).astype(np.float32), rng.normal(size=(12, 3)).astype(np.float32)
    models = [network() for _ in range(3)]
    whole, *parts = models
    for part in parts:
        part.set_weights(whole.get_weights())
    begin = get_values(whole.variables)
    for part in parts:
        set_values(part.variables, begin)
    expected = gradients_of(whole, x, y)

    def act(ring: Ring) -> tuple[list[Any], Any]:
        rows, model = slice(ring.rank * 6, (ring.rank + 1) * 6), parts[ring.rank]
        with share_batch(model, ring):
            own = gradients_of(model, x[rows], y[rows])
        return mean_of(own, ring), get_values(model.variables)

    for gradients, values in together(2, act):
        for a, b in zip(expected, gradients, strict=True):
            assert a == pytest.approx(np.asarray(b), abs=2e-6)
        for variable, value in zip(whole.variables, values, strict=True):
            assert np.asarray(variable.numpy()) == pytest.approx(value, abs=2e-6)
    unshared = gradients_of(parts[0], x[:6], y[:6])  # the layers are their own again, and alone
    assert not any("call" in vars(layer) or "_moments" in vars(layer) for layer in parts[0].layers)
    assert len(unshared) == len(expected)


def test_workers_agree_on_weights_of_the_first_and_on_means_of_statistics() -> None:
    models = [network() for _ in range(2)]
    optimizers = [keras.optimizers.SGD(0.1, momentum=0.9) for _ in range(2)]
    for rank, (model, optimizer) in enumerate(zip(models, optimizers, strict=True)):
        optimizer.build(model.trainable_variables)
        model.layers[2].moving_mean.assign([rank, 2 * rank, 0, 0])
        model.layers[-1].bias.assign([rank, 7, 7])
        optimizer.momentums[0].assign(optimizer.momentums[0] + rank)

    names = together(2, lambda ring: agree(models[ring.rank], optimizers[ring.rank], ring))
    assert names[0] == [models[0].layers[2].name]
    for model, optimizer in zip(models, optimizers, strict=True):
        assert np.array_equal(model.layers[2].moving_mean, [0.5, 1, 0, 0])
        assert np.array_equal(model.layers[-1].bias, [0, 7, 7])
        assert not np.any(optimizer.momentums[0])


def supervised(loss: Any) -> Any:
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(10, name="label")])
    image = keras.Input((4, 4, 1))
    whole = keras.Model(image, {"label": model(image)})
    whole.compile(loss={"label": loss})
    return whole


def of_pairs(labels: Any, logits: Any) -> Any:
    """A loss that compares the samples of a batch with each other."""
    return keras.ops.mean(keras.ops.square(logits - keras.ops.mean(logits, axis=0)), axis=-1)


def test_a_loss_that_compares_samples_is_refused_before_the_first_step() -> None:
    rng = np.random.default_rng(0)
    samples = Samples(
        rng.integers(0, 256, (40, 4, 4, 1)).astype(np.uint8), rng.integers(0, 10, 40), np.arange(40).astype(str)
    )
    feed = Feed(samples, ViewsSection(), None, batch_size=20, seed=0, weigh=True, world=2)
    check_losses_divide(supervised(keras.losses.SparseCategoricalCrossentropy(from_logits=True)), feed, "student")
    check_losses_divide(supervised(of_pairs), replace(feed, world=1), "student")
    with pytest.raises(TrainingError, match="the loss of the student depends on the batch as a whole"):
        check_losses_divide(supervised(of_pairs), feed, "student")
