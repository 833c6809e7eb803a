"""What users and their programs see, word for word; to change it on purpose: `pytest tests/golden --snapshot-update`.

Where figures depend on the machine or on versions of libraries, their digits are masked; other tests hold them.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from earlier import RUN, needs_its_keras
from PIL import Image
from syrupy.assertion import SnapshotAssertion
from typer.testing import CliRunner

from kdcompress import registry
from kdcompress.cli._app import app
from kdcompress.config.recipe import resolve
from kdcompress.data import Dataset, split_dataset
from kdcompress.digests import json_digest
from kdcompress.teachers import OutputSpec, open_teacher, target_key

pytestmark = needs_its_keras
COMMANDS = (
    (), ("distill",), ("compress",), ("verify",), ("export",), ("bench",), ("report",), ("demo",), ("sweep",),
    ("suggest",), ("predict",), ("list",), ("init",),
    ("cache",), ("data",), ("data", "get"), ("data", "check"), ("data", "make-synthetic"),
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a copy of a finished run, and two digits."""
    monkeypatch.setenv("COLUMNS", "100")
    folder = tmp_path / "place"
    shutil.copytree(RUN, folder / "run")
    for index in range(2):
        Image.fromarray(digits.test.images[index, ..., 0]).save(folder / f"digit-{index}.png")
    monkeypatch.chdir(folder)
    return folder


def seen(place: Path, *arguments: str, figures: bool = True) -> dict[str, Any]:
    """The exit code and what is printed, seconds masked, and all digits where `figures` are of no interest."""
    done = CliRunner().invoke(app, list(arguments))
    texts = {"stdout": done.stdout, "stderr": done.stderr}
    return {"exit": done.exit_code, **{name: lines(text, place, figures) for name, text in texts.items()}}


def lines(text: str, place: Path, figures: bool) -> list[str]:
    """The lines of a text without what depends on the machine."""
    text = text.replace(str(place), "PLACE").replace(str(place.parent), "TMP")
    text = re.sub(r"\d+(\.\d+)? s\b", "# s", text)
    if not figures:
        text = re.sub(r"[+-]?\d[\d.,]*(e-?\d+)?", "#", text)
        text = re.sub(r"[ ]{2,}", "  ", text)
    return [line.rstrip() for line in text.splitlines()]


def shape_of(value: Any) -> Any:
    """A JSON document with types in the place of values; of lists the first entry alone."""
    if isinstance(value, dict):
        return {key: shape_of(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shape_of(one) for one in value[:1]]
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__


def rounded(value: Any) -> Any:
    """A JSON document with floats of six digits."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


@pytest.mark.parametrize("name", registry.choices("recipes"))
def test_recipes(name: str, snapshot: SnapshotAssertion) -> None:
    recipe = resolve(name)
    assert recipe.to_toml() == snapshot(name="toml")
    assert recipe.digest == snapshot(name="digest")


def test_overrides_change_a_recipe_as_before(snapshot: SnapshotAssertion) -> None:
    settings = {"method.temperature": 8, "training.epochs": 3, "views.count": 4, "teacher.seed": 5}
    assert resolve("mnist", settings).digest == snapshot


@pytest.mark.parametrize("name", ["teacher.keras", "exports/student-fp32.onnx", "exports/student-int8.tflite"])
def test_target_keys(name: str, snapshot: SnapshotAssertion, digits: Dataset) -> None:
    recipe = resolve("mnist-demo")
    split = split_dataset(digits, recipe.split)
    teacher = open_teacher(RUN / name, recipe.teacher, OutputSpec((28, 28, 1), digits.classes), "the teacher")
    key = target_key(teacher, split.fingerprint, recipe.views)
    assert {**key, "digest": json_digest(key)} == snapshot


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command) or "kdcompress")
def test_help(command: tuple[str, ...], snapshot: SnapshotAssertion) -> None:
    shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "100"}).output
    assert " ".join(re.sub(r"[│╭╮╰╯─]", " ", shown).split()) == snapshot


@pytest.mark.parametrize("room", ["recipes", "models", "methods", "datasets", "formats", "runtimes", "observers"])
def test_list(room: str, place: Path, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "is_installed", lambda module: True)  # as where all extras are
    assert seen(place, "list", room) == snapshot


def test_init(place: Path, snapshot: SnapshotAssertion) -> None:
    seen(place, "init")
    assert (place / "recipe.toml").read_text() == snapshot


@pytest.mark.parametrize(
    "arguments",
    [
        ("distill", "run/recipe.toml", "--out", "run"),
        ("distill", "mnist-demo", "--set", "data.source=embedded", "--dry-run"),
        ("verify", "run"),
        ("verify", "run", "--max-flops-ratio", "0.0001"),
        ("verify", "run", "--files"),
        ("verify", "run/student.keras", "--layers"),
        ("verify", "run/exports/student-fp32.onnx"),
        ("verify", "run/exports/student-int8.tflite"),
        ("predict", "run", "digit-0.png", "digit-1.png"),
        ("report", "run"),
        ("cache",),
        ("data", "check", "mnist"),
    ],
    ids="-".join,
)
def test_commands(arguments: tuple[str, ...], place: Path, snapshot: SnapshotAssertion) -> None:
    assert seen(place, *arguments) == snapshot


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "run", "--format", "all", "--precision", "all", "--parity-samples", "50"),
        ("bench", "run", "--threads", "1", "--duration", "0.2"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands_whose_figures_are_the_machines(
    arguments: tuple[str, ...], place: Path, snapshot: SnapshotAssertion
) -> None:
    result = seen(place, *arguments, figures=False)
    # Which model is faster, and whether that is sure, is the machine's word, too
    kept = [line for line in result["stdout"] if not re.search("cores|busy|idle|^student.* on ", line)]
    assert {"exit": result["exit"], "stdout": kept} == snapshot


@pytest.mark.parametrize(
    "arguments",
    [
        ("distill", "run/recipe.toml", "--out", "run"),
        ("verify", "run"),
        ("verify", "run/student.keras"),
        ("predict", "run", "digit-0.png"),
        ("report", "run"),
    ],
    ids="-".join,
)
def test_documents(arguments: tuple[str, ...], place: Path, snapshot: SnapshotAssertion) -> None:
    text = CliRunner().invoke(app, [*arguments, "--json"]).stdout.replace(str(place), "PLACE")
    document = json.loads(text)
    document.pop("seconds", None)
    assert rounded(document) == snapshot


@pytest.mark.parametrize(
    "arguments",
    [
        ("export", "run", "--precision", "fp32", "--parity-samples", "50"),
        ("bench", "run", "--threads", "1", "--duration", "0.2"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_shapes_of_documents(arguments: tuple[str, ...], place: Path, snapshot: SnapshotAssertion) -> None:
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    for machines_word in ("machine", "warnings", "slower_than_fp32"):  # their shapes are in docs/schemas
        document.pop(machines_word, None)
    assert shape_of(document) == snapshot


def test_page_and_card(place: Path, snapshot: SnapshotAssertion) -> None:
    CliRunner().invoke(app, ["report", "run"])
    page = (place / "run" / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<(svg|style|script)\b.*?</\1>", r"<\1/>", page, flags=re.DOTALL)  # Matplotlib's, by version
    page = re.sub(r"data:image/png;base64,[^\"']*", "data:", page)
    assert page == snapshot(name="page")
    assert (place / "run" / "MODEL_CARD.md").read_text(encoding="utf-8") == snapshot(name="card")


@pytest.mark.parametrize(
    "arguments",
    [
        ("distill", "mnits"),
        ("distill", "mnist", "-T", "0"),
        ("distill", "mnist", "--alpha", "1.2"),
        ("distill", "mnist", "--method", "hintn"),
        ("distill", "mnist", "--teacher", "big.pt"),
        ("distill", "mnist", "--teacher", "gone.keras"),
        ("distill", "mnist", "--set", "training.epoch=3"),
        ("distill", "mnist", "--data-dir", "nowhere"),
        ("verify", "nowhere"),
        ("verify", "digit-0.png"),
        ("export", "run", "--format", "coreml"),
        ("export", "run", "--precision", "int7"),
        ("bench", "nowhere.onnx"),
        ("bench", "run", "--threads", "0"),
        ("predict", "run", "nowhere.png"),
        ("predict", "run/recipe.toml", "digit-0.png"),
        ("report", "nowhere"),
        ("sweep", "mnist-demo", "-T", "0,1"),
        ("data", "get", "mhist"),
        ("list", "model"),
    ],
    ids="-".join,
)
def test_errors(arguments: tuple[str, ...], place: Path, snapshot: SnapshotAssertion) -> None:
    assert seen(place, *arguments) == snapshot


def test_damage_in_a_run(place: Path, snapshot: SnapshotAssertion) -> None:
    path = place / "run" / "exports" / "student-fp32.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    np.savez(place / "run" / "outputs" / "test.npz", ids=np.arange(3))
    told = [seen(place, command, "run", *more) for command, *more in (
        ("verify",), ("verify", "--files"), ("report",), ("bench",), ("predict", "digit-0.png")
    )]  # fmt: skip
    assert told == snapshot
