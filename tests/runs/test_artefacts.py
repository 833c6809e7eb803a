"""Only what kdcompress writes is deleted, by name; links are neither followed nor deleted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny_runs import distill

import kdcompress
from kdcompress import cache
from kdcompress.errors import RunError
from kdcompress.runs.artefacts import SAVED_MODEL, export_files, run_files
from kdcompress.runs.folder import RunFolder


def tree(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file()
    )


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


OURS = (
    "manifest.json", "recipe.toml", "history.csv", "student.keras", "teacher-2.onnx", "teacher-2.onnx.data",
    "outputs/test.npz", "exports/exports.json", "exports/student-int8.failed.tflite", "checkpoints/student.npz",
    "exports/student-fp32.saved_model/saved_model.pb", "exports/student-fp32.saved_model/variables/variables.index",
    "checkpoints/features/0123456789abcdef0123456789abcdef.npy", ".kdcompress-part-x-student.keras",
    "exports/.kdcompress-part-0/student-fp32.saved_model/saved_model.pb",
)  # fmt: skip
THEIRS = (
    "notes.txt", "exports/mine.onnx", "exports/student-fp32.saved_model/notes.txt", "outputs/test.csv", "photos/a.png",
    "checkpoints/best.keras", "student.keras.bak", "my/manifest.json", "report.pdf", "teacher.h5",
    "exports/exports.json~",
)  # fmt: skip


def test_a_run_is_deleted_and_the_users_files_stay(tmp_path: Path) -> None:
    put(tmp_path, *OURS, *THEIRS)
    kept = run_files().delete(tmp_path)
    assert tree(tmp_path) == sorted(THEIRS)
    assert set(kept) == {name for name in THEIRS if not name.startswith(("photos/", "my/"))} | {"photos", "my"}


def test_folders_of_a_run_go_when_they_are_empty(tmp_path: Path) -> None:
    put(tmp_path, *OURS)
    run_files().delete(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_links_stay_and_what_they_lead_to(tmp_path: Path) -> None:
    put(tmp_path, "outside/exports.json", "outside/student-fp32.onnx", "run/manifest.json")
    (tmp_path / "run" / "exports").symlink_to(tmp_path / "outside")
    (tmp_path / "run" / "student.keras").symlink_to(tmp_path / "outside" / "exports.json")
    run_files().delete(tmp_path / "run")
    assert tree(tmp_path) == ["outside/exports.json", "outside/student-fp32.onnx", "run/exports", "run/student.keras"]


def test_the_mark_of_a_folder_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, *OURS)
    gone: list[str] = []
    unlink = Path.unlink

    def watched(path: Path, missing_ok: bool = False) -> None:
        gone.append(path.name)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", watched)
    run_files().delete(tmp_path, last="manifest.json")
    assert gone[-1] == "manifest.json"


def test_exports_are_known_by_the_models_name(tmp_path: Path) -> None:
    put(tmp_path, "a.b-fp32.onnx", "aXb-fp32.onnx", "big-fp32.onnx", "a.b-fp32.onnx.data", "a.b-int8.failed.tflite")
    export_files("a.b").delete(tmp_path)
    assert tree(tmp_path) == ["a.b-fp32.onnx.data", "aXb-fp32.onnx", "big-fp32.onnx"]


def test_a_saved_model_keeps_what_is_not_tensorflows(tmp_path: Path) -> None:
    put(
        tmp_path,
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "assets.extra/kdcompress.json",
        "assets/v",
    )
    assert SAVED_MODEL.delete(tmp_path) == ["assets/v"]


@pytest.mark.parametrize("name", ["../victim", "", "/etc", "sub/../../victim/x", 7])
def test_fresh_on_a_manifest_that_names_something_else_touches_nothing(name: Any, brief: Path, tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    run = brief.rename(tmp_path / "here" / "run")
    put(tmp_path, "here/victim/x", "here/y")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": "0" * 64, "bytes": 1}
    (run / "manifest.json").write_text(json.dumps(manifest))
    put(run, "notes.txt")
    again = distill(run, baseline=False, epochs=1, fresh=True)
    assert again.result["student"]["metrics"]
    assert (tmp_path / "here/victim/x").read_text() == (tmp_path / "here/y").read_text() == "x"
    assert (run / "notes.txt").exists()


def test_a_kind_of_cache_entries_that_is_a_link_is_neither_written_nor_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(tmp_path / "cache"))
    entry = tmp_path / "outside" / ("a" * 64)
    entry.mkdir(parents=True)
    (entry / "logits.npy").write_bytes(b"the user's own")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "targets").symlink_to(tmp_path / "outside")
    with pytest.raises(RunError, match="is a link, which kdcompress does not follow; set KDCOMPRESS_CACHE_DIR"):
        distill(tmp_path / "run", baseline=False, epochs=1)
    assert cache.list_entries() == []
    assert cache.clear_cache() == 0
    assert tree(tmp_path / "outside") == [f"{'a' * 64}/logits.npy"]


def test_fresh_refuses_a_link_in_a_runs_place(brief: Path, tmp_path: Path) -> None:
    put(tmp_path, "outside/mine.onnx")
    (brief / "exports").symlink_to(tmp_path / "outside")
    with pytest.raises(RunError, match="is a link, which kdcompress neither makes nor follows"):
        distill(brief, baseline=False, epochs=1, fresh=True)
    assert tree(tmp_path / "outside") == ["mine.onnx"]
    (brief / "exports").unlink()
    RunFolder(brief).check_all()  # the run is still whole


def test_fresh_mends_a_run_whose_manifest_is_damaged(brief: Path) -> None:
    (brief / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        distill(brief, baseline=False, epochs=1)
    assert distill(brief, baseline=False, epochs=1, fresh=True).result["student"]["metrics"]


def test_a_model_card_in_which_the_user_wrote_is_no_damage_and_stays(finished: Path) -> None:
    kdcompress.report(finished)
    card = finished / "MODEL_CARD.md"
    card.write_text(card.read_text().replace("To be filled in", "Sorts parcels"))
    RunFolder(finished).check_all()
    kdcompress.report(finished)
    RunFolder(finished).clear()
    assert "Sorts parcels" in card.read_text()


def test_the_cache_is_cleared_of_its_own_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, digest = tmp_path / "home", "0123456789abcdef" * 4
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(home))
    ours = [
        f"targets/{digest}/logits.npy", f"targets/{digest}/meta.json", f"teachers/{digest}.part/checkpoint.npz",
        f"models/{digest}/model.keras", f"exports/{digest}/teacher-fp32.onnx", "data/mnist/mnist.npz",
        "data/mhist-images-0123456789abcdef/a/x.png", f"index/{digest}/index.npz",
    ]  # fmt: skip
    theirs = [
        "models/bert/weights.bin", "data/mine/x.png", f"targets/{digest}/notes.txt", f"models/{digest}x/model.keras",
        "exports/2024/report.pdf", "data/mnist/own.npz", "index.html",
    ]  # fmt: skip
    put(home, *ours, *theirs)
    (home / "teachers" / ("f" * 64)).symlink_to(home / "models" / "bert")
    cache.clear_cache()
    assert [name for name in tree(home) if not name.endswith(".lock")] == sorted([*theirs, f"teachers/{'f' * 64}"])
