"""A compression from its start to the files of the compressed student."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kdcompress.compression._base import Compressed, Tuning
from kdcompress.compression._order import check_order
from kdcompress.compression._steps import compress
from kdcompress.compression._teachers import adopt_teachers, open_adopted_teachers
from kdcompress.config.compress import CompressSection
from kdcompress.config.recipe import Recipe
from kdcompress.errors import ModelError, RunError, UsageError
from kdcompress.models import load_weights, model_digest, save_model, seed_everything
from kdcompress.pipeline.distillation import Pipeline, PipelineResult
from kdcompress.pipeline.labelling import compute_training_targets
from kdcompress.pipeline.reopening import open_model
from kdcompress.pipeline.validation import check_compressible
from kdcompress.plugins import needs_trust
from kdcompress.progress import Progress
from kdcompress.runs.documents import read_checked
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import CHECKPOINTS, COMPRESSION, QUANTIZATION, remedy
from kdcompress.runs.students import BASELINE, STUDENT, find_student, student_folder
from kdcompress.training.supervision import finalise
from kdcompress.trust import REMEDY, trusts_code
from kdcompress.verification.flops import count_flops_or_none
from kdcompress.verification.sizes import gzipped_weight_bytes
from kdcompress.verification.teachers import count_params_and_flops


@dataclass(frozen=True)
class CompressionResult:
    """Result of a compression.

    Attributes:
        outcome: Result as that of a run, of whose roles the student is the compressed one.
        compressed: The compressed student.
        start: The student before, ending in class logits.
    """

    outcome: PipelineResult
    compressed: Compressed
    start: Any


class CompressionPipeline(Pipeline):
    """A compression of a run's student, whose steps are tuned as the student was trained.

    Args:
        recipe: Recipe of the compressed student, with its section `compress`.
        parent: Folder of the run.
        run: Folder of the compressed student, which the caller has locked.
        progress: Listener.
    """

    def __init__(self, recipe: Recipe, parent: RunFolder, run: RunFolder, progress: Progress) -> None:
        super().__init__(recipe, run, progress)
        self.parent = parent

    @property
    def section(self) -> CompressSection:
        """Settings of the compression."""
        section = self.recipe.compress
        if section is None:
            raise RunError(f"{self.run.path} has no recipe of a compression; --fresh makes it anew")
        return section

    def execute_compression(self) -> CompressionResult:
        """Compress, evaluate, and write the files of the student.

        Raises:
            KDCompressError: The data or a model cannot be used, or a training failed.
        """
        self._record_data()
        self._use_determinism()
        adopt_teachers(self.parent, self.run)
        seed_everything(self.recipe.seed)  # a file does not hold the state of dropout
        model = self.open_start()
        start = finalise(model, self.method, self.dataset.input_shape)
        ensemble = open_adopted_teachers(self.experiment, self.run)
        targets = None
        if self.method.needs_targets:
            targets = compute_training_targets(ensemble, self.experiment, self._reporter)
        tuning = Tuning(
            self.experiment,
            self.section,
            self.method,
            targets,
            count_params_and_flops(ensemble.teachers),
            self.run / CHECKPOINTS,
            self.progress,
            self.history.replace,
            ensemble,
        )
        compressed = compress(model, tuning, self._earlier_steps())
        final = finalise(compressed.model, self.method, self.dataset.input_shape)
        save_model(final, self.run / "student.keras")
        self.run.commit("student.keras", digest=model_digest(final))
        if compressed.quantization is not None:
            compressed.quantization.save(self.run / QUANTIZATION)
            self.run.commit(QUANTIZATION)
        metrics = self._evaluate(ensemble, compressed.model, None)
        shape = self.dataset.input_shape
        outcome = PipelineResult(ensemble, final, targets, metrics, self.at_chance, shape, self.warnings)
        return CompressionResult(outcome, compressed, start)

    def _earlier_steps(self) -> dict[str, dict[str, Any]]:
        """Read what was done to the student that is compressed."""
        start = self.section.start
        if start == BASELINE or (start == STUDENT and not self.parent.has_file(COMPRESSION)):
            return {}
        # The student of a run is a compressed one where the folder is a copy of that of RUN:NAME
        folder = self.parent if start == STUDENT else student_folder(self.parent, start)
        document = read_checked(folder / COMPRESSION, remedy(COMPRESSION, folder.path))
        return {name: dict(facts) for name, facts in document["steps"].items()}

    @property
    def _start_name(self) -> str:
        return str(self.parent.path) if self.section.start == STUDENT else self.section.start

    def open_start(self) -> Any:
        """Open the student to compress, with the head that the method trains.

        Raises:
            ModelError: It is a subclassed model.
            RecipeError: A step would undo what was done to it before.
        """
        model = self._open_start()
        check_compressible(self.recipe, model)
        return model

    def _open_start(self) -> Any:
        earlier = self._earlier_steps()
        for step in self.section.steps:
            check_order(step, Compressed(None, facts=earlier))
        start, shape = self.section.start, self.dataset.input_shape
        if earlier and not self.method.plain:
            raise UsageError(
                f"a student of method {self.recipe.method.name} is compressed from the first one, since its subclass "
                f"outputs are not saved: give the options of {self._start_name} in this command, too"
            )
        if start not in (STUDENT, BASELINE):
            return open_model(RunFolder(find_student(f"{self.parent.path}:{start}")), STUDENT)
        if self.method.plain:
            return open_model(self.parent, start)
        if not self.parent.has_file(f"{start}.keras"):
            open_model(self.parent, start)  # raises
        reference = self.recipe.student.model
        if needs_trust(reference) and not trusts_code():
            raise ModelError(
                f"run {self.parent.path}: its student needs {reference} to be built, a program that its recipe names: "
                f"{REMEDY}"
            )
        model = self.students.build(self.method)
        load_weights(finalise(model, self.method, shape), self.parent / f"{start}.keras")
        return model


def describe_costs(model: Any, input_shape: tuple[int, int, int]) -> dict[str, Any]:
    """Count what a compression changes in a model.

    Args:
        model: Keras model.
        input_shape: (H, W, C).

    Returns:
        `params`, `flops` (None if unknown), `weight_bytes` and `gzip_bytes` of the weights.
    """
    return {
        "params": model.count_params(),
        "flops": count_flops_or_none(model, input_shape),
        "weight_bytes": sum(np.asarray(weight).nbytes for weight in model.weights),
        "gzip_bytes": gzipped_weight_bytes(model),
    }
