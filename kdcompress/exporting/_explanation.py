"""Explanation of int8 files: which layer pays in accuracy for being quantised, and which are worth leaving in float."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kdcompress.errors import ExportError
from kdcompress.exporting._base import INT8, Images, Options
from kdcompress.exporting._choice import keep_metric, pick, rank_layers
from kdcompress.exporting._effects import Effect, Laboratory
from kdcompress.exporting._failures import all_failed, failure_reason
from kdcompress.exporting._network import Network
from kdcompress.exporting._parity import Reference
from kdcompress.exporting._request import ExportRequest, Job
from kdcompress.leftovers import temporary_folder
from kdcompress.progress import Progress


class Explainer:
    """Explains the int8 files of a network.

    Args:
        network: Frozen network.
        source: How the command line names it.
        reference: Validation images with labels and the outputs of the network.
        calibration: Images for the ranges of activations, (n, H, W, C).
        progress: Receives the phases.
    """

    def __init__(
        self, network: Network, source: str, reference: Reference, calibration: Images, progress: Progress
    ) -> None:
        self._network, self._source, self._reference = network, source, reference
        self._calibration, self._progress = calibration, progress

    def explain(self, request: ExportRequest) -> tuple[dict[str, Any], ExportRequest]:
        """Explain the int8 files of a request.

        Args:
            request: What to export, with int8 among it.

        Returns:
            The document `explain.json`, and the request with the chosen float layers where `keep_metric` is set.

        Raises:
            ExportError: None of the files can be explained, or the limit of `keep_metric` cannot be held.
        """
        explained, failures, jobs = [], [], []
        for job in request.jobs:
            if job.precision != INT8:
                jobs.append(job)
                continue
            try:
                entry, chosen = self._explain(job, request)
            except Exception as exc:  # converters and runtimes raise anything
                if request.keep_metric is not None:
                    raise ExportError(f"{job.name} int8: {failure_reason(exc, self._network)}") from exc
                failures.append({"format": job.name, "precision": INT8, "reason": failure_reason(exc, self._network)})
                continue
            explained.append(entry)
            jobs.append(replace(job, float_layers=chosen.float_layers if chosen else ()))
        if not explained:
            raise all_failed(failures)
        for failure in failures:
            self._progress.warn(f"{failure['format']} int8 is not explained: {failure['reason']}")
        document = {
            "student_digest": self._network.digest,
            "source": self._reference.source,
            "n": len(self._reference.ids),
            "metric": self._reference.metric,
            "formats": explained,
        }
        return document, replace(request, jobs=tuple(jobs))

    def _explain(self, job: Job, request: ExportRequest) -> tuple[dict[str, Any], Effect | None]:
        int8 = job.format.calibrate(self._network, request.options, self._calibration)
        if int8 is None:
            raise ExportError(f"format {job.name} cannot leave single layers in float; explain onnx or tflite")
        if not int8.layers:
            raise ExportError("the int8 file has no layer that is quantized")
        with temporary_folder() as folder, self._phase(f"explain {job.name}", 2 * len(int8.layers)) as count:
            laboratory = Laboratory(job.format, int8, self._reference, folder, count)
            ranking = rank_layers(laboratory)
            limit = request.keep_metric
            chosen = None if limit is None else keep_metric(laboratory, ranking, limit)
            picks = pick(laboratory, ranking)
            entry = {"format": job.name, "precision": INT8, **_effects(laboratory, ranking)}
        entry["picks"] = {name: self._pick(effect, job.name, request.options) for name, effect in picks.items()}
        if chosen is not None:
            entry["kept"] = {"limit": limit, **self._pick(chosen, job.name, request.options)}
        return entry, chosen

    def _pick(self, effect: Effect, name: str, options: Options) -> dict[str, Any]:
        command = ["kdcompress", "export", self._source, "--format", name, "--precision", "int8"]
        command += ["--input-type", options.input_type] if name == "tflite" and options.input_type != "int8" else []
        command += ["--float", ",".join(effect.float_layers)] if effect.float_layers else []
        return {"float_layers": list(effect.float_layers), **effect.record, "command": shlex.join(command)}

    @contextmanager
    def _phase(self, name: str, total: int) -> Iterator[Callable[[], None]]:
        """Report a phase whose steps are measurements, of which a search needs some more than were counted."""
        done = 0

        def count() -> None:
            nonlocal done
            done = min(done + 1, total)
            self._progress.step(done, {})

        self._progress.begin(name, total)
        try:
            yield count
        finally:
            self._progress.end()


def _effects(laboratory: Laboratory, ranking: list[str]) -> dict[str, Any]:
    """Return the effects of all layers and of each, by the keys of `explain.json`."""
    return {
        "int8": laboratory.without([]).record,
        "float32": laboratory.without(laboratory.layers).record,
        "layers": [
            {"name": name, "alone": laboratory.alone(name).record, "in_float": laboratory.without([name]).record}
            for name in ranking
        ],
    }
