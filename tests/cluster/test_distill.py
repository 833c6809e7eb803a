"""`distill` with a cluster is `distill`: the same run, and the other one goes on with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_runs

import kdcompress
from kdcompress.cache import cache_dir
from kdcompress.digests import sha256_of
from kdcompress.errors import ClusterError

SMALL: dict[str, Any] = {
    "name": "small", "data": {"name": "mnist", "source": "embedded"}, "split": {"limit": 400},
    "training": {"epochs": 1}, "baseline": False,
}  # fmt: skip


def distill(out: Path, **choices: Any) -> kdcompress.Run:
    return tiny_runs.distill(out, epochs=1, baseline=False, **choices)


def student_of(run: kdcompress.Run) -> str:
    return str(json.loads((run.path / "manifest.json").read_text())["files"]["student.keras"]["digest"])


def labelled() -> set[str]:
    return {sha256_of(path) for path in cache_dir("targets").glob("*/logits.npy")}


def test_a_run_on_a_cluster_is_the_run_of_one_process(
    whole_node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a `module:function`, whose weights the workers take from the copy that this process makes."""
    alone = distill(tmp_path / "alone")
    files = labelled()
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(tmp_path / "another cache"))
    shared = distill(tmp_path / "shared", cluster=whole_node.address, workers=1)
    assert not shared.result["targets"]["cached"]
    assert labelled() == files
    assert len(files) == 1
    assert student_of(shared) == student_of(alone)
    recipe = (shared.path / "recipe.toml").read_text()
    assert f'address = "{whole_node.address}"' in recipe
    # The run is finished whoever asks, and its own recipe joins no cluster
    assert distill(tmp_path / "shared").resumed
    again = kdcompress.distill(shared.path / "recipe.toml", out=tmp_path / "alone", cluster="none")
    assert again.resumed


@pytest.mark.exhaustive
def test_an_ensemble_on_a_cluster_is_the_ensemble_of_one_process(
    whole_node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [{"model": f"tiny_models:{name}"} for name in ("teacher", "plain")]
    recipe = {"student": {"model": "tiny_models:student"}, "teacher": {"members": members, "check": False}, **SMALL}
    alone = kdcompress.distill(recipe, out=tmp_path / "alone")
    files = labelled()
    monkeypatch.setenv("KDCOMPRESS_CACHE_DIR", str(tmp_path / "another cache"))
    shared = kdcompress.distill(recipe, out=tmp_path / "shared", cluster=whole_node.address, workers=1)
    assert labelled() == files
    assert len(files) == 2
    assert student_of(shared) == student_of(alone)


def test_a_cluster_that_does_not_answer_ends_the_command_before_anything_is_computed(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install kdcompress[cluster]")
    with pytest.raises(ClusterError, match="no cluster answers at"):
        distill(tmp_path / "run", cluster="127.0.0.1:9")
    assert not (tmp_path / "run").exists()
    assert not cache_dir("targets").exists()
