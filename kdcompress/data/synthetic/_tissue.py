"""A section of mucosa, drawn: crypts in stroma, with nuclei, goblet cells and sometimes an empty edge.

What is drawn is how much of each dye a place took up: the channels of the picture are haematoxylin, eosin and mucus.
Lengths are fractions of the picture's width.
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

_TRIES, _PLACES = 30, 60  # crypts that are tried, and places for each of them
_APART = 0.015  # of two crypts, at least
_FIBRES = 90
_EMPTY_EDGES = 0.3  # of all images


def draw_tissue(degree: float, canvas: int, rng: np.random.Generator) -> Image.Image:
    """A picture (canvas x canvas) of dyes for tissue of this degree of serration, 0 to 1.

    What is drawn depends on the degree and `rng` alone, not on the canvas.
    """
    picture = Image.new("RGB", (canvas, canvas), _STROMA)
    pen = _Pen(picture)
    crypts = _place(degree, rng)
    _stroma(pen, rng)
    goblets = rng.uniform(0.1, 0.7)
    for crypt in crypts:
        _crypt(pen, crypt, goblets, rng)
    if rng.random() < _EMPTY_EDGES:
        _edge(pen, rng)
    return picture


class _Pen:
    """Draws on a picture in fractions of its width."""

    def __init__(self, picture: Image.Image) -> None:
        self.draw, self.width = ImageDraw.Draw(picture), picture.width

    def polygon(self, outline: Points, dye: Dye) -> None:
        """A filled outline (n, 2)."""
        self.draw.polygon((self.width * outline).ravel().tolist(), dye)

    def line(self, begin: Points, end: Points, dye: Dye) -> None:
        """A thin straight line."""
        self.draw.line((self.width * np.concatenate([begin, end])).tolist(), dye, max(1, round(0.005 * self.width)))

    def ellipses(self, places: Points, angles: Points, long: Points, thin: Points, dyes: NDArray[np.int64]) -> None:
        """Filled ellipses about `places` (n, 2), their long axis at an angle, in `dyes` (n, 3)."""
        cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
        x, y = long[:, None] * _CIRCLE[:, 0], thin[:, None] * _CIRCLE[:, 1]
        corners = np.stack([x * cos - y * sin, x * sin + y * cos], axis=-1) + places[:, None]
        outlines = (self.width * corners).reshape(-1, 2 * len(_CIRCLE)).tolist()
        for outline, dye in zip(outlines, dyes.tolist(), strict=True):
            self.draw.polygon(outline, tuple(dye))


def _place(degree: float, rng: np.random.Generator) -> list[Crypt]:
    """Crypts that do not overlap and together cover a share of the image that has nothing to do with the degree."""
    wanted, long_ones, angle = rng.uniform(0.42, 0.62), rng.uniform(0.2, 0.7), rng.uniform(0, 2 * np.pi)
    typical, share = rng.uniform(0.028, 0.04), rng.uniform(0.16, 0.26)
    placed: list[Crypt] = []
    covered = 0.0
    for _ in range(_TRIES):
        if covered >= wanted:
            break
        along = bool(rng.random() < long_ones)
        area = typical * rng.uniform(0.7, 1.4) * (1.7 if along else 1.0)
        lumen = share * (1 + (0.1 + 0.5 * degree) * rng.uniform(-1, 1))  # uneven dilation, the same in the mean
        own = float(np.clip(degree + rng.normal(0, 0.1), 0, 1))
        crypt = draw_crypt(own, area, lumen, along, angle + rng.normal(0, 0.25), rng)
        if (place := _free_place(crypt, placed, rng)) is not None:
            placed.append(crypt.at(place))
            covered += area
    return placed


def _free_place(crypt: Crypt, placed: list[Crypt], rng: np.random.Generator) -> Points | None:
    """A place where the crypt overlaps no other, as near to one as the tries find; None if there is no room."""
    tries = rng.uniform(-0.02, 1.02, (_PLACES, 2))
    if not placed:
        return np.asarray(tries[0])
    centres = np.concatenate([other.centres[::3] for other in placed])
    radii = np.concatenate([other.radii[::3] for other in placed])
    own, reach = crypt.centres[::3], crypt.radii[::3]
    away = np.linalg.norm(tries[:, None, None] + own[None, :, None] - centres, axis=-1) - radii - reach[:, None]
    nearest = away.min(axis=(1, 2))
    nearest[nearest < _APART] = np.inf
    best = int(nearest.argmin())
    return np.asarray(tries[best]) if np.isfinite(nearest[best]) else None


def _stroma(pen: _Pen, rng: np.random.Generator) -> None:
    """Fibres, spindle cells and lymphocytes."""
    begins, turns, lengths = rng.random((_FIBRES, 2)), rng.uniform(0, 7, _FIBRES), rng.uniform(0.04, 0.12, _FIBRES)
    ends = begins + lengths[:, None] * np.column_stack([np.cos(turns), np.sin(turns)])
    for begin, end, eosin in zip(begins, ends, rng.integers(50, 150, _FIBRES).tolist(), strict=True):
        pen.line(begin, end, (16, eosin, 0))
    count = int(rng.integers(90, 260))
    angles = rng.uniform(0, np.pi, count)
    long, thin = rng.uniform(0.008, 0.014, count), rng.uniform(0.0035, 0.008, count)
    pen.ellipses(rng.random((count, 2)), angles, long, thin, _nuclear(count, rng))


def _crypt(pen: _Pen, crypt: Crypt, goblets: float, rng: np.random.Generator) -> None:
    """Membrane, epithelium, goblet cells at a share of the places, lumen, and the row of nuclei along the membrane."""
    pen.polygon(crypt.outer - 0.004 * crypt.inward, _MEMBRANE)
    pen.polygon(crypt.outer, _EPITHELIUM)
    rows = np.arange(0, len(crypt.outer), 3)
    filled = rows[(rng.random(len(rows)) < goblets) & (crypt.depth[rows] > 0.03)]
    _cells(pen, crypt, filled, 0.62 * crypt.depth[filled], (0.011, 0.0075), np.tile(_GOBLET, (len(filled), 1)), rng)
    pen.polygon(crypt.lumen, _EMPTY)
    sink = np.minimum(rng.uniform(0.008, 0.014, len(rows)), 0.5 * crypt.depth[rows])
    _cells(pen, crypt, rows, sink, (0.0095, 0.006), _nuclear(len(rows), rng), rng)


def _cells(
    pen: _Pen,
    crypt: Crypt,
    rows: NDArray[np.int64],
    sink: Points,
    axes: tuple[float, float],
    dyes: NDArray[np.int64],
    rng: np.random.Generator,
) -> None:
    """Ellipses on end at `rows` of a crypt's outline, their middle `sink` deep in its epithelium."""
    normal = crypt.inward[rows]
    angles = np.arctan2(normal[:, 1], normal[:, 0]) + rng.normal(0, 0.2, len(rows))
    places = crypt.outer[rows] + sink[:, None] * normal + rng.normal(0, 0.0012, (len(rows), 2))
    long, thin = (axis * rng.uniform(0.8, 1.2, len(rows)) for axis in axes)
    pen.ellipses(places, angles, long, thin, dyes)


def _edge(pen: _Pen, rng: np.random.Generator) -> None:
    """The empty space beside the tissue, behind a wavy line."""
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.48)
    t = np.linspace(-1, 1, 40)
    wave = reach + 0.03 * np.sin(5 * t + rng.uniform(0, 6)) + 0.015 * np.sin(17 * t + rng.uniform(0, 6))
    line = np.column_stack([np.append(wave, [2, 2]), np.append(t, [1, -1])])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    pen.polygon(0.5 + line @ turn, _EMPTY)


def _nuclear(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Dyes (count, 3) of nuclei."""
    return np.column_stack([rng.integers(130, 235, count), rng.integers(30, 60, count), np.zeros(count, np.int64)])
