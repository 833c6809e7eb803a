from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kdcompress.config.sections import ViewsSection
from kdcompress.data import Samples, select_transforms
from kdcompress.training import feed as feeding
from kdcompress.training.feed import Feed

N, VIEWS = 300, 3


def coded() -> tuple[Samples, np.ndarray]:
    """Images whose pixels spell their number, and targets that spell (sample, view)."""
    number = np.arange(N)
    images = np.zeros((N, 4, 4, 1), np.uint8)
    images[:, :, :, 0] = (number % 256)[:, None, None]
    images[:, 0, 0, 0] = number // 256
    targets = np.zeros((N, VIEWS, 2), np.float32)
    targets[..., 0] = number[:, None]
    targets[..., 1] = np.arange(VIEWS)
    return Samples(images, number.astype(np.int64), number.astype(str)), targets


def make_feed(views: ViewsSection | None = None, seed: int = 0) -> Feed:
    samples, targets = coded()
    views = views or ViewsSection(count=VIEWS, shift_px=0, rotation_deg=0)
    return Feed(samples, views, {"logits": targets}, batch_size=32, seed=seed)


def test_every_sample_and_view_meets_its_own_target_in_every_epoch() -> None:
    feed = make_feed()
    seen: list[tuple[int, int]] = []
    orders = [
        (i, v)
        for epoch in range(5)
        for index, view in feed.batch_indices(epoch)
        for i, v in zip(index, view, strict=True)
    ]
    for images, truth in feed.dataset(0, 5).as_numpy_iterator():
        spelled = images[:, 0, 0, 0] * 256 + images[:, 3, 3, 0]
        assert np.array_equal(spelled, truth["label"])
        assert np.array_equal(spelled, truth["targets"][:, 0])
        seen += [(int(i), int(v)) for i, v in truth["targets"]]
    assert seen == orders
    assert len(seen) == 5 * (N // 32) * 32
    assert {view for _, view in seen} == {0, 1, 2}
    assert len({sample for sample, _ in seen}) == N


def test_the_view_shown_is_the_view_labelled() -> None:
    views = ViewsSection(count=VIEWS, shift_px=1, rotation_deg=45)
    feed = make_feed(views)
    from kdcompress.data import apply_transforms, view_transforms

    table = view_transforms(views, feed.samples.ids, 4, 4)
    images, truth = next(feed.dataset(2, 3).as_numpy_iterator())
    sample, view = truth["targets"].astype(int).T
    expected = np.asarray(apply_transforms(feed.samples.images[sample], table[sample, view]))
    assert np.array_equal(images, expected)
    assert (view > 0).any()


def test_an_epoch_is_the_same_wherever_one_begins() -> None:
    feed = make_feed()
    whole = [truth["label"].tolist() for _, truth in feed.dataset(0, 4).as_numpy_iterator()]
    rest = [truth["label"].tolist() for _, truth in feed.dataset(2, 4).as_numpy_iterator()]
    assert whole[-len(rest) :] == rest
    assert whole[: feed.steps_per_epoch] != rest[: feed.steps_per_epoch]


def test_every_epoch_uses_each_sample_at_most_once_and_drops_the_last_partial_batch() -> None:
    feed = make_feed()
    drawn = np.concatenate([index for index, _ in feed.batch_indices(3)])
    assert len(drawn) == len(set(drawn.tolist())) == 288
    assert feed.steps_per_epoch == 9


def test_the_seed_decides_the_order() -> None:
    assert next(make_feed().batch_indices(0))[0].tolist() != next(make_feed(seed=1).batch_indices(0))[0].tolist()


def test_fewer_samples_than_a_batch() -> None:
    samples, targets = coded()
    feed = Feed(samples, ViewsSection(), {"logits": targets}, batch_size=1000, seed=0)
    assert (feed.batch, feed.steps_per_epoch) == (N, 1)
    assert len(list(feed.dataset(0, 2))) == 2


def unequal(n: int = 120) -> Samples:
    """Three classes, of 90, 20 and 10."""
    labels = np.repeat([0, 1, 2], [90, 20, 10]).astype(np.int64)
    return Samples(np.zeros((n, 2, 2, 1), np.uint8), labels, np.arange(n).astype(str))


def test_class_weights_are_on_every_loss_and_worth_one_on_average() -> None:
    samples = unequal()
    targets = np.zeros((120, 1, 3), np.float32)
    feed = Feed(samples, ViewsSection(), {"logits": targets}, batch_size=40, seed=0, weigh=True)
    seen: dict[int, set[float]] = {0: set(), 1: set(), 2: set()}
    total = 0.0
    for _, truth, weights in feed.dataset(0, 1).as_numpy_iterator():
        assert np.array_equal(weights["label"], weights["targets"])
        for label, weight in zip(truth["label"], weights["label"], strict=True):
            seen[int(label)].add(round(float(weight), 4))
        total += weights["label"].sum()
    assert seen == {0: {round(120 / 270, 4)}, 1: {2.0}, 2: {4.0}}  # n / (3 * n of the class)
    assert total == pytest.approx(120)


def test_class_weights_leave_images_without_labels_their_own() -> None:
    samples = unequal()
    labels = np.where(np.arange(120) % 2, samples.labels, -1)
    feed = Feed(
        Samples(samples.images, labels, samples.ids),
        ViewsSection(),
        {"logits": np.zeros((120, 1, 3), np.float32)},
        batch_size=120,
        seed=0,
        unlabelled_weight=lambda epoch: 2.5,
        weigh=True,
    )
    _, _, weights = next(feed.dataset(0, 1).as_numpy_iterator())
    index = next(feed.batch_indices(0))[0]
    bare = labels[index] == -1
    assert set(weights["label"][bare]) == {0.0}
    assert set(weights["targets"][bare]) == {2.5}
    assert np.array_equal(weights["label"][~bare], weights["targets"][~bare])


def test_balanced_batches_hold_as_many_of_each_class_and_go_through_all() -> None:
    samples = unequal()
    feed = Feed(samples, ViewsSection(), None, batch_size=12, seed=0, balanced=True)
    orders = [[index for index, _ in feed.batch_indices(epoch)] for epoch in range(4)]
    for batches in orders:
        assert len(batches) == 10
        for index in batches:
            assert np.bincount(samples.labels[index]).tolist() == [4, 4, 4]
        drawn = np.bincount(np.concatenate(batches), minlength=120)
        assert drawn[:90].max() == 1 and drawn[90:110].tolist() == [2] * 20 and drawn[110:].tolist() == [4] * 10
    assert not np.array_equal(orders[0], orders[1])
    assert np.array_equal(orders[1], [index for index, _ in feed.batch_indices(1)])


def test_a_batch_that_classes_do_not_divide_differs_by_one() -> None:
    feed = Feed(unequal(), ViewsSection(), None, batch_size=10, seed=0, balanced=True)
    for index, _ in feed.batch_indices(0):
        counts = np.bincount(unequal().labels[index], minlength=3)
        assert counts.sum() == 10 and counts.min() == 3 and counts.max() == 4


def test_soft_labels_take_the_place_of_labels() -> None:
    samples = unequal()
    soft_labels = np.random.default_rng(0).dirichlet([1, 1, 1], 120).astype(np.float32)
    soft = Samples(samples.images, samples.labels, samples.ids, soft_labels=soft_labels)
    feed = Feed(soft, ViewsSection(), None, batch_size=30, seed=0)
    _, truth = next(feed.dataset(0, 1).as_numpy_iterator())
    assert np.array_equal(truth["label"], soft_labels[next(feed.batch_indices(0))[0]])


def test_the_transforms_of_a_view_are_drawn_once_in_a_training(monkeypatch: pytest.MonkeyPatch) -> None:
    views, drawn = ViewsSection(count=VIEWS, shift_px=1, rotation_deg=45), []

    def counted(views: ViewsSection, ids: np.ndarray, chosen: np.ndarray, height: int, width: int) -> np.ndarray:
        drawn.extend(zip(ids.tolist(), chosen.tolist(), strict=True))
        return select_transforms(views, ids, chosen, height, width)

    monkeypatch.setattr(feeding, "select_transforms", counted)
    kept = [images for images, _ in make_feed(views).dataset(0, 6).as_numpy_iterator()]
    assert len(drawn) == len(set(drawn)) <= N * VIEWS
    drawn.clear()
    monkeypatch.setattr(feeding, "_MAX_TRANSFORM_BYTES", 0)
    anew = [images for images, _ in make_feed(views).dataset(0, 6).as_numpy_iterator()]
    assert len(drawn) == 6 * (N // 32) * 32
    assert all(np.array_equal(one, other) for one, other in zip(kept, anew, strict=True))


@pytest.mark.parametrize("world", [2, 4])
def test_workers_get_slices_of_the_same_batches(world: int) -> None:
    feed = make_feed(ViewsSection(count=VIEWS, shift_px=1, rotation_deg=20))
    whole = list(feed.dataset(1, 3).as_numpy_iterator())
    parts = [replace(feed, rank=rank, world=world) for rank in range(world)]
    slices = [list(part.dataset(1, 3).as_numpy_iterator()) for part in parts]
    assert {part.steps_per_epoch for part in parts} == {feed.steps_per_epoch}
    for step, (images, truth) in enumerate(whole):
        assert np.array_equal(images, np.concatenate([own[step][0] for own in slices]))
        for name, values in truth.items():
            assert np.array_equal(values, np.concatenate([own[step][1][name] for own in slices]))
