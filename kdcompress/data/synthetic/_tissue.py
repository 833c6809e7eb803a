"""Drawing of a section of mucosa: crypts in stroma, with nuclei, goblet cells and sometimes an empty edge.

The channels of the drawing are the doses of haematoxylin, eosin and mucus. Lengths are fractions of its width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from kdcompress.data.synthetic._crypts import Crypt, Points, draw_crypt

Dye = tuple[int, int, int]

_EMPTY: Dye = (3, 5, 0)
_STROMA: Dye = (22, 88, 0)
_MEMBRANE: Dye = (30, 120, 0)
_EPITHELIUM: Dye = (52, 82, 10)
_GOBLET: Dye = (14, 18, 70)
_CIRCLE = np.column_stack([np.cos(a := np.linspace(0, 2 * np.pi, 10, endpoint=False)), np.sin(a)])

_TRIES, _POSITIONS = 30, 60  # crypts, and positions tried for each
_MIN_DISTANCE = 0.015  # between two crypts
_FIBRES = 90
_EDGE_PROBABILITY = 0.3


def draw_tissue(degree: float, canvas: int, rng: np.random.Generator) -> Image.Image:
    """Draw tissue, which depends on the degree and `rng` alone, not on the canvas.

    Args:
        degree: Degree of serration, 0 to 1.
        canvas: Height and width in pixels.
        rng: Random generator.

    Returns:
        Image of dye doses.
    """
    picture = Image.new("RGB", (canvas, canvas), _STROMA)
    pen = _Pen(picture)
    crypts = _arrange_crypts(degree, rng)
    _draw_stroma(pen, rng)
    goblets = rng.uniform(0.1, 0.7)
    for crypt in crypts:
        _draw_crypt(pen, crypt, goblets, rng)
    if rng.random() < _EDGE_PROBABILITY:
        _draw_edge(pen, rng)
    return picture


class _Pen:
    """Draws on an image with coordinates that are fractions of its width."""

    def __init__(self, picture: Image.Image) -> None:
        self.draw, self.width = ImageDraw.Draw(picture), picture.width

    def polygon(self, outline: Points, dye: Dye) -> None:
        """Fill an outline (n, 2)."""
        self.draw.polygon((self.width * outline).ravel().tolist(), dye)

    def line(self, begin: Points, end: Points, dye: Dye) -> None:
        """Draw a thin straight line."""
        self.draw.line((self.width * np.concatenate([begin, end])).tolist(), dye, max(1, round(0.005 * self.width)))

    def ellipses(self, centres: Points, angles: Points, long: Points, thin: Points, dyes: NDArray[np.int64]) -> None:
        """Fill ellipses with the given `centres` (n, 2) and rotated by `angles` (n,), in `dyes` (n, 3)."""
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        x, y = long[:, None] * _CIRCLE[:, 0], thin[:, None] * _CIRCLE[:, 1]
        corners = np.stack([x * cos - y * sin, x * sin + y * cos], axis=-1) + centres[:, None]
        outlines = (self.width * corners).reshape(-1, 2 * len(_CIRCLE)).tolist()
        for outline, dye in zip(outlines, dyes.tolist(), strict=True):
            self.draw.polygon(outline, tuple(dye))


def _arrange_crypts(degree: float, rng: np.random.Generator) -> list[Crypt]:
    """Arrange crypts that do not overlap and cover a share of the image that is independent of the degree."""
    coverage, long_share, angle = rng.uniform(0.42, 0.62), rng.uniform(0.2, 0.7), rng.uniform(0, 2 * np.pi)
    typical, share = rng.uniform(0.028, 0.04), rng.uniform(0.16, 0.26)
    placed: list[Crypt] = []
    covered = 0.0
    for _ in range(_TRIES):
        if covered >= coverage:
            break
        along = bool(rng.random() < long_share)
        area = typical * rng.uniform(0.7, 1.4) * (1.7 if along else 1.0)
        lumen = share * (
            1 + (0.1 + 0.5 * degree) * rng.uniform(-1, 1)
        )  # uneven dilation, with the same mean for all degrees
        crypt_degree = float(np.clip(degree + rng.normal(0, 0.1), 0, 1))
        crypt = draw_crypt(crypt_degree, area, lumen, along, angle + rng.normal(0, 0.25), rng)
        if (position := _free_position(crypt, placed, rng)) is not None:
            placed.append(crypt.moved_to(position))
            covered += area
    return placed


def _free_position(crypt: Crypt, placed: list[Crypt], rng: np.random.Generator) -> Points | None:
    """Return the position closest to another crypt without overlap, of some tries; None if there is no room."""
    tries = rng.uniform(-0.02, 1.02, (_POSITIONS, 2))
    if not placed:
        return np.asarray(tries[0])
    centres = np.concatenate([other.centres[::3] for other in placed])
    radii = np.concatenate([other.radii[::3] for other in placed])
    discs, reach = crypt.centres[::3], crypt.radii[::3]
    away = np.linalg.norm(tries[:, None, None] + discs[None, :, None] - centres, axis=-1) - radii - reach[:, None]
    nearest = away.min(axis=(1, 2))
    nearest[nearest < _MIN_DISTANCE] = np.inf
    best = int(nearest.argmin())
    return np.asarray(tries[best]) if np.isfinite(nearest[best]) else None


def _draw_stroma(pen: _Pen, rng: np.random.Generator) -> None:
    """Draw fibres, spindle cells and lymphocytes."""
    begins, turns, lengths = rng.random((_FIBRES, 2)), rng.uniform(0, 7, _FIBRES), rng.uniform(0.04, 0.12, _FIBRES)
    ends = begins + lengths[:, None] * np.column_stack([np.cos(turns), np.sin(turns)])
    for begin, end, eosin in zip(begins, ends, rng.integers(50, 150, _FIBRES).tolist(), strict=True):
        pen.line(begin, end, (16, eosin, 0))
    count = int(rng.integers(90, 260))
    angles = rng.uniform(0, np.pi, count)
    long, thin = rng.uniform(0.008, 0.014, count), rng.uniform(0.0035, 0.008, count)
    pen.ellipses(rng.random((count, 2)), angles, long, thin, _nuclear_dyes(count, rng))


def _draw_crypt(pen: _Pen, crypt: Crypt, goblets: float, rng: np.random.Generator) -> None:
    """Draw membrane, epithelium, some goblet cells, lumen, and nuclei along the membrane."""
    pen.polygon(crypt.outer - 0.004 * crypt.inward, _MEMBRANE)
    pen.polygon(crypt.outer, _EPITHELIUM)
    rows = np.arange(0, len(crypt.outer), 3)
    filled = rows[(rng.random(len(rows)) < goblets) & (crypt.depth[rows] > 0.03)]
    _draw_cells(
        pen, crypt, filled, 0.62 * crypt.depth[filled], (0.011, 0.0075), np.tile(_GOBLET, (len(filled), 1)), rng
    )
    pen.polygon(crypt.lumen, _EMPTY)
    sink = np.minimum(rng.uniform(0.008, 0.014, len(rows)), 0.5 * crypt.depth[rows])
    _draw_cells(pen, crypt, rows, sink, (0.0095, 0.006), _nuclear_dyes(len(rows), rng), rng)


def _draw_cells(
    pen: _Pen,
    crypt: Crypt,
    rows: NDArray[np.int64],
    sink: Points,
    axes: tuple[float, float],
    dyes: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """Draw upright ellipses at `rows` of a crypt's outline, with centres at depth `sink` in the epithelium."""
    normal = crypt.inward[rows]
    angles = np.arctan2(normal[:, 1], normal[:, 0]) + rng.normal(0, 0.2, len(rows))
    centres = crypt.outer[rows] + sink[:, None] * normal + rng.normal(0, 0.0012, (len(rows), 2))
    long, thin = (axis * rng.uniform(0.8, 1.2, len(rows)) for axis in axes)
    pen.ellipses(centres, angles, long, thin, dyes)


def _draw_edge(pen: _Pen, rng: np.random.Generator) -> None:
    """Draw the empty space beside the tissue, behind a wavy line."""
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.48)
    t = np.linspace(-1, 1, 40)
    wave = reach + 0.03 * np.sin(5 * t + rng.uniform(0, 6)) + 0.015 * np.sin(17 * t + rng.uniform(0, 6))
    line = np.column_stack([np.append(wave, [2, 2]), np.append(t, [1, -1])])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    pen.polygon(0.5 + line @ turn, _EMPTY)


def _nuclear_dyes(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw random dyes (count, 3) of nuclei."""
    return np.column_stack([rng.integers(130, 235, count), rng.integers(30, 60, count), np.zeros(count, np.int64)])
