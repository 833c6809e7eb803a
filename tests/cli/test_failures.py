"""With --json, a command that fails prints one document, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import pytest
from published import check_document
from typer.testing import CliRunner

from kdcompress import api
from kdcompress.cli._app import app


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "words"),
    [
        (["verify", "nowhere"], 2, "usage", "nowhere does not exist"),
        (["verify"], 2, "usage", "Missing argument"),
        (["verfy"], 2, "usage", "No such command 'verfy'"),
        (["--bad", "verify"], 2, "usage", "No such option: --bad"),
        (["distill", "mnist-demo", "--alpha", "x"], 2, "usage", "'--alpha'"),
        (["distill", "mnist-demo", "--alpha", "2"], 2, "recipe", "method.alpha must be <= 1"),
        (["distill", "mnist-demo", "--teacher", "text.keras", "--dry-run"], 1, "model", "text.keras cannot be loaded"),
        (["distill", "mnist", "--data-dir", "empty"], 1, "data", "empty"),
        (["list"], 2, "usage", "No such option: --json"),
    ],
)
def test_errors_are_documents(
    arguments: list[str], code: int, kind: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "empty").mkdir()
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == code, done.stderr
    document = json.loads(done.stdout)
    check_document(document, "failure")
    assert document["error"]["kind"] == kind
    assert words in document["error"]["message"]
    assert words in " ".join(done.stderr.split())
    plain = CliRunner().invoke(app, arguments)
    assert (plain.exit_code, plain.stdout) == ((code, "") if arguments != ["list"] else (0, plain.stdout))


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (PermissionError(13, "Permission denied", "x"), 1, "system"),
        (ZeroDivisionError("division by zero"), 1, "unexpected"),
    ],
)
def test_so_are_errors_of_others(error: BaseException, code: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(api, "verify", fail)
    done = CliRunner().invoke(app, ["verify", "run", "--json"])
    assert done.exit_code == code
    assert json.loads(done.stdout)["error"]["kind"] == kind


def test_a_document_of_the_command_s_own_is_the_only_one(tmp_path: Path) -> None:
    """predict tells which images could not be read, and fails."""
    (tmp_path / "none.png").write_bytes(b"no image")
    model = tmp_path / "m.keras"
    flat = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()])
    keras.Sequential([flat, keras.layers.Dense(2)]).save(model)
    done = CliRunner().invoke(app, ["predict", str(model), str(tmp_path / "none.png"), "--json"])
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert list(document["refused"]) == [str(tmp_path / "none.png")]
