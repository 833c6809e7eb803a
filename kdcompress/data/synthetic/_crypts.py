"""Shape of one drawn crypt: a tube cut across or along, with a smooth or serrated lumen.

Lengths are fractions of the image's width. The degree of serration, 0 to 1, determines structure alone: how deep the
teeth of the lumen are and how far down they reach, how wide the base is, and whether it is boot-shaped. The areas of
crypt and lumen are parameters of their own, so that they do not reveal the degree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_STEP = 0.006  # between two points of an outline
_TOOTH_ALONG, _TOOTH_ACROSS = 0.045, 0.07  # distance of teeth, along the outer outline
_MIN_DEPTH, _MAX_DEPTH = 0.27, 0.9  # thickness of the epithelium over the tube's half width


@dataclass(frozen=True)
class Tube:
    """A tube in arbitrary units.

    Attributes:
        centres: Points along its middle, from mouth to base, (n, 2).
        across: Unit vectors across it, (n, 2).
        radii: Half its width, (n,).
        level: Position between mouth (0) and base (1), (n,).
    """

    centres: Points
    across: Points
    radii: Points
    level: Points


@dataclass(frozen=True)
class Crypt:
    """Shape of a crypt.

    Attributes:
        outer: Outline of the crypt, (n, 2).
        lumen: Outline of its lumen, point by point, (n, 2).
        inward: Inward normals of the outline, (n, 2).
        depth: Thickness of the epithelium, (n,).
        centres: Centres of discs that cover the crypt, (m, 2).
        radii: Their radii, (m,).
    """

    outer: Points
    lumen: Points
    inward: Points
    depth: Points
    centres: Points
    radii: Points

    def moved_to(self, position: Points) -> Crypt:
        """Move the crypt from the origin.

        Args:
            position: (x, y).

        Returns:
            The moved crypt.
        """
        centres = self.centres + position
        return Crypt(self.outer + position, self.lumen + position, self.inward, self.depth, centres, self.radii)


def draw_crypt(degree: float, area: float, share: float, along: bool, angle: float, rng: np.random.Generator) -> Crypt:
    """Draw the shape of a crypt, centred at the origin.

    Args:
        degree: Degree of serration, 0 to 1.
        area: Area of the crypt.
        share: Share of the lumen in it.
        along: Whether the tube is cut along its length.
        angle: Direction of the base, in radians.
        rng: Random generator.

    Returns:
        The shape.
    """
    tube = _tube_along(degree, rng) if along else _tube_across(rng)
    outline = _outline(tube)
    scale = np.sqrt(area / _area(outline))
    turn = scale * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = tube.centres.mean(axis=0)
    outer, width, level = _resample(
        (outline - middle) @ turn, _along_outline(scale * tube.radii), _along_outline(tube.level)
    )
    inward = _normals(outer)
    teeth = _teeth(degree, level, _TOOTH_ALONG if along else _TOOTH_ACROSS, rng)
    depth = _depth(outer, inward, width, teeth, share * area)
    lumen = outer + depth[:, None] * inward
    return Crypt(outer, lumen, inward, depth, (tube.centres - middle) @ turn, scale * tube.radii)


def _tube_along(degree: float, rng: np.random.Generator) -> Tube:
    """Return a long, slightly bent tube; for a high degree the base is dilated, more to one side."""
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
    """Return a short, almost round piece of a tube, cut at a random level between mouth and base."""
    s = np.linspace(0, 1, 8)
    centres = np.column_stack([s * rng.uniform(0.1, 0.9), np.zeros(len(s))])
    across = np.tile([0.0, 1.0], (len(s), 1))
    return Tube(centres, across, np.ones(len(s)), np.full(len(s), rng.random()))


def _outline(tube: Tube) -> Points:
    """Return the closed outline (2 n + 32, 2) of a tube with round ends."""
    half = np.linspace(-np.pi / 2, np.pi / 2, 18)[1:-1, None]
    ends = []
    for end, sign in ((-1, 1), (0, -1)):
        sideways = sign * tube.across[end]
        ahead = np.array([sideways[1], -sideways[0]])
        ends.append(tube.centres[end] + tube.radii[end] * (np.cos(half) * ahead - np.sin(half) * sideways))
    side = tube.across * tube.radii[:, None]
    return np.concatenate([tube.centres + side, ends[0], (tube.centres - side)[::-1], ends[1]])


def _along_outline(along: Points) -> Points:
    """Expand values along a tube to the points of its outline."""
    return np.concatenate([along, np.full(16, along[-1]), along[::-1], np.full(16, along[0])])


def _resample(outline: Points, *values: Points) -> list[Points]:
    """Resample a closed outline (n, 2), and values at its points, at distances of _STEP."""
    columns = np.column_stack([outline, *values])
    closed = np.concatenate([columns, columns[:1]])
    along = np.append(0, np.cumsum(np.hypot(*np.diff(closed[:, :2], axis=0).T)))
    positions = np.linspace(0, along[-1], max(24, round(along[-1] / _STEP)), endpoint=False)
    x, y, *others = (np.interp(positions, along, column) for column in closed.T)
    return [np.column_stack([x, y]), *others]


def _normals(outline: Points) -> Points:
    """Return inward unit normals (n, 2) of a closed outline."""
    tangent = np.roll(outline, -3, axis=0) - np.roll(outline, 3, axis=0)
    across = np.column_stack([-tangent[:, 1], tangent[:, 0]])
    normal = np.asarray(across / np.hypot(*tangent.T)[:, None])
    return normal if _signed_area(outline) > 0 else -normal


def _teeth(degree: float, level: Points, spacing: float, rng: np.random.Generator) -> Points:
    """Return how far the lumen extends outward at each point, over half the tube's width; negative between teeth.

    Teeth of a low degree are shallow and only near the mouth (level 0); those of a high degree are deep and reach the
    base (level 1).
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
    """Return the thickness of the epithelium at each point for a lumen of the given area, by bisection."""
    low, high = 0.0, 1.5
    for _ in range(9):
        middle = (low + high) / 2
        depth = np.asarray(width * np.clip(middle - teeth, _MIN_DEPTH, _MAX_DEPTH))
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
