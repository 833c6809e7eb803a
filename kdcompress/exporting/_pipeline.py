"""Export of a network to files, each written atomically and checked for parity before it is listed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kdcompress._version import __version__
from kdcompress.cache import lock_entry
from kdcompress.digests import content_digest, json_digest
from kdcompress.errors import ExportError, RunError
from kdcompress.exporting._base import CALIBRATED
from kdcompress.exporting._calibration import Calibration
from kdcompress.exporting._failures import all_failed, failure_reason
from kdcompress.exporting._layers import owner_of
from kdcompress.exporting._network import INPUT, OUTPUT, Network
from kdcompress.exporting._parity import Reference, agreement_warning, check_parity
from kdcompress.exporting._request import ExportRequest, Job
from kdcompress.files import move_into_place, scratch_folder
from kdcompress.leftovers import is_partial, remove_path
from kdcompress.paths import safe_join
from kdcompress.progress import Progress
from kdcompress.runs.artefacts import Artefacts, export_files, folder_files
from kdcompress.runs.documents import read_checked
from kdcompress.runs.schemas import versioned
from kdcompress.sealed import write_sealed
from kdcompress.sizes import gzip_size, size_of
from kdcompress.versions import versions

LIST = "exports.json"
References = Callable[[str], Reference]  # precision -> images that its exports are compared on


class Exporter:
    """Writes the exports of one model into a folder, and the list of them.

    Args:
        network: Frozen network.
        stem: Beginning of the file names.
        root: Folder to which the paths in the list are relative.
        folder: Name of the export folder in `root`.
        references: Returns the images that exports of a precision are compared on.
        calibration: Images for int8.
        provenance: Further metadata to store in each file.
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
        """Write all files of a request.

        Args:
            request: What to export.
            progress: Receives notes and warnings.
            on_file: Called with the path of each completed file.

        Returns:
            `artefacts`, the entries of the new files; `failures` with their reasons; and `passed`.

        Raises:
            ExportError: No file could be written.
        """
        made: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        with lock_entry("exports", json_digest(str(self.folder.resolve())), progress):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                for leftover in filter(is_partial, self.folder.iterdir()):
                    remove_path(leftover)
                self._discard_if_damaged(progress)
                for job in request.jobs:
                    progress.note(f"exporting {job.file_name(self.stem)} ...")
                    try:
                        made.append(self._export(job, request))
                    except Exception as exc:  # converters and runtimes raise anything
                        reason = failure_reason(exc, self.network)
                        if job.optional:
                            progress.note(f"{job.name} {job.precision}: {reason}; skipped")
                        else:
                            failures.append({"format": job.name, "precision": job.precision, "reason": reason})
                        continue
                    if warning := agreement_warning(made[-1]):
                        progress.warn(warning)
                    self._record(made[-1])
                    on_file(self.root / made[-1]["path"])
                if not made:
                    raise all_failed(failures)
            finally:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()  # no empty folder is left after a failure
        passed = not failures and all(entry["passed"] for entry in made)
        return {"artefacts": made, "failures": failures, "passed": passed}

    def _export(self, job: Job, request: ExportRequest) -> dict[str, Any]:
        if job.float_layers and self.network.quantization is not None:
            raise ExportError("--float is for calibrated int8 files, and the integers of this student are trained")
        calibration = self.calibration if job.precision in CALIBRATED else None
        images = None if calibration is None else calibration.images
        with scratch_folder(self.folder) as scratch:
            part = scratch / job.file_name(self.stem)
            options = replace(request.options, float_layers=job.float_layers)
            job.format.write(self.network, part, job.precision, options, images, self._metadata(job))
            verdict = check_parity(
                job.format.open(part), self.references(job.precision), job.precision, request.max_metric_drop
            )
            if job.optional and not verdict["passed"]:
                raise ExportError("; ".join(verdict["reasons"]))
            if not verdict["passed"]:
                verdict["reasons"] += self._approximations(job)
            path = self.folder / job.file_name(self.stem, failed=not verdict["passed"])
            move_into_place(part, path, self._empty)
        # An earlier export under the other name (passed or failed) must not remain
        self._delete(self.folder / job.file_name(self.stem, failed=verdict["passed"]))
        return {
            "path": path.relative_to(self.root).as_posix(),
            "format": job.name,
            "precision": job.precision,
            "opset": request.options.opset if job.name == "onnx" else None,
            "bytes": size_of(path),
            "gzip_bytes": gzip_size(path),
            "sha256": content_digest(path),
            "calibration": calibration and calibration.summary,
            "float_layers": list(map(owner_of(self.network), job.float_layers)),
            **verdict,
        }

    def _approximations(self, job: Job) -> list[str]:
        """Name the operators that a format computes with other weights than TensorFlow."""
        located = {operator: self.network.locate_operator(operator) for operator in job.format.approximate}
        return [
            f"its runtimes compute operator {operator}{location} with other weights than TensorFlow: take another "
            "interpolation, or another --format"
            for operator, location in located.items()
            if location
        ]

    def _record(self, entry: dict[str, Any]) -> None:
        """Add an entry to the list on disk, replacing one of the same format and precision."""
        others = [listed for listed in self._previous() if _key(listed) != _key(entry)]
        artefacts = sorted([*others, entry], key=_key)
        packages = versions("tf2onnx", "onnx", "onnxruntime", "ai-edge-litert", "pnnx", "ncnn")
        document = {"schema": 1, "student_digest": self.digest, "versions": packages, "artefacts": artefacts}
        write_sealed(self.folder / LIST, versioned(document))

    def _previous(self) -> list[dict[str, Any]]:
        """Read the entries on disk; exports of another model are deleted."""
        document = read_list(self.folder, self.root)
        if document.get("student_digest") == self.digest:
            entries: list[dict[str, Any]] = document["artefacts"]
            return entries
        if document:
            self._artefacts.delete(self.folder)
        return []

    def _discard_if_damaged(self, progress: Progress) -> None:
        """Delete earlier exports if their list is damaged."""
        try:
            self._previous()
        except RunError as exc:
            progress.warn(f"{exc}: earlier exports that are not made again now are deleted")
            self._artefacts.delete(self.folder)

    @property
    def _artefacts(self) -> Artefacts:
        return export_files(self.stem)

    def _delete(self, path: Path) -> None:
        """Delete an earlier export; a folder stays if it contains other files."""
        if path.is_dir() and not path.is_symlink():
            if not self._empty(path):
                path.rmdir()
        else:
            path.unlink(missing_ok=True)

    @staticmethod
    def _empty(folder: Path) -> list[str]:
        return folder_files(folder.suffix).delete(folder)

    def _metadata(self, job: Job) -> dict[str, Any]:
        """Compose the metadata of a file, which must be equal for two exports of the same model."""
        height, width, channels = self.network.input_shape
        metadata: dict[str, Any] = {
            "kdcompress": __version__,
            "student_digest": self.digest,
            "precision": job.precision,
            "input": {"name": INPUT, "layout": "NHWC", "shape": [height, width, channels], "range": [0, 255]},
            "output": {"name": OUTPUT},
            "classes": self.references(job.precision).classes,
            **self.provenance,
        }
        if metrics := self.references(job.precision).metrics:
            metadata["metrics"] = {"of": "the Keras model", **metrics}
        if job.float_layers:
            metadata["float_layers"] = list(map(owner_of(self.network), job.float_layers))
        if job.precision in CALIBRATED and self.calibration:
            metadata["calibration"] = {"source": self.calibration.source, "n": len(self.calibration.ids)}
        return metadata


def read_list(folder: Path, root: Path) -> dict[str, Any]:
    """Read the list of exports of a folder.

    Args:
        folder: Folder of the exports.
        root: Folder to which their paths are relative.

    Returns:
        `exports.json`; empty if there is none.

    Raises:
        RunError: It is damaged, or a path leads out of `root`.
    """
    try:
        document = read_checked(folder / LIST, "export again")
    except FileNotFoundError:
        return {}
    for entry in document["artefacts"]:
        safe_join(root, entry["path"], str(folder / LIST), RunError)
    return document


def _key(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["format"], entry["precision"]
