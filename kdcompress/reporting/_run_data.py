"""Loading of everything that a report needs of a run, at any stage; files are checked against the manifest."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdcompress.config.recipe import read_resolved_recipe
from kdcompress.errors import RunError
from kdcompress.files import read_text
from kdcompress.metrics.chance import roles_at_chance
from kdcompress.metrics.classification import primary_metric, top1
from kdcompress.metrics.softmax import softmax
from kdcompress.pipeline.subclass_outputs import SubclassOutputs, read_subclass_outputs
from kdcompress.runs.documents import read_checked
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.machines import Machines, read_machines
from kdcompress.runs.names import COMPRESSION, EXPLANATION, EXPORTS, HISTORY, RECIPE, TEST_OUTPUTS, named, remedy
from kdcompress.runs.outputs import (
    Disagreements,
    Outputs,
    read_disagreements,
    read_test_outputs,
    read_validation_outputs,
)
from kdcompress.runs.students import student_folder, student_names
from kdcompress.training.history import read_history
from kdcompress.verification.outputs import measure_outputs

PAGE = "report.html"
LIST = f"{EXPORTS}/exports.json"
ROLES = ("teacher", "student", "baseline")


@dataclass(frozen=True)
class RunData:
    """Contents of a run at any stage; what does not exist yet is None or empty.

    Attributes:
        folder: Path of the run.
        manifest: `manifest.json`.
        recipe: The resolved recipe.
        recipe_text: The same as TOML.
        history: Rows of `history.csv`.
        metrics: `metrics.json`.
        verified: `verify.json`.
        exports: Entries of `exports/exports.json`.
        bench: `bench.json`.
        outputs: Logits on the test split.
        validation: Logits on the validation split.
        disagreements: Test images on which student and teacher differ.
        subclasses: Subclass outputs on the test split.
        compression: `compress.json`, of the folder of a compressed student.
        explanation: `explain.json`.
        students: The finished compressed students of the run.
        machines: Benchmarks of other machines.
    """

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
    compression: dict[str, Any] | None = None
    explanation: dict[str, Any] | None = None
    students: tuple[RunData, ...] = ()
    machines: Machines = field(default_factory=Machines)

    @property
    def name(self) -> str:
        """Name of the run, which is that of its folder."""
        return named(Path(self.folder)).name

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the logits."""
        return [str(name) for name in self.manifest.get("classes", [])]

    @property
    def roles(self) -> list[str]:
        """Models with outputs on the test split: teacher, student, and the baseline if there is one."""
        return [role for role in ROLES if self.outputs and role in self.outputs.logits]

    @property
    def test_metrics(self) -> dict[str, dict[str, Any]]:
        """Test metrics by role, computed from the stored logits, so that no `verify` is needed."""
        return {} if self.outputs is None else self._metrics_and_comparison[0]

    @property
    def comparison(self) -> dict[str, Any]:
        """Comparison of student and teacher on the test split of a finished run."""
        return self._metrics_and_comparison[1]

    @cached_property
    def _metrics_and_comparison(self) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        return measure_outputs(self.finished_outputs, self.validation, self.classes)

    @property
    def finished_outputs(self) -> Outputs:
        """Outputs on the test split.

        Raises:
            RunError: The run is not finished.
        """
        if self.outputs is None:
            raise RunError(f"run {self.folder} is not finished; give its `kdcompress distill` command again")
        return self.outputs

    @cached_property
    def metric(self) -> str:
        """Metric of the headline and the figures: AUC for two classes where it is defined, else accuracy."""
        name = primary_metric(len(self.classes))
        return name if all(metrics.get(name) is not None for metrics in self.test_metrics.values()) else "accuracy"

    @cached_property
    def at_chance(self) -> list[str]:
        """Which of student and baseline are not shown to be better than a constant answer."""
        return roles_at_chance(self.finished_outputs.logits, self.finished_outputs.labels)

    @property
    def input_shape(self) -> list[int]:
        """Height, width and channels of an image; empty if the data has not been loaded yet."""
        shape: list[int] = self.manifest.get("input_shape") or self.costs("student").get("input_shape", [])
        return shape

    def predictions(self, role: str) -> NDArray[np.int64]:
        """Return the top-1 class of every test image, (n,); -1 where the logits are not finite."""
        return top1(self.finished_outputs.logits[role])

    def confidence(self, role: str) -> NDArray[np.float64]:
        """Return the largest probability of every test image, (n,); 0 where the logits are not finite."""
        logits = self.finished_outputs.logits[role]
        finite = np.asarray(np.isfinite(logits).all(axis=-1))
        probabilities = softmax(np.where(finite[:, None], logits, 0))
        return np.asarray(np.where(finite, probabilities.max(axis=-1), 0.0))

    def class_name(self, index: int) -> str:
        """Return the name of a class by its index, or a placeholder for -1, the prediction of non-finite logits."""
        return self.classes[index] if 0 <= index < len(self.classes) else "no answer"

    def costs(self, role: str) -> dict[str, Any]:
        """Return the known costs of a model: all of them after `verify`, parameters and FLOPs before."""
        for document in (self.verified, self.metrics):
            if document and role in document:
                return {**document[role]}
        return {}


def load_run_data(run: RunFolder) -> RunData:
    """Load a run.

    Args:
        run: Folder of the run.

    Returns:
        Its contents.

    Raises:
        RunError: A file differs from what the run wrote, or cannot be read.
    """
    recipe = run / RECIPE
    run.check_all(but=PAGE)
    return RunData(
        folder=str(run.path),
        manifest=run.manifest(),
        recipe=read_resolved_recipe(recipe).to_dict() if recipe.exists() else {},
        recipe_text=read_text(recipe, RunError, remedy(RECIPE, run.path)) if recipe.exists() else "",
        history=_history(run),
        metrics=_document(run, "metrics.json"),
        verified=_document(run, "verify.json"),
        exports=_exports(run),
        bench=_document(run, "bench.json"),
        machines=read_machines(run),
        outputs=read_test_outputs(run) if run.has_file(TEST_OUTPUTS) else None,
        validation=read_validation_outputs(run),
        disagreements=read_disagreements(run),
        subclasses=read_subclass_outputs(run),
        compression=_document(run, COMPRESSION),
        explanation=_document(run, EXPLANATION),
        students=tuple(load_run_data(student_folder(run, name)) for name in student_names(run)),
    )


def _document(run: RunFolder, name: str) -> dict[str, Any] | None:
    if not run.has_file(name):
        return None
    return read_checked(run / name, remedy(name, run.path))


def _exports(run: RunFolder) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = (_document(run, LIST) or {}).get("artefacts", [])
    for entry in entries:
        run / entry["path"]  # raises for a path outside the run
    return entries


def _history(run: RunFolder) -> list[dict[str, str]]:
    path = run / HISTORY
    return read_history(path, remedy(HISTORY, run.path)) if path.exists() else []
