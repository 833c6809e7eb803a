"""Everything a run holds, read once; each file is checked against the manifest, and what is not there yet is None."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.recipe import read_resolved
from kdcompress.errors import RunError
from kdcompress.files import read_text
from kdcompress.metrics.classification import primary_metric, top1
from kdcompress.metrics.softmax import softmax
from kdcompress.pipeline.subclasses import SubclassOutputs, read_subclasses
from kdcompress.runs.documents import read_checked
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import EXPORTS, HISTORY, RECIPE, TEST_OUTPUTS, remedy
from kdcompress.runs.outputs import (
    Disagreements,
    Outputs,
    read_disagreements,
    read_test_outputs,
    read_validation_outputs,
)
from kdcompress.training.history import read_history
from kdcompress.verification.outputs import measure_outputs

PAGE = "report.html"
LIST = f"{EXPORTS}/exports.json"
ROLES = ("teacher", "student", "baseline")


@dataclass(frozen=True)
class Facts:
    """A run at any stage. Documents are those that the commands wrote: their keys are promised in their docstrings."""

    folder: str
    manifest: dict[str, Any]
    recipe: dict[str, Any]
    recipe_text: str
    history: list[dict[str, str]]
    metrics: dict[str, Any] | None
    verified: dict[str, Any] | None
    exports: list[dict[str, Any]]
    bench: dict[str, Any] | None
    outputs: Outputs | None
    validation: Outputs | None
    disagreements: Disagreements | None
    subclasses: SubclassOutputs | None

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.folder.rstrip("/").rsplit("/", 1)[-1]

    @property
    def classes(self) -> list[str]:
        """The names of the classes, in the order of the logits."""
        return [str(name) for name in self.manifest.get("classes", [])]

    @property
    def roles(self) -> list[str]:
        """The models whose answers on test are known: teacher, student, and the baseline if there is one."""
        return [role for role in ROLES if self.outputs and role in self.outputs.logits]

    @property
    def measures(self) -> dict[str, dict[str, Any]]:
        """Metrics on test by role, from the kept logits: they need no verify."""
        return {} if self.outputs is None else self._measured[0]

    @property
    def comparison(self) -> dict[str, Any]:
        """Where student and teacher differ on test; only of a run with outputs."""
        return self._measured[1]

    @cached_property
    def _measured(self) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        return measure_outputs(self.finished, self.validation, self.classes)

    @property
    def finished(self) -> Outputs:
        """The outputs of a run that has come so far."""
        if self.outputs is None:
            raise RunError(f"run {self.folder} is not finished; give its `kdcompress distill` command again")
        return self.outputs

    @cached_property
    def metric(self) -> str:
        """The metric that figures speak of: AUC for two classes where it is defined, else accuracy."""
        name = primary_metric(len(self.classes))
        return name if all(one.get(name) is not None for one in self.measures.values()) else "accuracy"

    @property
    def input_shape(self) -> list[int]:
        """Height, width and channels of an image; empty of a run that has not come to its data yet."""
        known: list[int] = self.manifest.get("input_shape") or self.costs("student").get("input_shape", [])
        return known

    def answers(self, role: str) -> NDArray[np.int64]:
        """The top-1 class of every test image; -1 where the logits are not finite."""
        return top1(self.finished.logits[role])

    def confidence(self, role: str) -> NDArray[np.float64]:
        """The largest probability of every test image; 0 where the logits are not finite."""
        logits = self.finished.logits[role]
        finite = np.asarray(np.isfinite(logits).all(axis=-1))
        sureness = softmax(np.where(finite[:, None], logits, 0)).max(axis=-1)
        return np.asarray(np.where(finite, sureness, 0.0))

    def class_name(self, index: int) -> str:
        """The name of a class by its number; of -1, what stands for an answer that is none."""
        return self.classes[index] if 0 <= index < len(self.classes) else "no answer"

    def costs(self, role: str) -> dict[str, Any]:
        """What is known of a model's cost: all of it after verify, parameters and FLOPs before."""
        for document in (self.verified, self.metrics):
            if document and role in document:
                return {**document[role]}
        return {}


def gather(run: RunFolder) -> Facts:
    """Read a run. Errors: RunError for a file that is not what the run wrote, or that cannot be read."""
    recipe = run / RECIPE
    run.check_all(but=PAGE)
    return Facts(
        folder=str(run.path),
        manifest=run.manifest(),
        recipe=read_resolved(recipe).to_dict() if recipe.exists() else {},
        recipe_text=read_text(recipe, RunError, remedy(RECIPE, run.path)) if recipe.exists() else "",
        history=_history(run),
        metrics=_document(run, "metrics.json"),
        verified=_document(run, "verify.json"),
        exports=_exports(run),
        bench=_document(run, "bench.json"),
        outputs=read_test_outputs(run) if run.has_file(TEST_OUTPUTS) else None,
        validation=read_validation_outputs(run),
        disagreements=read_disagreements(run),
        subclasses=read_subclasses(run),
    )


def _document(run: RunFolder, name: str) -> dict[str, Any] | None:
    if not run.has_file(name):
        return None
    return read_checked(run / name, remedy(name, run.path))


def _exports(run: RunFolder) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = (_document(run, LIST) or {}).get("artefacts", [])
    for entry in listed:
        run / entry["path"]  # refuses what leads out of the run
    return listed


def _history(run: RunFolder) -> list[dict[str, str]]:
    path = run / HISTORY
    return read_history(path, remedy(HISTORY, run.path)) if path.exists() else []
