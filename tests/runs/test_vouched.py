"""Every byte that a run vouches for is checked where it is read, and the command that mends it is named."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from earlier import RUN
from PIL import Image
from typer.testing import CliRunner

import kdcompress
from kdcompress.cli._app import app
from kdcompress.errors import ModelError, RunError, TargetsError
from kdcompress.models import digest_of_model_file, external_files
from kdcompress.runs.folder import RunFolder
from kdcompress.sealed import read_sealed, write_sealed
from kdcompress.training.history import History, read_history


def cli(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RUN, tmp_path / "run"))


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "digit.png")
    return tmp_path / "digit.png"


def overwrite(path: Path) -> None:
    """Other bytes in the middle, as many as there were."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 1
    path.write_bytes(bytes(content))


FILES = sorted(name for name in json.loads((RUN / "manifest.json").read_text())["files"] if name != "MODEL_CARD.md")
WRITTEN = {"verify": "verify.json", "report": "report.html", "bench": "bench.json"}


@pytest.mark.parametrize("name", FILES)
def test_verify_report_and_bench_stop_at_a_file_that_differs(name: str, earlier: Path) -> None:
    overwrite(earlier / name)
    for command, written in WRITTEN.items():
        if name == written:
            continue  # which it is about to write anew
        done = cli(command, earlier)
        assert done.exit_code == 1, (command, done.output)
        assert f"{earlier / name} has changed since the run wrote it" in done.stderr
    maker = "distill --fresh" if "/" not in name or name.startswith("outputs") else f"export {earlier}"
    maker = {"verify.json": f"verify {earlier}", "bench.json": f"bench {earlier}"}.get(name, maker)
    maker = f"report {earlier}" if name == "report.html" else maker
    done = cli("verify", earlier, "--files")
    assert done.exit_code == 1
    assert f"{earlier / name} has changed since the run wrote it; `kdcompress {maker}" in done.stdout
    assert done.stdout.splitlines()[-1].startswith(f"{len(FILES)} of {len(FILES) + 1} files are as run")


def test_files_of_a_sound_run_are_told_so_without_opening_a_model(earlier: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("kdcompress.models._loading.load_saved_model", lambda path: pytest.fail("a model was opened"))
    done = cli("verify", earlier, "--files", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {
        "schema_version": 1,
        "run": str(earlier),
        "files": len(FILES) + 1,
        "damaged": [],
        "passed": True,
    }
    (earlier / "student.keras").unlink()
    (shown,) = json.loads(cli("verify", earlier, "--files", "--json").stdout)["damaged"]
    assert shown["path"] == "student.keras"
    assert shown["problem"] == f"{earlier / 'student.keras'} is gone"
    assert "--files checks the files of a run" in cli("verify", earlier / "teacher.keras", "--files").stderr


@pytest.mark.parametrize(
    "name",
    ["student-fp32.onnx", "student-int8.tflite", "student-fp32.saved_model/variables/variables.data-00000-of-00001"],
)
def test_predict_stops_at_an_export_that_differs(name: str, earlier: Path, digit: Path) -> None:
    overwrite(earlier / "exports" / name)
    file = earlier / "exports" / name.split("/")[0]
    done = cli("predict", file, digit)
    assert done.exit_code == 1
    assert "has changed since the run wrote it; `kdcompress export" in done.stderr
    copy = shutil.copytree(file, digit.parent / file.name) if file.is_dir() else shutil.copy(file, digit.parent)
    assert "has changed" not in cli("predict", copy, digit).stderr  # which no run vouches for


@pytest.mark.parametrize(
    "names",
    [
        ("exports/exports.json", "exports/student-fp32.onnx", "report.html"),
        ("exports/student-int8.onnx",),
        ("exports/student-fp32.saved_model/saved_model.pb", "exports/student-dynamic.tflite"),
    ],
)
def test_what_is_damaged_is_mended_by_the_commands_that_are_named(names: tuple[str, ...], earlier: Path) -> None:
    for name in names:
        overwrite(earlier / name)
    assert cli("verify", earlier, "--files").exit_code == 1
    for _ in names:  # a list of exports goes first: what it lists is known again then
        told = re.findall("`kdcompress (.*?)` makes it again", cli("verify", earlier, "--files").stdout)
        for command in told:
            assert cli(*command.split()).exit_code in (0, 3)
    assert cli("verify", earlier, "--files").exit_code == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(files=[]), "files: input should be a valid dictionary"),
        (lambda m: m["files"]["student.keras"].update(sha256=5), "sha256"),
        (lambda m: m["files"].update({"../x": {"sha256": "0" * 64, "bytes": 1}}), "leads out of the folder"),
        (lambda m: m["files"].update({"": {"sha256": "0" * 64, "bytes": 1}}), "text that is not empty"),
        (lambda m: m["teachers"][0].update(file="/etc/passwd"), "leads out of the folder"),
        (lambda m: m["teachers"][0].update(input_shape=[28, "x", 1]), "input_shape"),
        (lambda m: m.update(classes="0123456789"), "classes"),
        (lambda m: m.update(classes=[1, 2]), "classes"),
        (lambda m: m.update(dataset=3), "dataset"),
        (lambda m: m.update(schema="1"), "schema"),
        (lambda m: m.update(schema=7), "written by another version"),
        (lambda m: m.update(seconds=float("nan")), "NaN is no JSON"),
        (lambda m: m.update(command=[["x"]]), "command"),
        (lambda m: m.pop("made_by"), "holds|neither"),
    ],
)  # fmt: skip
def test_a_manifest_of_wrong_values_is_one_line(change: Callable[[Any], Any], words: str, earlier: Path) -> None:
    manifest = json.loads((earlier / "manifest.json").read_text())
    change(manifest)
    (earlier / "manifest.json").write_text(json.dumps(manifest))
    for command in ("verify", "report", "export", "bench"):
        done = cli(command, earlier)
        assert done.exit_code in (1, 2)
        lines = done.stderr.splitlines()
        assert len(lines) == 1
        assert "unexpected" not in lines[0]
        if words != "holds|neither":
            assert words in lines[0]


def test_a_document_that_a_stranger_vouches_for_is_checked_too(earlier: Path) -> None:
    for name, change in (
        ("bench.json", lambda d: d["models"][0].pop("p50_ms")),
        ("metrics.json", lambda d: d.update(student="good")),
        ("verify.json", lambda d: d.update(gates=[3])),
        ("exports/exports.json", lambda d: d["artefacts"][0].update(path="../../x.onnx")),
    ):
        copy = Path(shutil.copytree(earlier, earlier.with_name(name.replace("/", "-"))))
        document = json.loads((copy / name).read_text())
        change(document)
        (copy / name).write_text(json.dumps(document))
        RunFolder(copy).commit(name)
        done = cli("report", copy)
        assert done.exit_code == 1, name
        assert done.stderr.startswith(("kdcompress: ", "not in"))
        assert "is damaged (" in done.stderr or "leads out of the folder" in done.stderr


@pytest.mark.parametrize(
    "content", ["", "phase\nx\n", "phase,epoch,loss\n\x00", "\xff\xfe".encode("latin-1"), "a" * 99]
)
def test_a_history_that_is_none_is_one_line(content: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    try:
        assert read_history(path, "r") == []
    except RunError as exc:
        assert str(exc).startswith(f"{path} is damaged (")


def test_a_phase_that_is_done_knows_its_rows(tmp_path: Path) -> None:
    history = History(tmp_path / "history.csv")
    row = {"epoch": 1.0, "loss": 0.1 + 0.2, "val_loss": 1e-7, "val_accuracy": 0.5, "seconds": 1.25}
    history.replace("student", [row])
    history.replace("baseline", [{**row, "extra": 3.0}])
    again = History(tmp_path / "history.csv")
    assert again.digest("student") == history.digest("student")
    (tmp_path / "history.csv").write_text((tmp_path / "history.csv").read_text().replace("0.5", "0.9", 1))
    assert History(tmp_path / "history.csv").digest("student") != history.digest("student")


def test_a_seal_shows_every_change(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    write_sealed(path, {"key": {"a": 1}, "rows": (1, 2.5)})
    assert read_sealed(path, ("key", "rows")) == {"key": {"a": 1}, "rows": [1, 2.5]}
    text = path.read_text()
    for before, after in (("2.5", "2.6"), ('"a"', '"b"'), ('"seal"', '"sea1"'), ("{", "[")):
        path.write_text(text.replace(before, after, 1))
        with pytest.raises(ValueError, match=r"damaged|not as it was written"):
            read_sealed(path, ("key", "rows"))
    path.write_text('{"key": 1, "rows": []}')  # of version 0.1
    assert read_sealed(path, ("key", "rows")) == {"key": 1, "rows": []}


def with_constant_outside(folder: Path) -> Path:
    """An ONNX file whose weights lie beside it: an initializer's in one file, those of a Constant node in another."""
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.arange(20, dtype=np.float32).reshape(2, 10), "w")
    constant = numpy_helper.from_array(np.ones((1, 2), np.float32), "c")
    for tensor, file in ((weight, "w.bin"), (constant, "c.bin")):
        (folder / file).write_bytes(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=file)
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "shape"], ["column"]),
        helper.make_node("Constant", [], ["c"], value=constant),
        helper.make_node("Mul", ["column", "c"], ["pair"]),
        helper.make_node("MatMul", ["pair", "w"], ["logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 28, 28, 1])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 10])
    shape = numpy_helper.from_array(np.array([-1, 1]), "shape")
    graph = helper.make_graph(nodes, "g", [image], [logits], [weight, shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    (folder / "t.onnx").write_bytes(model.SerializeToString())
    return folder / "t.onnx"


def test_all_weights_beside_an_onnx_file_are_part_of_it(tmp_path: Path) -> None:
    path = with_constant_outside(tmp_path)
    assert sorted(file.name for file in external_files(path)) == ["c.bin", "w.bin"]
    before = digest_of_model_file(path)
    (tmp_path / "c.bin").write_bytes(np.full((1, 2), 2, np.float32).tobytes())
    assert digest_of_model_file(path) != before


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "", "link/secret.bin"])
def test_weights_outside_the_folder_are_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "inner" / "link").symlink_to(tmp_path / "outside")
    path = with_constant_outside(tmp_path / "inner")
    model = onnx.load(str(path), load_external_data=False)
    model.graph.initializer[0].external_data[0].value = location
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"leads out|leaves the folder|not empty"):
        external_files(path)


def test_a_teachers_weights_beside_it_are_kept_and_known(tmp_path: Path) -> None:
    path = with_constant_outside(tmp_path)
    settings = {"student.model": "tiny_models:plain", "data.source": "embedded", "teacher.check": False}
    choices: dict[str, Any] = {"settings": settings, "epochs": 1, "limit": 200, "baseline": False, "teacher": path}
    run = kdcompress.distill("mnist-demo", out=tmp_path / "run", **choices)
    for file in ("c.bin", "w.bin"):
        (tmp_path / file).rename(tmp_path / f"{file}.away")
    kdcompress.verify(run)  # needs none of the originals
    (tmp_path / "w.bin.away").rename(tmp_path / "w.bin")
    (tmp_path / "c.bin").write_bytes(np.full((1, 2), 3, np.float32).tobytes())
    with pytest.raises(RunError, match="was replaced since run"):
        kdcompress.distill("mnist-demo", out=tmp_path / "run", **choices)


def test_values_that_are_not_finite_are_no_answers(tmp_path: Path, digit: Path) -> None:
    tiny_models.nan().save(tmp_path / "nan.keras")
    done = cli("predict", tmp_path / "nan.keras", digit)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert f"outputs for {digit} are not finite" in done.stderr
    with pytest.raises(ModelError, match="outputs for random-0 are not finite"):
        kdcompress.export(tmp_path / "nan.keras", "onnx")
    with pytest.raises((TargetsError, ModelError), match="not finite"):
        kdcompress.distill(
            "mnist-demo", out=tmp_path / "run", teacher=tmp_path / "nan.keras", epochs=1, limit=100,
            settings={"student.model": "tiny_models:plain", "data.source": "embedded", "teacher.check": False},
        )  # fmt: skip
