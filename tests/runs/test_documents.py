"""The JSON documents that commands leave: published schemas, and what is done about other versions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from earlier import RUN, needs_its_keras
from made_up_run import make
from made_up_sweep import SWEEP
from PIL import Image
from published import SCHEMAS, check_document, check_published, schema_of
from tiny_runs import distill
from typer.testing import CliRunner

from kdcompress.cli._app import app
from kdcompress.errors import RunError
from kdcompress.runs.documents import read_checked, schemas
from kdcompress.runs.schemas import FILES, PRINTED


def outline(schema: dict[str, Any]) -> dict[str, Any]:
    """The keys of all objects and which of them must be there: what no version of pydantic says otherwise."""
    objects = {schema["title"]: schema, **schema.get("$defs", {})}
    return {name: (sorted(one["properties"]), sorted(one.get("required", []))) for name, one in objects.items()}


@pytest.mark.parametrize("name", schemas())
def test_the_published_schemas_are_those_of_the_code(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(name))
    assert outline(schema_of(name)) == outline(schemas()[name]), "python docs/make_schemas.py writes them anew"


def test_every_schema_is_of_a_document() -> None:
    names = {Path(name).stem for name in FILES} | set(PRINTED)
    assert {path.name.removesuffix(".schema.json") for path in SCHEMAS.glob("*.json")} == names


@needs_its_keras
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("distill", ("distill", "run/recipe.toml", "--out", "run")),
        ("distill-dry-run", ("distill", "mnist-demo", "--set", "data.source=embedded", "--dry-run")),
        ("verify", ("verify", "run", "--max-params-ratio", "1")),
        ("verify-model", ("verify", "run/student.keras")),
        ("verify-model", ("verify", "run/exports/student-fp32.onnx")),
        ("verify-files", ("verify", "run", "--files")),
        ("export", ("export", "run", "--parity-samples", "50")),
        ("export", ("export", "run/student.keras", "--format", "onnx")),
        ("bench", ("bench", "run", "--threads", "1", "--duration", "0.2", "--max-slowdown", "1e6")),
        ("bench", ("bench", "run/exports/student-fp32.onnx", "--threads", "1", "--duration", "0.1")),
        ("report", ("report", "run")),
        ("report", ("report", "run", "other", "--out", ".")),
        ("report", ("report", "begun")),
        ("predict", ("predict", "run", "digit.png", "none.png")),
        ("failure", ("verify", "none.png")),
        ("suggest", ("suggest", "mnist-demo", "--set", "data.source=embedded")),
    ],
    ids=lambda one: one if isinstance(one, str) else "-".join(one),
)
def test_what_commands_print_keeps_to_its_schema(
    name: str, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(RUN, "run")
    make(tmp_path / "other", "verified")
    make(tmp_path / "begun", "begun")
    Image.new("L", (28, 28)).save("digit.png")
    (tmp_path / "none.png").write_bytes(b"no image")
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == ("none.png" in arguments), done.stderr
    document = json.loads(done.stdout)
    check_document(document, name)
    assert PRINTED[name].of(document).to_dict() == document


@needs_its_keras
def test_what_commands_write_keeps_to_its_schema(tmp_path: Path) -> None:
    run = Path(shutil.copytree(RUN, tmp_path / "run"))
    for command, *options in (
        ("verify",),
        ("export", "--parity-samples", "50"),
        ("bench", "--threads", "1", "--duration", "0.2"),
    ):
        assert CliRunner().invoke(app, [command, str(run), *options]).exit_code == 0
    for name in ("verify.json", "exports/exports.json", "bench.json"):
        check_published(run / name)


def test_what_distill_writes_keeps_to_its_schema(tmp_path: Path) -> None:
    made = distill(tmp_path / "run", epochs=1)
    check_published(tmp_path / "run" / "metrics.json")
    assert made.result["schema_version"] == 1
    assert distill(tmp_path / "run", epochs=1).result == made.result


@pytest.mark.parametrize("name", ["verify.json", "bench.json", "metrics.json", "exports/exports.json"])
def test_documents_of_version_0_1_keep_to_it_too(name: str) -> None:
    document = json.loads((RUN / name).read_text(encoding="utf-8"))
    assert "schema_version" not in document
    jsonschema.Draft202012Validator(schema_of(Path(name).stem)).validate(document)
    found = read_checked(RUN / name, "do this").to_dict()
    assert found == {"schema_version": 1, **document}


@pytest.mark.parametrize(
    ("version", "words"),
    [(2, "written by a later version of kdcompress"), ("one", "schema_version"), (0, "schema_version")],
)
def test_another_version_is_told(version: object, words: str, tmp_path: Path) -> None:
    document = json.loads((RUN / "verify.json").read_text(encoding="utf-8"))
    (tmp_path / "verify.json").write_text(json.dumps({**document, "schema_version": version}), encoding="utf-8")
    with pytest.raises(RunError, match=words):
        read_checked(tmp_path / "verify.json", "do this")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ({}, ""),
        ({"metric": "Accuracy"}, "metric: input should be 'accuracy' or 'auc'"),
        ({"dataset": {"name": "mnist", "n_train": 9, "n_val": 3}}, "dataset.n_test: field required"),
        ({"space": {"seedz": [0, 1]}}, "space.seeds: field required"),
        ({"space": {"seeds": [0]}}, "there must be a value for each seed"),
        ({"teacher": {"tesT": 0.9}}, "teacher.test: field required"),
    ],
)
def test_a_sweep_whose_values_are_not_what_its_page_needs(damage: dict[str, Any], words: str, tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text(json.dumps({**SWEEP, **damage}), encoding="utf-8")
    if not words:
        assert read_checked(tmp_path / "sweep.json", "do this")["metric"] == "accuracy"
        return
    with pytest.raises(RunError, match=words):
        read_checked(tmp_path / "sweep.json", "do this")
