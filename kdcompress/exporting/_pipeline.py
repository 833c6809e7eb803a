"""Writing the files that a request asks for, one whole file at a time, each measured before it counts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdcompress._version import __version__
from kdcompress.cache import lock_entry
from kdcompress.digests import content_digest, json_digest
from kdcompress.errors import ExportError, RunError
from kdcompress.exporting._base import INT8
from kdcompress.exporting._calibration import Calibration
from kdcompress.exporting._network import INPUT, OUTPUT, Network
from kdcompress.exporting._parity import Reference, agreement_warning, check_parity
from kdcompress.exporting._request import ExportRequest, Job
from kdcompress.files import move_into_place, scratch_folder, size_of
from kdcompress.leftovers import is_partial, remove_path
from kdcompress.paths import safe_join
from kdcompress.progress import Progress
from kdcompress.runs.artefacts import SAVED_MODEL, Artefacts, export_files
from kdcompress.runs.documents import read_checked
from kdcompress.runs.schemas import versioned
from kdcompress.sealed import write_sealed
from kdcompress.versions import versions

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
        self, request: ExportRequest, progress: Progress, on_file: Callable[[Path], None] = lambda path: None
    ) -> dict[str, Any]:
        """{"artefacts", "failures", "passed"}: what the list says of the files made, and what could not be made.

        `on_file` hears of each file when it is whole. Errors: ExportError if none could be made.
        """
        made: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        with lock_entry("exports", json_digest(str(self.folder.resolve())), progress):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                for leftover in filter(is_partial, self.folder.iterdir()):
                    remove_path(leftover)
                self._forget_if_damaged(progress)
                for job in request.jobs:
                    progress.note(f"exporting {job.file_name(self.stem)} ...")
                    try:
                        made.append(self._make(job, request))
                    except ExportError as exc:
                        if len(request.jobs) == len(failures) + 1:
                            raise
                        failures.append({"format": job.name, "precision": job.precision, "reason": str(exc)})
                        continue
                    if doubt := agreement_warning(made[-1]):
                        progress.warn(doubt)
                    self._record(made[-1])
                    on_file(self.root / made[-1]["path"])
            finally:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()  # a failure leaves no empty folder
        passed = not failures and all(entry["passed"] for entry in made)
        return {"artefacts": made, "failures": failures, "passed": passed}

    def _make(self, job: Job, request: ExportRequest) -> dict[str, Any]:
        calibration = self.calibration if job.precision == INT8 else None
        images = None if calibration is None else calibration.images
        with scratch_folder(self.folder) as scratch:
            part = scratch / job.file_name(self.stem)
            job.format.write(self.network, part, job.precision, request.options, images, self._metadata(job))
            verdict = check_parity(
                job.format.open(part), self.references(job.precision), job.precision, request.max_metric_drop
            )
            path = self.folder / job.file_name(self.stem, failed=not verdict["passed"])
            move_into_place(part, path, self._empty)
        # What an earlier export left under the other name must not stand beside it.
        self._delete(self.folder / job.file_name(self.stem, failed=verdict["passed"]))
        return {
            "path": path.relative_to(self.root).as_posix(),
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
        write_sealed(self.folder / LIST, versioned(listed))

    def _earlier(self) -> list[dict[str, Any]]:
        """What the folder's list names; exports of another model are thrown away, lest they pass for this one's."""
        listed = read_list(self.folder, self.root)
        if listed.get("student_digest") == self.digest:
            found: list[dict[str, Any]] = listed["artefacts"]
            return found
        if listed:
            self._ours.delete(self.folder)
        return []

    def _forget_if_damaged(self, progress: Progress) -> None:
        """Begin anew where it is not known any more what the exports in the folder are."""
        try:
            self._earlier()
        except RunError as exc:
            progress.warn(f"{exc}: exports made before and not made again now are deleted")
            self._ours.delete(self.folder)

    @property
    def _ours(self) -> Artefacts:
        return export_files(self.stem)

    def _delete(self, path: Path) -> None:
        """Delete an earlier export, and nothing else that somebody put into its folder."""
        if path.is_dir() and not path.is_symlink():
            if not self._empty(path):
                path.rmdir()
        else:
            path.unlink(missing_ok=True)

    @staticmethod
    def _empty(folder: Path) -> list[str]:
        return SAVED_MODEL.delete(folder)

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


def read_list(folder: Path, root: Path) -> dict[str, Any]:
    """The list of exports in `folder`, by their paths below `root`, or nothing; RunError if it is damaged."""
    try:
        listed = read_checked(folder / LIST, "export again")
    except FileNotFoundError:
        return {}
    for entry in listed["artefacts"]:
        safe_join(root, entry["path"], str(folder / LIST), RunError)
    return listed


def _kind(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["format"], entry["precision"]
