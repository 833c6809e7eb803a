"""MLflow: the recipe as parameters, curves and test metrics; each training of a sweep is a nested run."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from kdcompress.events import ArtefactWritten, EpochEnded, RunFailed, RunFinished, RunStarted, SweepFinished
from kdcompress.observers._base import Observer, require_package
from kdcompress.observers._figures import final_figures

_ARTEFACTS = ("student.keras", "metrics.json")
_RUN, _TRIAL, _PARENT = "kdcompress.run", "kdcompress.trial", "mlflow.parentRunId"
_PARAMS_PER_CALL, _LONGEST_PARAM = 100, 6000  # MLflow's own limits


class MLflow(Observer):
    """Logs to an MLflow experiment: the recipe as parameters, metrics of each epoch and of test, and how the run ended.

    A resumed run continues its MLflow run. A tracking server that wants a password is named in the environment
    (MLFLOW_TRACKING_URI), for a run keeps its recipe.
    """

    module: ClassVar[str] = "mlflow"

    experiment: str = Field("kdcompress", min_length=1, max_length=500, description="the experiment's name")
    tracking_uri: str | None = Field(None, min_length=1, description="where MLflow keeps runs; its own default")
    log_artifacts: bool = Field(False, description="also keep student.keras and metrics.json in MLflow")

    _client: Any = None
    _experiment_id: str = ""
    _tags: dict[str, str] = PrivateAttr(default_factory=dict)
    _resumed: bool = False
    _ids: dict[str, str] = PrivateAttr(default_factory=dict)  # of MLflow's runs, by trial

    def check(self) -> None:
        """Check that MLflow is installed."""
        require_package(self.module, "observer mlflow", "mlflow")

    def on_run_started(self, event: RunStarted) -> None:
        """Begin a run of MLflow with the recipe as its parameters, or continue the one of this run."""
        from mlflow import MlflowClient

        self._client = MlflowClient(tracking_uri=self.tracking_uri)
        known = self._client.get_experiment_by_name(self.experiment)
        self._experiment_id = known.experiment_id if known else self._client.create_experiment(self.experiment)
        self._tags, self._resumed = {_RUN: str(event.run.absolute())}, event.resumed
        if self._find("") is None:
            self._create("", event.run.name, {})
            self._log_params({key: value for key, value in event.recipe.items() if key != "observers"})

    def on_epoch_ended(self, event: EpochEnded) -> None:
        """Log the metrics of an epoch."""
        if event.trial not in self._ids and self._find(event.trial) is None:
            self._create(event.trial, event.trial, {_TRIAL: event.trial, _PARENT: self._ids[""]})
        metrics = {f"{event.phase}/{name}": value for name, value in event.metrics.items()}
        self._log_metrics(event.trial, metrics, event.epoch)

    def on_artefact(self, event: ArtefactWritten) -> None:
        """Keep the student and the result, if that is wanted."""
        if self.log_artifacts and event.name in _ARTEFACTS:
            self._client.log_artifact(self._ids[""], str(event.path))

    def on_run_finished(self, event: RunFinished) -> None:
        """Log the test metrics, ratios and gains, and end the run."""
        self._log_figures(event.result)
        self._end("FINISHED")

    def on_sweep_finished(self, event: SweepFinished) -> None:
        """Log the mean test metric of the chosen setting, the baseline and the teacher, and the gain; end all runs."""
        self._log_figures(event.result)
        self._end("FINISHED")

    def on_run_failed(self, event: RunFailed) -> None:
        """End the run as failed, or as killed where the user stopped it."""
        if "" in self._ids:
            self._client.set_tag(self._ids[""], "kdcompress.error", event.error)
            self._end("KILLED" if event.interrupted else "FAILED")

    def _find(self, trial: str) -> str | None:
        """The MLflow run that an interrupted run of the same folder began, by its tags."""
        if not self._resumed:
            return None
        runs = self._client.search_runs(
            [self._experiment_id],
            f"tags.`{_RUN}` = {_quoted(self._tags[_RUN])}",
            order_by=["attributes.start_time DESC"],
        )
        found = next((run.info.run_id for run in runs if run.data.tags.get(_TRIAL, "") == trial), None)
        if found is not None:
            self._client.update_run(found, status="RUNNING")
            self._ids[trial] = found
        return found

    def _create(self, trial: str, name: str, tags: Mapping[str, str]) -> None:
        run = self._client.create_run(self._experiment_id, tags={**self._tags, **tags}, run_name=name)
        self._ids[trial] = run.info.run_id

    def _log_params(self, recipe: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(_name(key), value[:_LONGEST_PARAM]) for key, value in _flat(recipe)]
        for start in range(0, len(params), _PARAMS_PER_CALL):
            self._client.log_batch(self._ids[""], params=params[start : start + _PARAMS_PER_CALL])

    def _log_metrics(self, trial: str, metrics: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        finite = {_name(key): value for key, value in metrics.items() if math.isfinite(value)}
        self._client.log_batch(self._ids[trial], [Metric(key, value, now, step) for key, value in finite.items()])

    def _log_figures(self, result: Mapping[str, Any]) -> None:
        for role, figures in final_figures(result).items():
            self._log_metrics("", {f"{role}/{name}".lstrip("/"): value for name, value in figures.items()}, 0)

    def _end(self, status: str) -> None:
        for run_id in self._ids.values():
            self._client.set_terminated(run_id, status)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The values of nested sections by dotted keys, lists as JSON."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def _name(text: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^\w./ -]", "_", text)[:250]


def _quoted(text: str) -> str:
    """A string of MLflow's search language, in which a quote cannot be escaped."""
    return f'"{text}"' if "'" in text else f"'{text}'"


OBSERVER = MLflow
