"""What the figures show, worked out by hand."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_bench import bench_of
from made_up_run import logits_of, make
from PIL import Image

from kdcompress import formatting
from kdcompress.metrics.classification import expected_calibration_error
from kdcompress.metrics.softmax import softmax
from kdcompress.reporting._headline import tiles
from kdcompress.reporting._pareto import latency_points, pareto_front, size_points
from kdcompress.reporting._run_data import load_run_data
from kdcompress.reporting.sections import latency, tradeoff
from kdcompress.reporting.sections.confusion import confusion_matrix
from kdcompress.reporting.sections.disagreement import png_uri
from kdcompress.reporting.sections.reliability import calibration_bins
from kdcompress.runs.folder import RunFolder
from kdcompress.verification.latency import latency_ratio


def test_the_pareto_front() -> None:
    fast, good, slow_and_worse, same_speed_but_worse = (1.0, 0.90), (3.0, 0.99), (2.0, 0.89), (1.0, 0.80)
    assert pareto_front([fast, good, slow_and_worse, same_speed_but_worse]) == [0, 1]
    assert pareto_front([slow_and_worse, same_speed_but_worse, good, fast]) == [2, 3]
    assert pareto_front([(2.0, 0.9), (1.0, 0.9)]) == [1]
    assert pareto_front([fast, fast]) == [0, 1]
    assert pareto_front([]) == []


def test_points_are_of_one_image_at_a_time_and_know_whether_they_passed(tmp_path: Path) -> None:
    run = load_run_data(RunFolder(make(tmp_path / "run")))
    points = {point.name: point for point in latency_points(run)}
    assert set(points) == {"teacher fp32", "student fp32", "student int8"}
    assert points["student fp32"].cost == pytest.approx(0.12)
    assert points["teacher fp32"].quality == run.test_metrics["teacher"]["accuracy"]
    by_size = size_points(run)
    assert [point.cost for point in by_size] == [4000, 6100, 1700, 1600]
    assert [point.name for point in by_size if not point.passed] == ["student-int8.failed"]


def test_bins_of_reliability() -> None:
    confidence = np.array([0.05, 0.55, 0.58, 0.99, 1.0])
    right = np.array([False, True, False, True, True])
    first, middle, last = calibration_bins(confidence, right, count=10)
    assert (first.low, first.high, first.n, first.accuracy) == (0.0, 0.1, 1, 0.0)
    assert (middle.low, middle.n, middle.accuracy) == (0.5, 2, 0.5)
    assert middle.confidence == pytest.approx(0.565)
    assert (last.high, last.n, last.accuracy) == (1.0, 2, 1.0)
    assert last.confidence == pytest.approx(0.995)


def test_bins_are_those_of_the_calibration_error() -> None:
    labels, logits = logits_of(5, 500, 3)
    student = logits["student"]
    found = calibration_bins(softmax(student).max(-1), student.argmax(-1) == labels)
    error = sum(one.n * abs(one.accuracy - one.confidence) for one in found) / 500
    assert error == pytest.approx(expected_calibration_error(student, labels))


def test_confusions_count_truth_by_answer(tmp_path: Path) -> None:
    run = load_run_data(RunFolder(make(tmp_path / "run", "finished", classes=("a", "b", "c"))))
    matrix = confusion_matrix(run, "student")
    labels, logits = logits_of(3, 400, 0)
    assert matrix.sum() == 400
    assert matrix[0, 2] == np.sum((labels == 0) & (logits["student"].argmax(-1) == 2))
    assert matrix[:, 3].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("shape", "size"), [((28, 28, 1), (28, 28)), ((28, 20, 3), (20, 28)), ((448, 224, 3), (56, 112))]
)
def test_images_are_kept_or_made_smaller(shape: tuple[int, int, int], size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    head, data = png_uri(pixels).split(",")
    assert head == "data:image/png;base64"
    picture = Image.open(io.BytesIO(base64.b64decode(data)))
    assert picture.size == size
    if max(shape) == 28:
        assert np.array_equal(np.asarray(picture).reshape(shape), pixels)


def test_a_speedup_that_cannot_be_told_from_none_is_no_success(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "exported")
    bench = bench_of(run)
    bench["comparisons"][0]["distinguishable"] = False
    run = load_run_data(RunFolder(run))
    shown = tiles(run.__class__(**{**vars(run), "bench": bench}))[3]
    assert (shown.mood, shown.verdict) == ("same", "no difference is shown")
    assert latency_ratio(bench) == pytest.approx(0.1)
    assert latency_ratio({"models": bench["models"][1:]}) is None


def test_numbers_as_people_read_them() -> None:
    assert [formatting.digits(value) for value in (1234567.0, 81.25, 0.06, 1e-6, 0.0)] == [
        "1.23e+06",
        "81.2",
        "0.0600",
        "1.00e-06",
        "0",
    ]
    assert [formatting.size(value) for value in (999, 1268750, None)] == ["999 B", "1.27 MB", "–"]
    assert [formatting.points(value) for value in (0.006, -0.04, -1e-9)] == ["+0.60", "−4.00", "0.00"]
    assert formatting.truncate("abcdefghij", 5) == "ab…ij"
    assert formatting.clean("a\x00b\nc") == "a\ufffdb\ufffdc"


def test_every_speedup_says_of_which_precision_it_is(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    section = latency.section(load_run_data(RunFolder(run)))
    names = [row[0] for table in section.tables for row in table.rows if table.caption.startswith("Speedup over")]
    assert names == ["student fp32"]


def test_a_benchmark_broken_off_early_has_no_interval_to_show(tmp_path: Path) -> None:
    run = load_run_data(RunFolder(make(tmp_path / "run")))
    assert run.bench is not None
    run.bench["comparisons"][0] |= {"speedup_low": None, "speedup_high": None, "distinguishable": False}
    rows = [row for table in latency.section(run).tables for row in table.rows if row[0] == "student fp32"]
    assert rows[-1][-1] == formatting.MISSING
    assert tiles(run)[-1].verdict == "no difference is shown"


def test_the_words_about_the_pareto_front_are_those_of_its_line(tmp_path: Path) -> None:
    run = load_run_data(RunFolder(make(tmp_path / "run")))
    timed = tradeoff.section(run)
    on_front = [row[0].split()[0] for row in timed.tables[0].rows if row[2] == "on the front"]
    assert on_front == ["1", "2", "3"]
    assert "The line joins the Pareto front, files 3, 2 and 1: the files of which no other is" in timed.text[0]
    assert timed.figures[0].caption == "Squares: the teacher. Dots: students."
    sizes = tradeoff.section(replace(run, bench=None))
    assert "the files that passed parity of which no other is" in sizes.text[0]
    assert sizes.figures[0].caption.endswith("Dots: students. Crosses: failed parity.")
    assert run.bench
    worse = [{**row, "p50_ms": 9.0} if row["name"] == "student" else row for row in run.bench["models"]]
    single = tradeoff.section(replace(run, bench={**run.bench, "models": worse})).text[0]
    assert "File 1 alone is on the Pareto front: none of the files is better than it in either respect." in single
    assert "line" not in single


def test_the_teacher_is_drawn_as_such_whatever_its_precision(tmp_path: Path) -> None:
    run = load_run_data(RunFolder(make(tmp_path / "run")))
    assert [point.role for point in latency_points(run)] == ["teacher", "student", "student"]
    assert [point.role for point in size_points(run)] == ["teacher", "student", "student", "student"]
