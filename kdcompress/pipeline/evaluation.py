"""Evaluation of teacher, student and baseline: metrics on test, and the outputs that a run saves for its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdcompress.data import Samples
from kdcompress.files import write_npz
from kdcompress.methods import Method
from kdcompress.methods.subclass import Subclasses
from kdcompress.metrics.classification import basic_metrics
from kdcompress.metrics.comparison import disagreements
from kdcompress.metrics.finite import check_finite
from kdcompress.models import Forward
from kdcompress.pipeline.ensemble import TeacherEnsemble
from kdcompress.pipeline.subclass_outputs import save_subclass_outputs
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import DISAGREEMENTS, TEST_OUTPUTS, VAL_OUTPUTS

_MAX_DISAGREEMENTS = 24  # images that are saved, for a report without the data set
Outputs = dict[str, NDArray[np.float32]]
"""Outputs (n, head) or class logits (n, classes) by role."""


@dataclass(frozen=True)
class Evaluation:
    """The models of a run, ready for inference.

    Attributes:
        run: Run folder.
        ensemble: The teachers.
        models: Student and baseline by role, as they were trained.
        method: The method, bound to the data's classes.
    """

    run: RunFolder
    ensemble: TeacherEnsemble
    models: Mapping[str, Forward]
    method: Method

    def evaluate(self, val: Samples, test: Samples) -> tuple[Outputs, dict[str, dict[str, float | None]]]:
        """Compute the metrics on test, and save the outputs on validation and test.

        Validation outputs are saved so that a decision threshold can be chosen later without images or models.

        Args:
            val: Validation samples.
            test: Test samples.

        Returns:
            (class logits on test by role, metrics on test by role).

        Raises:
            TrainingError: Outputs are not finite.
        """
        outputs, logits = self._predict(test)
        self._save(TEST_OUTPUTS, test, logits)
        self._save(VAL_OUTPUTS, val, self._predict(val)[1])
        if isinstance(self.method, Subclasses):
            save_subclass_outputs(self.run, test, outputs, logits, self.method.sizes)
        indices = disagreements(logits["teacher"], logits["student"], _MAX_DISAGREEMENTS)
        write_npz(self.run / DISAGREEMENTS, {"ids": test.ids[indices], "images": test.images[indices]})
        self.run.commit(DISAGREEMENTS)
        return logits, {role: basic_metrics(values, test.labels) for role, values in logits.items()}

    def _predict(self, samples: Samples) -> tuple[Outputs, Outputs]:
        """The outputs and the class logits of all roles."""
        outputs = {"teacher": self.ensemble.predict(samples)}
        outputs |= {role: model(samples.images) for role, model in self.models.items()}
        for role, values in outputs.items():
            check_finite(values, samples.ids, role)
        logits = {"teacher": self.ensemble.class_logits(outputs["teacher"])}
        for role in self.models:
            method = self.method if role == "student" else self.method.for_baseline()
            logits[role] = np.asarray(method.class_logits(outputs[role]), np.float32)
        return outputs, logits

    def _save(self, name: str, samples: Samples, logits: Outputs) -> None:
        columns = {key: rows for key in ("groups", "votes") if (rows := getattr(samples, key)) is not None}
        by_role = {f"{role}_logits": values for role, values in logits.items()}
        write_npz(self.run / name, {"ids": samples.ids, "labels": samples.labels, **columns, **by_role})
        self.run.commit(name)
