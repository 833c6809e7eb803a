from __future__ import annotations

import numpy as np

from kdcompress.data import Samples
from kdcompress.sections import ViewsSection
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
    return Feed(samples, views, targets, batch_size=32, seed=seed)


def test_every_sample_and_view_meets_its_own_target_in_every_epoch() -> None:
    feed = make_feed()
    seen: list[tuple[int, int]] = []
    orders = [
        (i, v) for epoch in range(5) for index, view in feed.order(epoch) for i, v in zip(index, view, strict=True)
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
    drawn = np.concatenate([index for index, _ in feed.order(3)])
    assert len(drawn) == len(set(drawn.tolist())) == 288
    assert feed.steps_per_epoch == 9


def test_the_seed_decides_the_order() -> None:
    assert next(make_feed().order(0))[0].tolist() != next(make_feed(seed=1).order(0))[0].tolist()


def test_fewer_samples_than_a_batch() -> None:
    samples, targets = coded()
    feed = Feed(samples, ViewsSection(), targets, batch_size=1000, seed=0)
    assert (feed.batch, feed.steps_per_epoch) == (N, 1)
    assert len(list(feed.dataset(0, 2))) == 2
