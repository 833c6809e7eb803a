"""A stand-in for MHIST in its own layout: drawn crypts, smooth (HP) or serrated (SSA), with the votes of 7 annotators.

Every image has a degree of serration from 0 to 1, which is drawn and is all that the annotators see. Each of them votes
SSA when the degree and an error of that reading lie above a threshold of the annotator's own, and 4 of 7 votes make the
label: so images near the thresholds are contested, and their labels are to some extent chance.
"""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdcompress.data.synthetic._base import DrawingConfig, Synthetic
from kdcompress.data.synthetic._stain import simulate_scan
from kdcompress.data.synthetic._tissue import draw_tissue

Label = Literal["HP", "SSA"]

HEADER = ("Image Name", "Majority Vote Label", "Number of Annotators who Selected SSA (Out of 7)", "Partition")
ANNOTATORS = 7
MAJORITY = 4
THRESHOLD_SPREAD = 0.08  # standard deviation of the annotators' thresholds about 0.5
READING_ERROR = 0.14  # standard deviation of one annotator's error on one image
DEGREE = (0.8, 1.3)  # of the beta distribution of degrees: a third of the images come out as SSA
_CANVAS = 384  # pixels that a drawing has at least, before it is scaled down
_SMOOTHING = 2  # drawn pixels along a pixel's side, at least


class Cell(NamedTuple):
    """A part and a class, and how many images of it the published MHIST has."""

    part: str
    label: Label
    published: int


CELLS = (Cell("train", "HP", 1545), Cell("train", "SSA", 630), Cell("test", "HP", 617), Cell("test", "SSA", 360))
PUBLISHED = sum(cell.published for cell in CELLS)


class MhistSynthetic(Synthetic):
    """Images as images/SYN_0001.png, and annotations.csv."""

    default = DrawingConfig(PUBLISHED, 224, 0)
    least = len(CELLS)

    def draw(self, folder: Path, request: DrawingConfig, index: int) -> None:
        """See Synthetic.draw."""
        path = folder / "images" / image_name(index)
        path.parent.mkdir(exist_ok=True)
        degree, _ = draw_reading(request.seed, index)
        pixels = draw_image(degree, request.size, _random(request.seed, index, "picture"))
        Image.fromarray(pixels).save(path, compress_level=4)

    def finish(self, folder: Path, request: DrawingConfig) -> dict[str, Any]:
        """See Synthetic.finish."""
        with (folder / "annotations.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\r\n")
            writer.writerow(HEADER)
            for index in range(request.count):
                cell, (_, votes) = cell_of(index), draw_reading(request.seed, index)
                writer.writerow([image_name(index), cell.label, votes, cell.part])
        noise = {
            "annotators": ANNOTATORS,
            "majority": MAJORITY,
            "degree": {"distribution": "beta", "a": DEGREE[0], "b": DEGREE[1]},
            "thresholds": [round(float(threshold), 4) for threshold in _thresholds(request.seed)],
            "reading_error": {"distribution": "normal", "standard_deviation": READING_ERROR},
            "rule": "an annotator votes SSA when degree of serration + reading error > the annotator's threshold",
        }
        return {"noise_model": noise}


def image_name(index: int) -> str:
    """The file name of image `index`, counted from 0."""
    return f"SYN_{index + 1:04d}.png"


def draw_image(degree: float, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture (size, size, 3) of tissue of this degree of serration; the same one at every size, but for noise."""
    smoothing = max(_SMOOTHING, -(-_CANVAS // size))
    return simulate_scan(draw_tissue(degree, smoothing * size, rng), size, rng)


def cell_of(index: int) -> Cell:
    """The part and the class of image `index`, whatever the number of images: see `_order`."""
    return CELLS[_order()[index % PUBLISHED]]


@functools.cache
def _order() -> list[int]:
    """Cells of the images: each once, then always the one that is furthest behind its share of the published set.

    So any number of images has about the published shares, and PUBLISHED images have exactly the published counts.
    """
    published = np.array([cell.published for cell in CELLS])
    order = list(range(len(CELLS)))
    made = np.ones(len(CELLS), np.int64)
    for index in range(len(CELLS), PUBLISHED):
        order.append(int(np.argmax(published * (index + 1) - PUBLISHED * made)))
        made[order[-1]] += 1
    return order


def draw_reading(seed: int, index: int) -> tuple[float, int]:
    """The degree of serration of image `index`, and how many annotators chose SSA.

    Both are drawn together, again and again until the votes make the label that the image has by its place.
    """
    rng = _random(seed, index, "votes")
    wanted = cell_of(index).label == "SSA"
    while True:
        degree = float(rng.beta(*DEGREE))
        votes = int((degree + rng.normal(0, READING_ERROR, ANNOTATORS) > _thresholds(seed)).sum())
        if (votes >= MAJORITY) == wanted:
            return degree, votes


@functools.lru_cache(1)
def _thresholds(seed: int) -> NDArray[np.float64]:
    """The annotators' thresholds (7,), 0.5 in the mean."""
    drawn = np.random.default_rng(seed).normal(0, THRESHOLD_SPREAD, ANNOTATORS)
    return np.array(0.5 + drawn - drawn.mean())


def _random(seed: int, index: int, use: Literal["picture", "votes"]) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, ("picture", "votes").index(use))))


SYNTHETIC = MhistSynthetic()
