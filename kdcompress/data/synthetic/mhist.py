"""A stand-in for MHIST in its own layout: drawn crypts, smooth (HP) or serrated (SSA), with the votes of 7 annotators.

Every image has a degree of serration from 0 to 1, which is all that the simulated annotators see. An annotator votes
SSA if the degree plus a reading error is above the annotator's own threshold, and 4 of 7 votes make the label. So
images near the thresholds are contested, with partly random labels.
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
DEGREE = (0.8, 1.3)  # parameters of the beta distribution of degrees, which makes a third of the images SSA
_CANVAS = 384  # minimal size of a drawing in pixels, before it is scaled down
_SMOOTHING = 2  # minimal factor by which it is scaled down


class Cell(NamedTuple):
    """A part and class of the published MHIST.

    Attributes:
        part: "train" or "test".
        label: Class.
        published: Number of its images.
    """

    part: str
    label: Label
    published: int


CELLS = (Cell("train", "HP", 1545), Cell("train", "SSA", 630), Cell("test", "HP", 617), Cell("test", "SSA", 360))
PUBLISHED = sum(cell.published for cell in CELLS)


class MhistSynthetic(Synthetic):
    """Generator of images/SYN_0001.png and so on, and annotations.csv."""

    default = DrawingConfig(PUBLISHED, 224, 0)
    min_count = len(CELLS)

    def draw(self, folder: Path, config: DrawingConfig, index: int) -> None:
        """Draw one image; see `Synthetic.draw`."""
        path = folder / "images" / image_name(index)
        path.parent.mkdir(exist_ok=True)
        degree, _ = draw_reading(config.seed, index)
        pixels = draw_image(degree, config.size, _make_rng(config.seed, index, "picture"))
        Image.fromarray(pixels).save(path, compress_level=4)

    def finish(self, folder: Path, config: DrawingConfig) -> dict[str, Any]:
        """Write annotations.csv; see `Synthetic.finish`."""
        with (folder / "annotations.csv").open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out, lineterminator="\r\n")
            writer.writerow(HEADER)
            for index in range(config.count):
                cell, (_, votes) = cell_of(index), draw_reading(config.seed, index)
                writer.writerow([image_name(index), cell.label, votes, cell.part])
        noise = {
            "annotators": ANNOTATORS,
            "majority": MAJORITY,
            "degree": {"distribution": "beta", "a": DEGREE[0], "b": DEGREE[1]},
            "thresholds": [round(float(threshold), 4) for threshold in _thresholds(config.seed)],
            "reading_error": {"distribution": "normal", "standard_deviation": READING_ERROR},
            "rule": "an annotator votes SSA when degree of serration + reading error > the annotator's threshold",
        }
        return {"noise_model": noise}


def image_name(index: int) -> str:
    """Return the file name of an image.

    Args:
        index: Index of the image, from 0.
    """
    return f"SYN_{index + 1:04d}.png"


def draw_image(degree: float, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw tissue; images of different sizes differ only in resolution and noise.

    Args:
        degree: Degree of serration, 0 to 1.
        size: Height and width in pixels.
        rng: Random generator.

    Returns:
        RGB pixels, (size, size, 3).
    """
    smoothing = max(_SMOOTHING, -(-_CANVAS // size))
    return simulate_scan(draw_tissue(degree, smoothing * size, rng), size, rng)


def cell_of(index: int) -> Cell:
    """Return the part and class of an image, which do not depend on the number of images.

    Args:
        index: Index of the image, from 0.
    """
    return CELLS[_order()[index % PUBLISHED]]


@functools.cache
def _order() -> list[int]:
    """Return the cell of each image: each once, then always the one furthest below its published share.

    So any number of images has about the published proportions, and PUBLISHED images have exactly the published counts.
    """
    published = np.array([cell.published for cell in CELLS])
    order = list(range(len(CELLS)))
    counts = np.ones(len(CELLS), np.int64)
    for index in range(len(CELLS), PUBLISHED):
        order.append(int(np.argmax(published * (index + 1) - PUBLISHED * counts)))
        counts[order[-1]] += 1
    return order


def draw_reading(seed: int, index: int) -> tuple[float, int]:
    """Draw the degree of serration of an image and its votes, repeatedly until the votes give the image's label.

    Args:
        seed: Seed of the data set.
        index: Index of the image, from 0.

    Returns:
        Degree, 0 to 1, and number of annotators who chose SSA.
    """
    rng = _make_rng(seed, index, "votes")
    is_ssa = cell_of(index).label == "SSA"
    while True:
        degree = float(rng.beta(*DEGREE))
        votes = int((degree + rng.normal(0, READING_ERROR, ANNOTATORS) > _thresholds(seed)).sum())
        if (votes >= MAJORITY) == is_ssa:
            return degree, votes


@functools.lru_cache(1)
def _thresholds(seed: int) -> NDArray[np.float64]:
    """Draw the annotators' thresholds (7,), with mean 0.5."""
    drawn = np.random.default_rng(seed).normal(0, THRESHOLD_SPREAD, ANNOTATORS)
    return np.array(0.5 + drawn - drawn.mean())


def _make_rng(seed: int, index: int, use: Literal["picture", "votes"]) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index, ("picture", "votes").index(use))))


SYNTHETIC = MhistSynthetic()
