"""The shape of one drawn crypt: a tube cut across or along, with a lumen that is smooth or serrated.

Lengths are fractions of the image's width. The degree of serration, 0 to 1, decides structure alone: how deep the teeth
of the lumen are and how far down they reach, how wide the base is, and whether it has the form of a boot. The areas of
crypt and lumen are given from outside, so that they tell nothing of the degree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_STEP = 0.006  # between two points of an outline
_TOOTH_ALONG, _TOOTH_ACROSS = 0.045, 0.07  # from tooth to tooth, measured at the outside of the crypt
_THINNEST, _THICKEST = 0.27, 0.9  # of the epithelium, as a share of the tube's half width


@dataclass(frozen=True)
class Tube:
    """A tube before it has a size: points (n, 2) along its middle from mouth to base, unit vectors (n, 2) across it,
    half its width (n,), and how near to the base each point is (n,), from 0 to 1.
    """

    centres: Points
    across: Points
    radii: Points
    level: Points


@dataclass(frozen=True)
class Crypt:
    """Outlines (n, 2) of the crypt and of its lumen, point by point; inward normals (n, 2) and the epithelium's
    thickness (n,) there; discs (m, 2), (m,) that cover the crypt.
    """

    outer: Points
    lumen: Points
    inward: Points
    depth: Points
    centres: Points
    radii: Points

    def at(self, place: Points) -> Crypt:
        """The same crypt, moved from the origin to `place` (x, y)."""
        centres = self.centres + place
        return Crypt(self.outer + place, self.lumen + place, self.inward, self.depth, centres, self.radii)


def draw_crypt(degree: float, area: float, share: float, along: bool, angle: float, rng: np.random.Generator) -> Crypt:
    """A crypt of this `area`, of which the lumen takes `share`, cut along its length or across, its base at `angle`."""
    tube = _tube_along(degree, rng) if along else _tube_across(rng)
    outline = _outline(tube)
    scale = np.sqrt(area / _area(outline))
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = tube.centres.mean(axis=0)
    outer, width, level = _resampled((outline - middle) @ turn, _around(scale * tube.radii), _around(tube.level))
    inward = _normals(outer)
    teeth = _teeth(degree, level, _TOOTH_ALONG if along else _TOOTH_ACROSS, rng)
    depth = _depth(outer, inward, width, teeth, share * area)
    lumen = outer + depth[:, None] * inward
    return Crypt(outer, lumen, inward, depth, (tube.centres - middle) @ turn, scale * tube.radii)


def _tube_along(degree: float, rng: np.random.Generator) -> Tube:
    """A long tube, slightly bent; of a high degree the base is dilated, more to one side, as a boot is."""
    s = np.linspace(0, 1, 40)
    heading = rng.normal(0, 0.4) * (s - 0.5)
    steps = np.column_stack([np.cos(heading), np.sin(heading)]) * (rng.uniform(2.6, 4.6) / len(s))
    across = np.column_stack([-steps[:, 1], steps[:, 0]]) / np.hypot(*steps.T)[:, None]
    base = _smoothstep((s - 0.55) / 0.35)
    left, right = rng.permutation([rng.uniform(0.7, 1.6), rng.uniform(0.0, 0.5)]) * degree - 0.12
    ripple = 0.05 * np.sin(2 * np.pi * (s * rng.uniform(0.5, 1.5) + rng.random()))
    centres = np.cumsum(steps, axis=0) + ((left - right) / 2 * base)[:, None] * across
    return Tube(centres, across, 1 + (left + right) / 2 * base + ripple, s)


def _tube_across(rng: np.random.Generator) -> Tube:
    """A short, all but round piece of a tube, cut at some level between mouth and base."""
    s = np.linspace(0, 1, 8)
    centres = np.column_stack([s * rng.uniform(0.1, 0.9), np.zeros(len(s))])
    across = np.tile([0.0, 1.0], (len(s), 1))
    return Tube(centres, across, np.ones(len(s)), np.full(len(s), rng.random()))


def _outline(tube: Tube) -> Points:
    """The closed outline (2 n + 32, 2) of a tube with round ends."""
    half = np.linspace(-np.pi / 2, np.pi / 2, 18)[1:-1, None]
    ends = []
    for at, sign in ((-1, 1), (0, -1)):
        beside = sign * tube.across[at]
        ahead = np.array([beside[1], -beside[0]])
        ends.append(tube.centres[at] + tube.radii[at] * (np.cos(half) * ahead - np.sin(half) * beside))
    side = tube.across * tube.radii[:, None]
    return np.concatenate([tube.centres + side, ends[0], (tube.centres - side)[::-1], ends[1]])


def _around(along: Points) -> Points:
    """Figures given along a tube, for the points of its outline."""
    return np.concatenate([along, np.full(16, along[-1]), along[::-1], np.full(16, along[0])])


def _resampled(outline: Points, *beside: Points) -> list[Points]:
    """A closed outline (n, 2) with its points _STEP apart, and the figures of `beside` at them."""
    columns = np.column_stack([outline, *beside])
    closed = np.concatenate([columns, columns[:1]])
    along = np.append(0, np.cumsum(np.hypot(*np.diff(closed[:, :2], axis=0).T)))
    places = np.linspace(0, along[-1], max(24, round(along[-1] / _STEP)), endpoint=False)
    x, y, *others = (np.interp(places, along, column) for column in closed.T)
    return [np.column_stack([x, y]), *others]


def _normals(outline: Points) -> Points:
    """Unit normals (n, 2) of a closed outline, pointing inward."""
    tangent = np.roll(outline, -3, axis=0) - np.roll(outline, 3, axis=0)
    across = np.column_stack([-tangent[:, 1], tangent[:, 0]])
    normal = np.asarray(across / np.hypot(*tangent.T)[:, None])
    return normal if _signed_area(outline) > 0 else -normal


def _teeth(degree: float, level: Points, spacing: float, rng: np.random.Generator) -> Points:
    """How far the lumen reaches out (above 0) or stays back at each point, as a share of half the tube's width.

    The teeth of a low degree are shallow and stand near the mouth (level 0) alone; those of a high degree are deep and
    reach the base (level 1).
    """
    n = len(level)
    count = max(4, round(_STEP * n / spacing))
    gaps = rng.uniform(0.7, 1.3, count)
    begin = np.append(0, np.cumsum(gaps / gaps.sum())) * n
    peak = begin[:-1] + rng.uniform(0.55, 0.8, count) * np.diff(begin)
    valley = -rng.uniform(0.5, 1, count)
    knots = np.append(np.column_stack([begin[:-1], peak]).ravel(), n)
    heights = np.append(np.column_stack([valley, rng.uniform(0.5, 1, count)]).ravel(), valley[0])
    reach = _smoothstep((0.1 + 1.2 * degree - level) / 0.25 + 0.5)
    return np.asarray((0.03 + 0.55 * degree) * reach * np.interp(np.arange(n), knots, heights))


def _depth(outer: Points, inward: Points, width: Points, teeth: Points, lumen: float) -> Points:
    """The thickness of the epithelium at each point that leaves a lumen of this area."""
    low, high = 0.0, 1.5
    for _ in range(9):
        middle = (low + high) / 2
        depth = np.asarray(width * np.clip(middle - teeth, _THINNEST, _THICKEST))
        if _area(outer + depth[:, None] * inward) > lumen:
            low = middle
        else:
            high = middle
    return depth


def _area(outline: Points) -> float:
    return abs(_signed_area(outline))


def _signed_area(outline: Points) -> float:
    x, y = outline.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _smoothstep(x: Points) -> Points:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))
