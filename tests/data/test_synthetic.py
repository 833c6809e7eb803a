"""The stand-in for MHIST: its layout, its votes, and that structure tells the class and colour does not."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Recorder
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kdcompress.data import make_source
from kdcompress.data.synthetic import _base as _synthetic
from kdcompress.data.synthetic._base import list_generators, make_synthetic
from kdcompress.data.synthetic._crypts import Crypt, draw_crypt
from kdcompress.data.synthetic.mhist import SYNTHETIC, DrawingConfig, cell_of, draw_image, draw_reading
from kdcompress.errors import UsageError
from kdcompress.progress import Progress

VOTES = "Number of Annotators who Selected SSA (Out of 7)"
FIRST_LINE = f"Image Name,Majority Vote Label,{VOTES},Partition\r\n".encode()


def made(folder: Path, **how: Any) -> Path:
    make_synthetic("mhist", folder, Progress(), **how)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "annotations.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 images of 96 pixels, enough of them to be drawn in processes."""
    return made(tmp_path_factory.mktemp("synthetic") / "some", count=300, size=96)


@pytest.fixture(scope="module")
def pixels(some: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(some / "images" / row["Image Name"])) for row in rows_of(some)])


@pytest.fixture(scope="module")
def serrated(some: Path) -> np.ndarray:
    return np.array([row["Majority Vote Label"] == "SSA" for row in rows_of(some)])


def test_the_layout_is_that_of_mhist(some: Path) -> None:
    text = (some / "annotations.csv").read_bytes()
    assert text.startswith(FIRST_LINE)
    assert text.count(b"\n") == text.count(b"\r\n") == 301
    rows = rows_of(some)
    assert sorted(p.name for p in (some / "images").iterdir()) == [row["Image Name"] for row in rows]
    assert rows[0]["Image Name"] == "SYN_0001.png"
    assert sorted(p.name for p in some.iterdir()) == ["annotations.csv", "images", "synthetic.json"]
    with Image.open(some / "images" / "SYN_0300.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (96, 96))
    for row in rows:
        assert 0 <= int(row[VOTES]) <= 7
        assert (int(row[VOTES]) >= 4) == (row["Majority Vote Label"] == "SSA")


def test_it_says_of_itself_that_it_is_synthetic(some: Path) -> None:
    facts = json.loads((some / "synthetic.json").read_text())
    assert facts["synthetic"] is True
    assert facts["made_by"].startswith("kdcompress ")
    assert (facts["dataset"], facts["seed"], facts["count"], facts["size"]) == ("mhist", 0, 300, 96)
    noise = facts["noise_model"]
    assert len(noise["thresholds"]) == 7
    assert np.mean(noise["thresholds"]) == pytest.approx(0.5, abs=1e-4)
    assert noise["reading_error"]["standard_deviation"] > 0


def test_the_loader_of_mhist_takes_it_and_knows_what_it_is(some: Path) -> None:
    dataset = make_source({"name": "mhist", "dir": str(some)}).load(Progress())
    assert dataset.source.startswith("synthetic")
    assert (len(dataset.train), len(dataset.test)) == (207, 93)
    assert dataset.input_shape == (96, 96, 3)


def test_parts_and_classes_are_as_in_mhist_at_any_count() -> None:
    published = {("train", "HP"): 1545, ("train", "SSA"): 630, ("test", "HP"): 617, ("test", "SSA"): 360}
    assert SYNTHETIC.default == DrawingConfig(3152, 224, 0)
    assert Counter((cell_of(i).part, cell_of(i).label) for i in range(3152)) == published
    count: Counter[tuple[str, str]] = Counter()
    for n in range(1, 5000):
        count[cell_of(n - 1)[:2]] += 1
        if n >= SYNTHETIC.min_count:
            assert set(count) == set(published)
            assert all(abs(count[cell] - n * of / 3152) < 1.5 for cell, of in published.items())


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first = contents(made(tmp_path / "a", count=6, size=48, seed=3))
    assert contents(made(tmp_path / "b", count=6, size=48, seed=3)) == first
    other = contents(made(tmp_path / "c", count=6, size=48, seed=4))
    assert all(other[name] != first[name] for name in first)


def test_an_image_depends_on_seed_and_number_alone(some: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = made(tmp_path / "few", count=5, size=96)
    many = contents(some)
    assert all(many[name] == data for name, data in contents(few).items() if name.startswith("images"))
    assert rows_of(few) == rows_of(some)[:5]
    monkeypatch.setattr(_synthetic, "_MIN_PARALLEL", 1)
    assert contents(made(tmp_path / "in processes", count=5, size=96)) == contents(few)


def test_the_size_does_not_change_what_is_drawn() -> None:
    def at(size: int) -> np.ndarray:
        return np.asarray(draw_image(0.8, size, np.random.default_rng(5))).astype(float)

    large, small = at(192).reshape(96, 2, 96, 2, 3).mean(axis=(1, 3)), at(96)
    assert np.corrcoef(large.ravel(), small.ravel())[0, 1] > 0.95
    other = np.asarray(draw_image(0.8, 96, np.random.default_rng(6))).astype(float)
    assert np.corrcoef(other.ravel(), small.ravel())[0, 1] < 0.7


def test_votes_follow_the_degree_and_are_contested_where_it_is_borderline() -> None:
    drawn = [draw_reading(0, index) for index in range(3152)]
    degrees, votes = (np.array(column) for column in zip(*drawn, strict=True))
    unanimous = (votes == 0) | (votes == 7)
    borderline = np.abs(degrees - 0.5) < 0.1
    assert 0.4 < unanimous.mean() < 0.75
    assert unanimous[borderline].mean() < 0.1
    assert unanimous[np.abs(degrees - 0.5) > 0.35].mean() > 0.9
    means = [degrees[votes == n].mean() for n in range(8)]
    assert means == sorted(means)
    assert 0.95 < roc_auc_score(votes >= 4, degrees) < 0.999  # labels of borderline images are partly chance


def auc(features: np.ndarray, labels: np.ndarray) -> float:
    """Cross-validated AUC of a linear classifier."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(labels, scores))


def teeth(image: np.ndarray) -> float:
    """What a closing adds to the bright lumens, in shares of their area: much between teeth, little when smooth."""
    grey = ndimage.gaussian_filter(image.mean(axis=-1), 0.7)
    low, high = np.percentile(grey, [2, 98])
    pieces, _ = ndimage.label(grey > low + 0.72 * (high - low))
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    lumens = ((sizes > 25) & (sizes < 800))[pieces]  # neither specks nor the empty edge
    filled = ndimage.binary_closing(lumens, iterations=2) & ~lumens
    return float(filled.sum() / max(lumens.sum(), 1))


def test_colour_does_not_tell_the_class(pixels: np.ndarray, serrated: np.ndarray) -> None:
    colours = np.concatenate([pixels.mean(axis=(1, 2)), pixels.std(axis=(1, 2))], axis=1)
    assert auc(colours, serrated) < 0.62
    dark = pixels.mean(axis=(1, 2, 3)) < 150
    assert auc(colours, dark) > 0.95  # what colour does tell, the same classifier finds
    assert colours[:, :3].std(axis=0).min() > 10  # staining varies


def test_structure_tells_the_class(pixels: np.ndarray, serrated: np.ndarray) -> None:
    found = np.array([[teeth(image)] for image in pixels])
    assert auc(found, serrated) > 0.85


def covered(outline: np.ndarray) -> np.ndarray:
    """Which of 800 x 800 pixels of the unit square lie inside an outline about its middle, by Pillow."""
    mask = Image.new("1", (800, 800))
    ImageDraw.Draw(mask).polygon((800 * (outline + 0.5)).ravel().tolist(), 1)
    return np.asarray(mask)


def crypts(degree: float, along: bool) -> list[Crypt]:
    return [draw_crypt(degree, 0.05, 0.22, along, 1.0, np.random.default_rng(seed)) for seed in range(25)]


@pytest.mark.parametrize("along", [True, False])
@pytest.mark.parametrize("degree", [0.0, 0.5, 1.0])
def test_crypts_have_the_areas_asked_for_whatever_their_degree(degree: float, along: bool) -> None:
    for crypt in crypts(degree, along):
        outer, lumen = covered(crypt.outer), covered(crypt.lumen)
        assert outer.mean() == pytest.approx(0.05, rel=0.04)
        assert lumen.mean() == pytest.approx(0.22 * 0.05, rel=0.12)
        assert not (lumen & ~outer).any()


@pytest.mark.parametrize("along", [True, False])
def test_the_lumen_is_the_more_serrated_the_higher_the_degree(along: bool) -> None:
    def roughness(degree: float) -> float:
        steps = [np.diff(crypt.lumen, axis=0, append=crypt.lumen[:1]) for crypt in crypts(degree, along)]
        return float(np.mean([np.hypot(*step.T).sum() for step in steps]))

    found = [roughness(degree) for degree in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found)
    assert found[-1] > 1.5 * found[0]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"count": 3}, "--count must be from 4 to 100000 (4 is the fewest with every class in every part), got 3"),
        ({"count": 100_001}, "--count must be from 4 to 100000"),
        ({"size": 31}, "--size must be from 32 to 1024 pixels, got 31"),
        ({"size": 1025}, "--size must be from 32 to 1024 pixels, got 1025"),
        ({"seed": -1}, "--seed must be from 0 to 4294967295, got -1"),
    ],
)
def test_numbers_out_of_range_are_refused(how: dict[str, int], words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        made(tmp_path / "out", **how)
    assert str(caught.value).startswith(words)
    assert not (tmp_path / "out").exists()


def test_data_sets_without_a_generator_are_refused(tmp_path: Path) -> None:
    assert list_generators() == ["mhist"]
    for name, words in (("mnist", "for 'mnist' (did you mean 'mhist'?)"), ("../x", "data sets that have one: mhist")):
        with pytest.raises(UsageError, match="there is no generator of synthetic images") as caught:
            make_synthetic(name, tmp_path / "out", Progress(), count=4)
        assert words in str(caught.value)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out, words in ((tmp_path, "holds something already"), (tmp_path / "mine.txt", "is a file")):
        with pytest.raises(UsageError, match=words):
            made(out, count=4, size=32)
    assert contents(tmp_path) == {"mine.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    assert len(contents(made(tmp_path / "empty", count=4, size=32))) == 6


def test_what_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = type(SYNTHETIC).draw

    def full(self: Any, folder: Path, request: DrawingConfig, index: int) -> None:
        if index == 2:
            raise OSError(28, "No space left on device")
        draw(self, folder, request, index)

    monkeypatch.setattr(type(SYNTHETIC), "draw", full)
    with pytest.raises(OSError, match="No space"):
        made(tmp_path / "out", count=4, size=32)
    assert list(tmp_path.iterdir()) == []


def test_the_same_command_given_again_leaves_what_it_made(tmp_path: Path) -> None:
    recorder = Recorder()
    make_synthetic("mhist", tmp_path / "made", recorder, count=16, size=32)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "made").rglob("*")}
    assert make_synthetic("mhist", tmp_path / "made", recorder, count=16, size=32).count == 16
    assert recorder.notes == [f"{tmp_path / 'made'} holds them already"]
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "made").rglob("*")} == before
    next((tmp_path / "made").rglob("*.png")).unlink()
    for others in (
        {"count": 16, "size": 32},
        {"count": 16, "size": 32, "seed": 1},
        {"count": 17, "size": 32},
        {"count": 16, "size": 33},
    ):
        with pytest.raises(UsageError, match="holds something already"):
            make_synthetic("mhist", tmp_path / "made", recorder, **others)
