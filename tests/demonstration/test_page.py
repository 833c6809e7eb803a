"""The page of a run, without a browser: what it holds, that names are text, and which folders it may take."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from conftest import Recorder
from typer.testing import CliRunner

import kdcompress
from kdcompress.api._demo import _default_out
from kdcompress.cli._app import app
from kdcompress.demonstration._folders import without_folders
from kdcompress.demonstration._out import check_out
from kdcompress.demonstration._samples import choose_rows
from kdcompress.errors import RunError, UsageError
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.outputs import Outputs, read_test_outputs

NASTY = '<img src=x onerror="alert(1)">&{{7*7}}'


@pytest.fixture(scope="session")
def plain_page(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page that takes its runtime from the CDN, so that no npm package is needed."""
    folder = tmp_path_factory.mktemp("plain-page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDCOMPRESS_CACHE_DIR", str(folder / "cache"))
        kdcompress.demo(exported, out=folder / "demo", ort_web="cdn")
    return folder / "demo"


class Tags(HTMLParser):
    """Collects tags with their attributes, and the text of the page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def facts_of(page: Path) -> dict:
    return dict(json.loads((page / "demo.json").read_text(encoding="utf-8")))


def test_it_holds_the_models_and_test_images_with_the_logits_of_the_desk(plain_page: Path, exported: Path) -> None:
    facts = facts_of(plain_page)
    assert [model["name"] for model in facts["models"]] == ["student-fp32", "student-int8", "teacher"]
    outputs, row_of = read_test_outputs(RunFolder(exported)), {}
    for row, name in enumerate(outputs.ids.tolist()):
        row_of[name] = row
    assert len(facts["samples"]) == 12
    assert {sample["label"] for sample in facts["samples"]} == set(range(10))
    for model in facts["models"]:
        session = onnxruntime.InferenceSession(plain_page / model["file"])
        assert (plain_page / model["file"]).stat().st_size == model["bytes"]
        for sample in facts["samples"]:
            pixels = np.fromfile(plain_page / sample["pixels"][model["name"]], np.uint8).reshape(1, 28, 28, 1)
            desk = sample["logits"][model["name"]]
            if model["role"] == "student":
                (logits,) = session.run(None, {"image": pixels.astype(np.float32)})
                np.testing.assert_allclose(desk, logits[0], atol=1e-6)
            if model["precision"] != "int8":
                np.testing.assert_allclose(desk, outputs.logits[model["role"]][row_of[sample["id"]]], atol=1e-3)
            assert outputs.labels[row_of[sample["id"]]] == sample["label"]


def test_it_says_what_was_measured(plain_page: Path, exported: Path) -> None:
    page, metrics = Tags(plain_page / "index.html"), json.loads((exported / "metrics.json").read_text())
    for role in ("teacher", "student"):
        accuracy = f"{100 * metrics[role]['metrics']['accuracy']:.2f} %"
        assert accuracy in page.text
        model = next(one for one in facts_of(plain_page)["models"] if one["role"] == role)
        assert ["accuracy on test", accuracy] in model["facts"]
        assert ["parameters", f"{metrics[role]['params']:,}"] in model["facts"]
    assert "one thread" in page.text
    assert "loaded from https://cdn.jsdelivr.net/npm/onnxruntime-web@" in page.text


def test_no_script_is_inline_and_the_policy_allows_its_own_files_alone(plain_page: Path, exported: Path) -> None:
    page = Tags(plain_page / "index.html")
    policy = next(tag["content"] for name, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    folder = facts_of(plain_page)["runtime"]["module"]["url"].rpartition("/")[0]
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'self' 'wasm-unsafe-eval' {folder}/"
    assert rules["connect-src"] == f"'self' {folder}/"
    assert (rules["require-trusted-types-for"], rules["trusted-types"]) == ("'script'", "'none'")
    for name, tag in page.tags:
        assert name != "script" or tag["src"]
        assert not [key for key in tag if key.startswith("on") or key == "style"], (name, tag)
        for key in ("src", "href"):
            if (address := tag.get(key)) and not address.startswith("#"):
                assert (plain_page / address).is_file(), address
    for path in plain_page.glob("app/*.js"):
        program = path.read_text()
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function", program), path
        for imported in re.findall(r'from "\./([\w-]+\.js)"', program):
            assert (plain_page / "app" / imported).is_file()


def test_the_same_run_gives_the_same_bytes(plain_page: Path, exported: Path, tmp_path: Path) -> None:
    kdcompress.demo(exported, out=tmp_path / "again", ort_web="cdn")
    names = {str(path.relative_to(plain_page)) for path in plain_page.rglob("*") if path.is_file()}
    assert names == {
        str(path.relative_to(tmp_path / "again")) for path in (tmp_path / "again").rglob("*") if path.is_file()
    }
    for name in names:
        assert (plain_page / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_names_of_a_stranger_are_text(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / f"{NASTY.replace('/', '')}"
    shutil.copytree(exported, run)
    import kdcompress.demonstration._demo as demo

    open_data = demo.open_data
    import dataclasses

    def renamed(*arguments: object) -> object:
        dataset = open_data(*arguments)  # type: ignore[arg-type]
        return dataclasses.replace(dataset, classes=(NASTY, *dataset.classes[1:-1], "\x00</script>"))

    monkeypatch.setattr(demo, "open_data", renamed)
    kdcompress.demo(run, out=tmp_path / "demo", ort_web="cdn")
    page = Tags(tmp_path / "demo/index.html")
    assert not [tag for name, tag in page.tags if name == "img" or "onerror" in tag]
    assert NASTY in page.text
    facts = facts_of(tmp_path / "demo")
    assert (facts["classes"][0], facts["classes"][-1]) == (NASTY, "\ufffd</script>")
    assert facts["ink"] is None


def test_a_run_without_exports_gets_the_one_it_needs(finished: Path, tmp_path: Path, recorder: Recorder) -> None:
    kdcompress.demo(finished, out=tmp_path / "demo", ort_web="cdn", progress=recorder)
    assert any("it is exported now" in note for note in recorder.notes)
    RunFolder(finished).check_all()
    assert "exports/student-fp32.onnx" in RunFolder(finished).manifest()["files"]
    assert [model["name"] for model in facts_of(tmp_path / "demo")["models"]] == ["student-fp32", "teacher"]


def test_a_changed_export_is_not_shown(exported: Path, tmp_path: Path) -> None:
    run = shutil.copytree(exported, tmp_path / "run")
    with (run / "exports/student-int8.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(RunError, match="has changed since it was exported"):
        kdcompress.demo(run, out=tmp_path / "demo", ort_web="cdn")
    assert not (tmp_path / "demo").exists()


def test_an_unfinished_run_is_refused(exported: Path, tmp_path: Path) -> None:
    run = shutil.copytree(exported, tmp_path / "run")
    (run / "outputs/test.npz").unlink()
    RunFolder(run).drop_missing("outputs")
    with pytest.raises(RunError, match="is not finished"):
        kdcompress.demo(run, out=tmp_path / "demo", ort_web="cdn")


def test_an_ensemble_leaves_the_student_alone_with_the_reason(tmp_path: Path, recorder: Recorder) -> None:
    members = [{"model": "tiny_models:teacher"}, {"model": "tiny_models:plain"}]
    settings = {"teacher": {"members": members, "check": False}, "student.model": "tiny_models:student"}
    run = kdcompress.distill(
        "mnist-demo", out=tmp_path / "run", settings={**settings, "data.source": "embedded"}, epochs=1, limit=200,
        baseline=False,
    )  # fmt: skip
    result = kdcompress.demo(run, out=tmp_path / "demo", ort_web="cdn", samples=0, progress=recorder)
    assert "ensemble of 2 teachers" in str(result.no_teacher)
    assert any("the page shows the student alone" in warning for warning in recorder.warnings)
    facts = facts_of(tmp_path / "demo")
    assert [model["role"] for model in facts["models"]] == ["student"]
    assert facts["no_teacher"] == result.no_teacher
    assert facts["samples"] == []
    assert not (tmp_path / "demo/samples").exists()


def test_a_teacher_that_is_an_onnx_file_says_how_it_is_fed_and_what_it_gives(plain_page: Path) -> None:
    (model,) = [one for one in facts_of(plain_page)["models"] if one["role"] == "teacher"]
    assert model["input"] == {"nchw": True, "scale": pytest.approx(1 / 255), "mean": [0.0], "std": [1.0]}
    assert model["outputs"]["kind"] == "probabilities"


def test_only_a_folder_that_is_missing_empty_or_a_page_is_taken(
    plain_page: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = shutil.copytree(plain_page, tmp_path / "page")
    check_out(page)
    check_out(tmp_path / "missing")
    (page / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds notes\.txt, which `kdcompress demo` did not write"):
        check_out(page)
    (page / "notes.txt").unlink()
    (page / "models/other.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds models/other\.txt"):
        kdcompress.demo(exported, out=page, ort_web="cdn")
    assert (page / "index.html").is_file()
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("my own")
    with pytest.raises(UsageError, match=r"holds index\.html and no page"):
        check_out(site)
    (tmp_path / "link").symlink_to(plain_page)
    (tmp_path / "file").write_text("")
    for path in ("link", "file"):
        with pytest.raises(UsageError, match="must be a folder for the page"):
            check_out(tmp_path / path)
    (tmp_path / "empty").mkdir()
    check_out(tmp_path / "empty")
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UsageError, match="the current one"):
        check_out(Path())


def test_an_earlier_page_is_replaced_as_a_whole(exported: Path, plain_page: Path, tmp_path: Path) -> None:
    page = shutil.copytree(plain_page, tmp_path / "page")
    kdcompress.demo(exported, out=page, ort_web="cdn", samples=4)
    assert len(facts_of(page)["samples"]) == 4
    used = {f"samples/{path.name}" for path in (page / "samples").iterdir()}
    assert used == {name for sample in facts_of(page)["samples"] for name in sample["pixels"].values()}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_failure_leaves_the_earlier_page(
    exported: Path, plain_page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = shutil.copytree(plain_page, tmp_path / "page")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kdcompress.demonstration._demo.shutil.copyfile", full)
    with pytest.raises(OSError, match="No space"):
        kdcompress.demo(exported, out=page, ort_web="cdn", samples=4)
    assert len(facts_of(page)["samples"]) == 12
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_command_says_where_the_page_is_and_how_to_see_it(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(exported, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["demo", "run", "--ort-web", "cdn"])
    assert done.exit_code == 0, done.output
    assert done.stdout == "run-demo/index.html\n"
    assert "python -m http.server --directory run-demo" in done.stderr
    done = CliRunner().invoke(app, ["demo", "run:student", "--out", "other", "--ort-web", "cdn", "--json"])
    printed = json.loads(done.stdout)
    assert (printed["page"], printed["samples"], printed["no_teacher"]) == ("other/index.html", 12, None)
    assert {model["path"] for model in printed["models"]} == {
        f"models/{path.name}" for path in (tmp_path / "other/models").iterdir()
    }
    assert printed["bytes"] == sum(path.stat().st_size for path in (tmp_path / "other").rglob("*") if path.is_file())
    assert str(run) not in (tmp_path / "other/index.html").read_text() + (tmp_path / "other/demo.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--samples", "101"], "--samples must be 0 to 100, got 101"),
        (["--ort-web", "nowhere"], "nowhere must be the npm package onnxruntime-web"),
        ([], "npm install onnxruntime-web@"),
        (["--data-dir", "nowhere"], "data folder nowhere does not exist"),
        (["--out", "run"], "and no page of"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    arguments: list[str], words: str, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(exported, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["demo", "run", *arguments])
    assert done.exit_code in (1, 2)
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_page_lies_beside_the_run_also_of_a_compressed_student(exported: Path) -> None:
    assert _default_out(exported / "students/slim") == exported.with_name("run-slim-demo")
    assert _default_out(Path("students/own")) == Path("students/own-demo")  # a run in a folder of that name


def test_a_run_that_is_the_current_folder_has_its_name(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(exported, tmp_path / "digits"))
    page = Path(kdcompress.demo(".", ort_web="cdn", samples=0)["page"])
    assert page.parent == tmp_path / "digits-demo"
    assert "<title>digits" in page.read_text()


def test_a_reason_on_the_page_names_no_folder(
    exported: Path, tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(exported, tmp_path / "the run")
    reason = f"{run / 'teacher.onnx'} takes two inputs, and {tmp_path / 'others' / 'big.onnx'} none"
    monkeypatch.setattr("kdcompress.demonstration._demo.make_teacher", lambda *_: reason)
    result = kdcompress.demo(run, out=tmp_path / "demo", ort_web="cdn", samples=0, progress=recorder)
    assert result.no_teacher == reason
    assert any(reason in warning for warning in recorder.warnings)
    assert facts_of(tmp_path / "demo")["no_teacher"] == "teacher.onnx takes two inputs, and big.onnx none"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/me/my models/big.onnx is missing; mend it", "big.onnx is missing; mend it"),
        ("run runs/demo: it has changed", "run demo: it has changed"),
        ("runs/demo/teacher.keras and /opt/other/x.keras", "teacher.keras and x.keras"),
        (r"(~/a/b.onnx), '../c/d.tflite' and C:\e\f.onnx", "(b.onnx), 'd.tflite' and f.onnx"),
        ("s3://ours/models/big.onnx is gone", "big.onnx is gone"),
        ("scale 1/255 and/or https://example.org/a/b", "scale 1/255 and/or https://example.org/a/b"),
    ],
)
def test_of_a_path_its_last_name_is_left(text: str, left: str) -> None:
    assert without_folders(text, ["runs/demo", "/home/me/my models", ".", "", "s3://ours/models"]) == left


def test_a_model_file_is_no_run(exported: Path) -> None:
    with pytest.raises(UsageError, match="demo takes a run"):
        kdcompress.demo(exported / "student.keras", ort_web="cdn")


def outputs_of(labels: list[int], teacher: list[int], student: list[int], classes: int) -> Outputs:
    def sure(answers: list[int]) -> np.ndarray:
        return np.asarray(8 * np.eye(classes)[answers], np.float32)

    ids = np.array([str(index) for index in range(len(labels))])
    return Outputs(ids, np.array(labels), {"teacher": sure(teacher), "student": sure(student)})


def test_samples_are_of_every_class_and_of_both_opinions() -> None:
    labels = [0, 0, 1, 1, 2, 2, 2, 0]
    outputs = outputs_of(labels, labels, [0, 0, 1, 1, 2, 2, 1, 0], 3)
    assert choose_rows(outputs, 3, 8).tolist() == [0, 2, 4, 6, 1, 3, 5, 7]
    assert choose_rows(outputs, 3, 3).tolist() == [0, 4, 6]
    assert choose_rows(outputs, 3, 1).tolist() == [0]
    assert choose_rows(outputs, 3, 0).tolist() == []
    agreed = outputs_of(labels, labels, labels, 3)
    assert choose_rows(agreed, 3, 4).tolist() == [0, 2, 4, 1]
