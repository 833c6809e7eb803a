from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import psutil
import pytest
from benchmarking.onnx_files import dense
from conftest import Recorder
from PIL import Image

import kdcompress
from kdcompress import cache, sealed
from kdcompress.benchmarking import _bench, _end_to_end, _result, make_runtime
from kdcompress.benchmarking._request import make_bench_request
from kdcompress.benchmarking._subjects import batches
from kdcompress.config.recipe import read_resolved_recipe
from kdcompress.data import Dataset
from kdcompress.errors import MissingExtraError, ModelError, RunError, UsageError
from kdcompress.exporting import _parity, _teacher
from kdcompress.exporting._pipeline import Exporter
from kdcompress.exporting._teacher import export_teacher
from kdcompress.pipeline.reopening import open_data, reopen_teachers
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import RECIPE

QUICK = {"threads": [1], "duration": 0.03}
MODEL_KEYS = {
    *("name", "path", "runtime", "precision", "threads", "batch_size", "n", "p50_ms", "p90_ms", "p99_ms", "mean_ms"),
    *("max_ms", "throughput_per_s", "load_ms", "first_ms", "peak_rss_mb", "bytes", "quantiles_ms"),
}
PAIR_KEYS = {
    *("student", "teacher", "runtime", "precision", "threads", "batch_size"),
    *("speedup", "speedup_low", "speedup_high", "distinguishable"),
}


class Interrupting(Recorder):
    """Presses Ctrl-C after some rounds."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.rounds = rounds

    def step(self, done: int, parts: Mapping[str, float]) -> None:
        self.rounds -= 1
        if self.rounds == 0:
            raise KeyboardInterrupt


@pytest.fixture(scope="session")
def _exported(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with exports, and a cache beside it that holds its teacher's."""
    folder = tmp_path_factory.mktemp("exported")
    run = shutil.copytree(_finished, folder / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        kdcompress.export(run, ["onnx", "tflite", "saved-model"], ["fp32", "int8"])
        export_teacher(RunFolder(run), open_data_of(run), ["onnx", "tflite"], Progress())
    return folder


@pytest.fixture
def exported(_exported: Path, tmp_path: Path) -> Path:
    """A copy of them, to do with as one likes."""
    shutil.copytree(_exported, tmp_path, dirs_exist_ok=True)
    return tmp_path / "run"


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the fresh processes where they are not the point."""
    monkeypatch.setattr(_bench, "measure_fresh", lambda *args: {"load_ms": 1.0, "first_ms": 1.0, "peak_rss_mb": 1.0})


@pytest.fixture
def one_runtime(exported: Path) -> Path:
    """A run whose exports are for onnxruntime alone."""
    path = exported / "exports/exports.json"
    listed = json.loads(path.read_text())
    del listed["seal"]
    listed["artefacts"] = [entry for entry in listed["artefacts"] if entry["format"] == "onnx"]
    path.write_text(json.dumps(listed))
    RunFolder(exported).commit("exports/exports.json")
    return exported


def open_data_of(run: Path) -> Dataset:
    return open_data(RunFolder(run), read_resolved_recipe(run / RECIPE), None, Progress())


def spoil(seal: bool, **changes: object) -> None:
    """Change what is known of the teacher in the cache."""
    (path,) = cache.cache_dir("exports").glob("*/teacher.json")
    known = json.loads(path.read_text())
    if seal:
        del known["seal"]
        sealed.write_sealed(path, {**known, **changes})
    else:
        path.write_text(json.dumps({**known, **changes}))


def test_a_teacher_whose_exports_are_in_the_cache_is_not_opened(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, dataset = RunFolder(exported), open_data_of(exported)
    with monkeypatch.context() as patch:
        patch.setattr(_teacher, "_find_unopened", lambda *args: None)
        opened = export_teacher(run, dataset, ["onnx", "tflite"], Progress())
    monkeypatch.setattr(_teacher, "reopen_teachers", None)
    unopened = export_teacher(run, dataset, ["onnx", "tflite"], Progress())
    assert unopened == opened
    assert np.array_equal(unopened.images(dataset, [0, 7]), opened.images(dataset, [0, 7]))


@pytest.mark.parametrize(
    ("seal", "changes"),
    [
        (False, {"policy": "mixed_bfloat16"}),
        (True, {"preprocessing": {"scale": 2.0}}),
        (True, {"nchw": "no"}),
        (True, {"policy": None}),
    ],
)
def test_a_teacher_is_opened_where_what_is_known_is_not_of_it(
    exported: Path, monkeypatch: pytest.MonkeyPatch, seal: bool, changes: dict[str, object]
) -> None:
    spoil(seal, **changes)
    opened = []
    monkeypatch.setattr(_teacher, "reopen_teachers", lambda *args: opened.append(args) or reopen_teachers(*args))
    dataset = open_data_of(exported)
    for _ in range(2):  # the second time it is known again
        export_teacher(RunFolder(exported), dataset, ["onnx"], Progress())
    assert len(opened) == 1


def test_the_policy_of_an_unopened_teacher_is_told(exported: Path, recorder: Recorder) -> None:
    spoil(True, policy="mixed_bfloat16")
    export_teacher(RunFolder(exported), open_data_of(exported), ["onnx"], recorder)
    assert [note for note in recorder.notes if "timed is its export in float32" in note]


def test_a_run_is_timed_runtime_by_runtime_against_its_teacher(
    exported: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.clear_cache()
    result = kdcompress.bench(exported, **QUICK, progress=recorder)
    named = [(model["runtime"], model["name"], model["precision"]) for model in result["models"]]
    each = [("teacher", "fp32"), ("student", "fp32"), ("student", "int8")]
    assert named == [(runtime, *one) for runtime in ("onnxruntime", "litert") for one in each]
    for model in result["models"]:
        assert model.keys() >= MODEL_KEYS
        assert 0 < model["p50_ms"] <= model["p90_ms"] <= model["p99_ms"] <= model["max_ms"]
        assert model["n"] >= 60
        assert 0 < model["runtime_rss_mb"] < model["peak_rss_mb"]
    assert len(result["comparisons"]) == 4
    for pair in result["comparisons"]:
        assert pair.keys() >= PAIR_KEYS
        assert pair["speedup_low"] <= pair["speedup"] <= pair["speedup_high"]
    assert result["skipped"] == ["exports/student-fp32.saved_model: no runtime is for saved-model"]
    assert result["settings"]["inputs"] == "64 images of the run's test split"
    assert result["passed"]
    run = RunFolder(exported)
    assert run.has_file("bench.json")
    kept, others = json.loads((exported / "bench.json").read_text()), ("run", "machines", "bundle", "parity")
    assert kept == {key: value for key, value in result.items() if key not in others}
    assert sum("exporting teacher" in note for note in recorder.notes) == 2
    monkeypatch.setattr(Exporter, "execute", lambda *args: pytest.fail("the teacher lies in the cache"))
    kdcompress.bench(exported, **QUICK, progress=Interrupting(1))


def test_exports_that_are_missing_changed_or_failed(exported: Path) -> None:
    onnx = exported / "exports/student-fp32.onnx"
    kept = onnx.read_bytes()
    onnx.write_bytes(kept + b" ")
    with pytest.raises(RunError, match=r"student-fp32.onnx has changed since the run wrote it; `kdcompress export"):
        kdcompress.bench(exported, **QUICK)
    onnx.unlink()
    with pytest.raises(RunError, match=r"student-fp32.onnx is gone since the run wrote it"):
        kdcompress.bench(exported, **QUICK)
    onnx.write_bytes(kept)
    listed = json.loads((exported / "exports/exports.json").read_text())
    del listed["seal"]
    for entry in listed["artefacts"]:
        entry.update(passed=False, reasons=["it is off"])
    (exported / "exports/exports.json").write_text(json.dumps(listed))
    with pytest.raises(RunError, match=r"exports.json has changed since the run wrote it"):
        kdcompress.bench(exported, **QUICK)
    RunFolder(exported).commit("exports/exports.json")
    with pytest.raises(RunError, match=r"no export of run .* can be timed: .*it failed parity \(it is off\)"):
        kdcompress.bench(exported, **QUICK)
    shutil.rmtree(exported / "exports")
    with pytest.raises(RunError, match=r"is gone since the run wrote it .*; `kdcompress export"):
        kdcompress.bench(exported, **QUICK)
    RunFolder(exported).drop_missing("exports")
    with pytest.raises(RunError, match=r"has no exports to time; make some with `kdcompress export"):
        kdcompress.bench(exported, **QUICK)


def test_a_model_that_is_slower_by_far_is_found_slower(tmp_path: Path) -> None:
    slow, fast = dense(tmp_path / "slow.onnx", width=1500), dense(tmp_path / "fast.onnx")
    result = kdcompress.bench(slow, fast, **QUICK, max_slowdown=1)
    (pair,) = result["comparisons"]
    assert (pair["teacher"], pair["student"], pair["distinguishable"]) == ("slow", "fast", True)
    assert pair["speedup_low"] > 3
    assert result["passed"]
    turned = kdcompress.bench(fast, slow, **QUICK, max_slowdown=1)
    assert turned["comparisons"][0]["speedup_high"] < 1 / 3
    assert [gate["passed"] for gate in turned["gates"]] == [False]
    assert turned["gates"][0]["value"] == pytest.approx(1 / turned["comparisons"][0]["speedup"])
    assert not turned["passed"]
    assert "random images" in result["settings"]["inputs"]


@pytest.mark.usefixtures("no_processes")
def test_every_thread_count_meets_every_batch_size(tmp_path: Path) -> None:
    result = kdcompress.bench(dense(tmp_path / "a.onnx"), threads=[1, 2], batch_sizes=[1, 3], duration=0.03)
    settings = [(model["threads"], model["batch_size"]) for model in result["models"]]
    assert settings == [(1, 1), (1, 3), (2, 1), (2, 3)]


@pytest.mark.usefixtures("no_processes")
def test_no_thread_of_a_model_outlives_its_turn(tmp_path: Path) -> None:
    before = psutil.Process().num_threads()
    kdcompress.bench(dense(tmp_path / "a.onnx"), dense(tmp_path / "b.onnx"), threads=[4], duration=0.03)
    assert psutil.Process().num_threads() <= before + 4  # at most the last one's, and not those of 60 turns


@pytest.mark.usefixtures("no_processes")
def test_ctrl_c_keeps_the_finished_blocks_and_spares_a_whole_result(one_runtime: Path) -> None:
    exported = one_runtime
    broken = kdcompress.bench(exported, **QUICK, progress=Interrupting(8))
    assert broken["interrupted"]
    assert [model["turns"] for model in broken["models"]] == [8, 8, 8]
    assert all(pair["speedup_low"] for pair in broken["comparisons"])
    assert json.loads((exported / "bench.json").read_text())["interrupted"]
    whole = kdcompress.bench(exported, **QUICK, batch_sizes=[2], max_slowdown=1e6)
    assert not whole["interrupted"]
    assert {model["batch_size"] for model in whole["models"]} == {2}
    assert [gate["passed"] for gate in whole["gates"]] == [True] * 2
    assert kdcompress.bench(exported, **QUICK, progress=Interrupting(3))["interrupted"]
    assert not json.loads((exported / "bench.json").read_text())["interrupted"]


@pytest.mark.usefixtures("no_processes")
def test_a_teacher_that_fails_parity_is_not_timed_and_no_gate_passes(
    one_runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.clear_cache()
    monkeypatch.setattr(_parity, "FP32_TOLERANCE", 1e-12)
    result = kdcompress.bench(one_runtime, **QUICK, max_slowdown=1e6)
    assert [model["name"] for model in result["models"]] == ["student", "student"]
    assert result["comparisons"] == []
    assert result["skipped"][0].startswith("the teacher on onnxruntime: its export fails parity (logits differ by")
    assert [(gate["value"], gate["passed"]) for gate in result["gates"]] == [(None, False)] * 2
    assert not result["passed"]


@pytest.mark.usefixtures("no_processes")
def test_a_few_rounds_give_no_interval_and_pass_no_gate(tmp_path: Path) -> None:
    files = dense(tmp_path / "a.onnx"), dense(tmp_path / "b.onnx")
    result = kdcompress.bench(*files, **QUICK, max_slowdown=1e6, progress=Interrupting(2))
    assert [pair["speedup_low"] for pair in result["comparisons"]] == [None]
    assert not result["passed"]


@pytest.mark.usefixtures("no_processes")
def test_from_image_file_to_answer(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(3):
        Image.fromarray(np.full((200, 200), index, np.uint8)).save(photos / f"{index}.png")
    a, b = dense(tmp_path / "a.onnx"), dense(tmp_path / "b.onnx")
    result = kdcompress.bench(a, b, **QUICK, batch_sizes=[2], end_to_end=photos)
    for model in result["models"]:
        assert model["end_to_end"]["p50_ms"] > model["p50_ms"]
    files = result["comparisons"][0]["end_to_end"]
    assert files["speedup_low"] <= files["speedup"] <= files["speedup_high"]


@pytest.mark.usefixtures("no_processes")
def test_image_files_are_read_as_the_data_and_the_teacher_take_them(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[tuple[tuple[int, ...], str]] = set()

    def read_image(path: Path, shape: Any, settings: Any) -> Any:
        read.add((shape, json.dumps(settings.record, sort_keys=True)))
        return read_it(path, shape, settings)

    read_it = _end_to_end.read_image
    monkeypatch.setattr(_end_to_end, "read_image", read_image)
    photos, rng = tmp_path / "photos", np.random.default_rng(0)
    for name in [f"{part}/{label}/{index}.png" for part in ("train", "test") for label in "ab" for index in range(8)]:
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 20), np.uint8)).save(photos / name)
    (photos / "test/a/notes.txt").write_text("")
    teacher, student = (
        keras.Sequential(
            [
                keras.Input((size, size, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Flatten(),
                keras.layers.Dense(2),
            ]
        )
        for size in (10, 8)
    )
    data = {"name": "folder", "dir": str(photos), "size": 8, "colour": "grey", "resize": "pad", "background": "black"}
    settings = {"teacher.check": False, "teacher.preprocessing.resize": "crop", "split.validation_fraction": 0.25}
    recipe = {"name": "own", "data": data, "method": {"name": "hinton"}}
    run = kdcompress.distill(
        recipe, out=tmp_path / "run", teacher=teacher, student=student, epochs=1, settings=settings, baseline=False
    )
    kdcompress.export(run, "onnx")
    kdcompress.bench(run, **QUICK, end_to_end=photos / "test", progress=recorder)
    black = {"background": "black"}
    of_student = ((8, 8, 1), json.dumps({"images": {**black, "resize": "pad"}}))
    assert read == {of_student, ((10, 10, 1), json.dumps({"images": {**black, "resize": "crop"}}))}
    noted = f"not used of {photos / 'test'}: 1 file that is no image (a/notes.txt)"
    assert noted in recorder.notes
    read.clear()
    exported = next((run.path / "exports").glob("*.onnx"))
    kdcompress.bench(exported, **QUICK, end_to_end=photos / "test")
    assert read == {of_student}
    recorder.notes.clear()
    kdcompress.predict(exported, [photos / "test"], progress=recorder)
    assert recorder.notes == [noted]


@pytest.mark.usefixtures("no_processes")
def test_int8_that_is_slower_is_said_with_its_operators(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = _result.ratio

    def slower(above: Any, below: Any) -> Any:
        found = real(above, below)
        return type(found)(2.0, 1.9, 2.1)

    monkeypatch.setattr(_result, "ratio", slower)
    result = kdcompress.bench(exported, **QUICK)
    by_runtime = {slow["runtime"]: slow for slow in result["slower_than_fp32"]}
    assert by_runtime["onnxruntime"]["slowdown"] == 2
    assert by_runtime["onnxruntime"]["operators"][0]["share"] > 0
    # LiteRT's profiler counts whole microseconds, which operators of so small a model may not take
    assert by_runtime["litert"]["operators"] is None or by_runtime["litert"]["operators"][0]["share"] > 0
    assert all(slow["reasons"] for slow in by_runtime.values())


@pytest.mark.usefixtures("no_processes")
def test_files_are_named_as_shortly_as_tells_them_apart(tmp_path: Path) -> None:
    folders = [tmp_path / "x", tmp_path / "y"]
    for folder in folders:
        folder.mkdir()
        dense(folder / "a.onnx")
        dense(folder / "b.onnx")

    def names(*paths: Path) -> list[str]:
        return [model["name"] for model in kdcompress.bench(*paths, **QUICK)["models"]]

    assert names(folders[0] / "a.onnx", folders[0] / "b.onnx") == ["a", "b"]
    assert names(*(folder / "a.onnx" for folder in folders)) == [str(folder / "a.onnx") for folder in folders]


def test_batches_are_filled_up_from_the_start() -> None:
    assert [part.tolist() for part in batches(np.arange(5), 2)] == [[0, 1], [2, 3], [4, 0]]
    assert [part.tolist() for part in batches(np.arange(2), 3)] == [[0, 1, 0], [1, 0, 1]]


def test_models_that_cannot_be_timed(tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(error: type[Exception], words: str, *sources: Path, **choices: Any) -> None:
        with pytest.raises(error, match=words):
            kdcompress.bench(*sources, **{**QUICK, **choices})

    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"junk")
    refused(ModelError, r"junk.onnx cannot be opened by onnxruntime", junk)
    shutil.copy(junk, tmp_path / "junk.tflite")
    refused(ModelError, r"junk.tflite cannot be opened by LiteRT", tmp_path / "junk.tflite")
    refused(ModelError, r"takes 2 inputs \(image .*, image1 .*\)", dense(tmp_path / "two.onnx", inputs=2))
    free = dense(tmp_path / "free.onnx", sizes=("batch", "height", "width", 1))
    refused(UsageError, r"images of \?, \?, 1: name the sizes with --input-shape", free)
    refused(UsageError, r"images of \?, \?, 1, got --input-shape 8,8,3", free, input_shape=(8, 8, 3))
    assert kdcompress.bench(free, **QUICK, input_shape=(8, 8, 1))["models"]
    single = dense(tmp_path / "single.onnx", sizes=(1, 8, 8, 1))
    refused(UsageError, r"only batches of 1, got --batch-size 4", single, batch_sizes=[4])
    refused(UsageError, r"one run, or model files", exported, single)
    refused(UsageError, r"student.keras; `kdcompress export` makes them", exported / "student.keras")
    left_out = r"--runtime litert leaves out .*single.onnx, which onnxruntime and openvino would run; leave the file or"
    refused(UsageError, left_out, single, runtimes=["litert"])
    refused(UsageError, r"not for|is for model files", exported, input_shape=(28, 28, 1))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    refused(MissingExtraError, r"onnxruntime is not installed.*: pip install onnxruntime", single)
    monkeypatch.undo()
    refused(UsageError, r"--max-slowdown compares two models", single, max_slowdown=1)
    flat = dense(tmp_path / "flat.onnx", sizes=("batch", 64))
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(photos / "a.png")
    refused(UsageError, r"--end-to-end needs models of images .* takes 64", flat, end_to_end=photos)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install ai-edge-litert"):
        make_runtime("litert").require()


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"threads": [0]}, "--threads must be >= 1, got 0"),
        ({"threads": []}, "--threads must name a number"),
        ({"batch_sizes": [1, -2]}, "--batch-size must be >= 1, got -2"),
        ({"duration": 0}, "--duration must be above 0"),
        ({"duration": float("nan")}, "--duration must be above 0"),
        ({"max_slowdown": 0}, "--max-slowdown must be a number above 0"),
    ],
)
def test_what_cannot_be_asked_for(choices: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make_bench_request(**choices)
