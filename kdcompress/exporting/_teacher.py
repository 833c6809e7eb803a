"""The teacher of a run as files to time: exported once in fp32, compared, and kept in the cache.

In the cache and not in the run's exports/, because those are the files to ship, and because runs share teachers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.cache import entry_lock
from kdcompress.data import Dataset
from kdcompress.errors import ExportError, RunError
from kdcompress.exporting._base import FP32
from kdcompress.exporting._calibration import spread
from kdcompress.exporting._network import freeze
from kdcompress.exporting._parity import Reference
from kdcompress.exporting._pipeline import Exporter, read_list
from kdcompress.exporting._request import make_request
from kdcompress.files import content_digest, digest_of
from kdcompress.models import Forward
from kdcompress.progress import Progress
from kdcompress.run import RunFolder, versions
from kdcompress.training.kept import open_model

_COMPARED = 200  # test images


@dataclass(frozen=True)
class TeacherFile:
    """An exported teacher; `reasons` say why it failed parity, or (`path` is None then) why it could not be made."""

    path: Path | None
    precision: str
    reasons: list[str]


def export_teacher(
    run: RunFolder, dataset: Dataset, formats: Iterable[str], progress: Progress
) -> dict[str, TeacherFile]:
    """The run's teacher in each of `formats`, from the cache where it lies there; RunError where there is none yet."""
    if not run.holds("teacher.keras"):
        raise RunError(f"run {run.path} has no teacher yet; give its `kdcompress distill` command again to finish it")
    digest = run.manifest()["files"]["teacher.keras"]["digest"]
    by = versions("tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")
    failures: dict[str, TeacherFile] = {}
    with entry_lock("exports", digest_of([digest, by]), progress) as folder:
        entries = _kept(folder)
        if missing := [name for name in formats if name not in entries]:
            exporter = _exporter(run, dataset, folder)
            for name in missing:
                try:
                    (entry,) = exporter.execute(make_request(name, (FP32,)), progress)["artefacts"]
                    entries[name] = entry
                except ExportError as exc:
                    failures[name] = TeacherFile(None, FP32, [str(exc)])
    files = {
        name: TeacherFile(folder / entry["path"], entry["precision"], entry["reasons"])
        for name, entry in entries.items()
        if name in formats
    }
    return files | failures


def _exporter(run: RunFolder, dataset: Dataset, folder: Path) -> Exporter:
    model = open_model(run, "teacher")
    some = dataset.test.take(np.asarray(spread(len(dataset.test), _COMPARED), np.int64))
    # Its answers are taken anew: those that the run kept are logits, also of a teacher that ends in softmax
    logits = Forward(model)(some.images)
    reference = Reference("test", some.images, some.ids.tolist(), logits, some.labels, list(dataset.classes))
    return Exporter(freeze(model, dataset.input_shape), "teacher", folder, "", lambda precision: reference, None, {})


def _kept(folder: Path) -> dict[str, dict[str, Any]]:
    """What lies in the cache, whole, by format."""
    entries = read_list(folder).get("artefacts", [])
    whole = [one for one in entries if (folder / one["path"]).is_file()]
    return {one["format"]: one for one in whole if content_digest(folder / one["path"]) == one["sha256"]}
