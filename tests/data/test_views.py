from __future__ import annotations

import numpy as np
import pytest

from kdcompress.config.sections import ViewsSection
from kdcompress.data import Samples, apply_transforms, view_transforms


def test_view_0_is_the_image_itself(small: Samples) -> None:
    table = view_transforms(ViewsSection(count=3), small.ids, 28, 28)
    assert np.array_equal(np.asarray(apply_transforms(small.images, table[:, 0])), small.images)


def test_a_shift_by_whole_pixels_moves_them() -> None:
    image = np.zeros((1, 5, 5, 1), np.uint8)
    image[0, 2, 2] = 200
    # The parameters say where an output pixel comes from: (x + 1, y + 2) moves content left by 1 and up by 2.
    moved = np.asarray(apply_transforms(image, np.array([[1, 0, 1, 0, 1, 2, 0, 0]], np.float32)))
    assert moved[0, 0, 1, 0] == 200
    assert moved.sum() == 200


def test_a_turn_by_ninety_degrees_is_numpy_s(small: Samples) -> None:
    from kdcompress.data.views import projective

    turn = np.array([projective(np.pi / 2, 0.0, 0.0, 28, 28)], np.float32)
    moved = np.asarray(apply_transforms(small.images[:1], turn))[0]
    assert np.array_equal(moved, np.rot90(small.images[0], k=1)) or np.array_equal(
        moved, np.rot90(small.images[0], k=-1)
    )
    back = np.array([projective(-np.pi / 2, 0.0, 0.0, 28, 28)], np.float32)
    assert np.array_equal(np.asarray(apply_transforms(moved[None], back))[0], small.images[0])


def test_the_centre_stays() -> None:
    views = ViewsSection(count=2, shift_px=0, rotation_deg=90)
    image = np.zeros((1, 5, 5, 1), np.uint8)
    image[0, 2, 2] = 255
    for sample in ("a", "b", "c"):
        table = view_transforms(views, np.array([sample]), 5, 5)
        assert np.asarray(apply_transforms(image, table[:, 1]))[0, 2, 2, 0] == 255  # the centre stays


def test_a_view_depends_on_sample_and_number_alone(small: Samples) -> None:
    views = ViewsSection(count=4)
    table = view_transforms(views, small.ids, 28, 28)
    order = np.random.default_rng(0).permutation(len(small))
    assert np.array_equal(view_transforms(views, small.ids[order], 28, 28), table[order])
    assert np.array_equal(view_transforms(ViewsSection(count=2), small.ids, 28, 28), table[:, :2])
    whole = np.asarray(apply_transforms(small.images, table[:, 2]))
    alone = np.asarray(apply_transforms(small.images[order[:7]], table[order[:7], 2]))
    assert np.array_equal(alone, whole[order[:7]])


def test_shifts_and_turns_stay_within_their_limits(small: Samples) -> None:
    table = view_transforms(ViewsSection(count=8, shift_px=2, rotation_deg=10), small.ids, 28, 28)[:, 1:].reshape(-1, 8)
    angles = np.rad2deg(np.arctan2(table[:, 3], table[:, 0]))
    assert 9 < np.abs(angles).max() <= 10
    centre = np.array([13.5, 13.5, 1])
    shift_x = table[:, :3] @ centre - 13.5
    shift_y = table[:, 3:6] @ centre - 13.5
    for shift in (shift_x, shift_y):
        assert 1.8 < np.abs(shift).max() <= 2.0001
        assert abs(shift.mean()) < 0.1


def test_a_view_is_the_same_at_another_size() -> None:
    from kdcompress.data import scale_transforms
    from kdcompress.data.views import projective

    # A shift by 2 pixels of 28 is one by 4 of 56; a turn about the centre stays one
    shift = np.array(projective(0.0, 2.0, -1.0, 28, 28), np.float32)
    assert scale_transforms(shift, (28, 28), (56, 56)) == pytest.approx(projective(0.0, 4.0, -2.0, 56, 56), abs=1e-5)
    turn = np.array([projective(0.3, 0.0, 0.0, 28, 28)], np.float32)
    assert scale_transforms(turn, (28, 28), (56, 56))[0] == pytest.approx(projective(0.3, 0.0, 0.0, 56, 56), abs=1e-5)
    stretched = scale_transforms(shift, (28, 28), (14, 56))
    assert stretched == pytest.approx([1, 0, 4, 0, 1, -0.5, 0, 0], abs=1e-5)


def test_flips_are_the_eight_of_a_square_and_nothing_else(small: Samples) -> None:
    views = ViewsSection(count=8, flips=True, rotation_deg=0, shift_px=0)
    table = view_transforms(views, small.ids[:1], 28, 28)
    image = small.images[0]
    made = {
        np.asarray(apply_transforms(image[None], table[:, view]))[0].astype(np.uint8).tobytes() for view in range(8)
    }
    turned = [np.rot90(one, quarter) for one in (image, image[:, ::-1]) for quarter in range(4)]
    assert made == {np.ascontiguousarray(one).tobytes() for one in turned}
    assert len(made) == 8


def test_of_an_image_that_is_not_square_four_flips_keep_the_frame() -> None:
    views = ViewsSection(count=8, flips=True, rotation_deg=0, shift_px=0)
    image = np.random.default_rng(0).integers(1, 256, (1, 6, 9, 3), np.uint8)
    table = view_transforms(views, np.array(["a"]), 6, 9)
    made = [np.asarray(apply_transforms(image, table[:, view]))[0].astype(np.uint8) for view in range(8)]
    expected = [image[0], image[0, :, ::-1], image[0, ::-1], image[0, ::-1, ::-1]]
    assert all(np.array_equal(a, b) for a, b in zip(made, [*expected, *expected], strict=True))


def test_flips_are_turned_further_within_the_limit() -> None:
    table = view_transforms(ViewsSection(count=8, flips=True, rotation_deg=20), np.array(["a", "b", "c"]), 28, 28)
    for view in range(8):
        determinant = table[:, view, 0] * table[:, view, 4] - table[:, view, 1] * table[:, view, 3]
        assert determinant == pytest.approx(-1 if view in (1, 2, 6, 7) else 1, abs=1e-5)
        angle = np.rad2deg(np.arctan2(table[:, view, 3], table[:, view, 0]))
        assert np.all(np.abs((angle + 45) % 90 - 45) <= 20.001)


def test_edges_are_mirrored_where_that_is_asked() -> None:
    white = np.full((1, 20, 20, 3), 255, np.uint8)
    turn = view_transforms(ViewsSection(count=2, rotation_deg=45, shift_px=5), np.array(["a"]), 20, 20)[:, 1]
    assert np.asarray(apply_transforms(white, turn)).min() == 0
    assert np.asarray(apply_transforms(white, turn, "reflect")).min() == 255
