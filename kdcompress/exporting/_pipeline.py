"""Writing the files that a request asks for, one whole file at a time, each measured before it counts."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcompress._version import __version__
from kdcompress.cache import entry_lock
from kdcompress.errors import ExportError, RunError
from kdcompress.exporting._base import INT8
from kdcompress.exporting._calibration import Calibration
from kdcompress.exporting._network import INPUT, OUTPUT, Network
from kdcompress.exporting._parity import Reference, changed_answers, compare
from kdcompress.exporting._request import Job, Request
from kdcompress.files import (
    content_digest,
    digest_of,
    is_partial,
    move_into_place,
    remove,
    scratch_folder,
    size_of,
    write_json,
)
from kdcompress.progress import Progress
from kdcompress.run import versions

LIST = "exports.json"
# The images that exports of a precision are compared on
References = Callable[[str], Reference]


class Exporter:
    """Writes the exports of one model into a folder of `root` and lists them there, by their paths below `root`.

    `references` gives the images that an export of a precision is compared on.
    """

    def __init__(
        self,
        network: Network,
        stem: str,
        root: Path,
        folder: str,
        references: References,
        calibration: Calibration | None,
        provenance: dict[str, Any],
    ) -> None:
        self.network, self.stem, self.root, self.folder = network, stem, root, root / folder
        self.references, self.calibration, self.provenance = references, calibration, provenance
        self.digest = network.digest

    def execute(
        self, request: Request, progress: Progress, on_file: Callable[[Path], None] = lambda path: None
    ) -> dict[str, Any]:
        """{"artefacts", "failures", "passed"}: what the list says of the files made, and what could not be made.

        `on_file` hears of each file when it is whole. Errors: ExportError if none could be made.
        """
        made: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        with entry_lock("exports", digest_of(str(self.folder.resolve())), progress):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                for leftover in filter(is_partial, self.folder.iterdir()):
                    remove(leftover)
                self._earlier()  # a damaged list is told before minutes of work
                for job in request.jobs:
                    progress.note(f"exporting {job.file_name(self.stem)} ...")
                    try:
                        made.append(self._make(job, request))
                    except ExportError as exc:
                        if len(request.jobs) == len(failures) + 1:
                            raise
                        failures.append({"format": job.name, "precision": job.precision, "reason": str(exc)})
                        continue
                    if doubt := changed_answers(made[-1]):
                        progress.warn(doubt)
                    self._record(made[-1])
                    on_file(self.root / made[-1]["path"])
            finally:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()  # a failure leaves no empty folder
        passed = not failures and all(entry["passed"] for entry in made)
        return {"artefacts": made, "failures": failures, "passed": passed}

    def _make(self, job: Job, request: Request) -> dict[str, Any]:
        calibration = self.calibration if job.precision == INT8 else None
        images = None if calibration is None else calibration.images
        with scratch_folder(self.folder) as scratch:
            part = scratch / job.file_name(self.stem)
            job.format.write(self.network, part, job.precision, request.options, images, self._metadata(job))
            verdict = compare(
                job.format.open(part), self.references(job.precision), job.precision, request.max_metric_drop
            )
            path = self.folder / job.file_name(self.stem, failed=not verdict["passed"])
            move_into_place(part, path)
        # What an earlier export left under the other name must not stand beside it.
        remove(self.folder / job.file_name(self.stem, failed=verdict["passed"]))
        return {
            "path": str(path.relative_to(self.root)),
            "format": job.name,
            "precision": job.precision,
            "opset": request.options.opset if job.name == "onnx" else None,
            "bytes": size_of(path),
            "sha256": content_digest(path),
            "calibration": calibration and calibration.facts,
            **verdict,
        }

    def _record(self, entry: dict[str, Any]) -> None:
        """Put an entry into the list on disk, in place of an earlier one of the same format and precision."""
        kept = [one for one in self._earlier() if (one["format"], one["precision"]) != _kind(entry)]
        artefacts = sorted([*kept, entry], key=_kind)
        by = versions("tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")
        listed = {"schema": 1, "student_digest": self.digest, "versions": by, "artefacts": artefacts}
        write_json(self.folder / LIST, listed)

    def _earlier(self) -> list[dict[str, Any]]:
        """What the folder's list names; exports of another model are thrown away, lest they pass for this one's."""
        listed = read_list(self.folder)
        if listed.get("student_digest") == self.digest:
            found: list[dict[str, Any]] = listed["artefacts"]
            return found
        for entry in listed.get("artefacts", []):
            path = self.root / entry["path"]
            if path.exists() and content_digest(path) == entry["sha256"]:
                remove(path)
        return []

    def _metadata(self, job: Job) -> dict[str, Any]:
        """What a file says about itself; nothing in it may differ between two exports of the same model."""
        height, width, channels = self.network.input_shape
        facts: dict[str, Any] = {
            "kdcompress": __version__,
            "student_digest": self.digest,
            "precision": job.precision,
            "input": {"name": INPUT, "layout": "NHWC", "shape": [height, width, channels], "range": [0, 255]},
            "output": {"name": OUTPUT},
            "classes": self.references(job.precision).classes,
            **self.provenance,
        }
        if metrics := self.references(job.precision).metrics:
            facts["metrics"] = {"of": "the Keras model", **metrics}
        if job.precision == INT8 and self.calibration:
            facts["calibration"] = {"source": self.calibration.source, "n": len(self.calibration.ids)}
        return facts


def read_list(folder: Path) -> dict[str, Any]:
    """The list of exports in `folder`, or nothing; RunError if it cannot be read."""
    path = folder / LIST
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as exc:
        raise RunError(f"{path} is damaged ({exc}); delete it, then export again") from exc
    return found


def _kind(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["format"], entry["precision"]
