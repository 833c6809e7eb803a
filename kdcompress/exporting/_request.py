"""What an export asks for, checked before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kdcompress import registry
from kdcompress.errors import UsageError
from kdcompress.exporting._base import INPUT_TYPES, INT8, OPSETS, PRECISIONS, Format, Options
from kdcompress.exporting._calibration import SIZE
from kdcompress.registry import suggestion
from kdcompress.verification.gates import validate_metric_drop

ALL = "all"


@dataclass(frozen=True)
class Job:
    """One file to make."""

    name: str
    format: Format
    precision: str

    def file_name(self, stem: str, failed: bool = False) -> str:
        """STEM-PRECISION.SUFFIX; a file that failed parity carries that in its name, so that nobody ships it unseen."""
        return f"{stem}-{self.precision}{'.failed' if failed else ''}{self.format.suffix}"


@dataclass(frozen=True)
class ExportRequest:
    """The jobs of an export, and how they are done and judged."""

    jobs: tuple[Job, ...]
    skipped: tuple[str, ...]
    options: Options
    max_metric_drop: float
    parity_samples: int | None
    calibration: Path | None
    calibration_samples: int

    @property
    def needs_calibration(self) -> bool:
        """Whether a job takes ranges from images."""
        return any(job.precision == INT8 for job in self.jobs)


def make_export_request(
    formats: str | Iterable[str] = ("onnx", "tflite"),
    precisions: str | Iterable[str] = ("fp32",),
    *,
    opset: int = 17,
    input_type: str = "int8",
    max_metric_drop: float = 0.01,
    parity_samples: int | None = None,
    calibration: str | Path | None = None,
    calibration_samples: int = SIZE,
) -> ExportRequest:
    """The request for every format in every precision that it has (`all` stands for all of them).

    Errors: UsageError with the choices; for an opset outside 13 to 18; for a count below 1; where no format has one of
    the precisions.
    """
    if opset not in OPSETS:
        raise UsageError(f"--opset must be {OPSETS[0]} to {OPSETS[-1]} (what the converter can write), got {opset}")
    if input_type not in INPUT_TYPES:
        raise UsageError(f"--input-type must be one of {', '.join(INPUT_TYPES)}, got {input_type!r}")
    for option, count in (("--parity-samples", parity_samples), ("--calibration-samples", calibration_samples)):
        if count is not None and count < 1:
            raise UsageError(f"{option} must be >= 1, got {count}")
    if calibration is not None and not Path(calibration).is_dir():
        raise UsageError(f"--calibration takes a folder of images, and {calibration} is none")
    from kdcompress.exporting import make_format

    kinds = {name: make_format(name) for name in _chosen(_split(formats), registry.choices("formats"), "format")}
    named = _split(precisions)
    wanted = _chosen(named, PRECISIONS, "precision")
    for precision in wanted:
        if not any(precision in kind.precisions for kind in kinds.values()):
            having = "; ".join(f"{name} has {', '.join(kind.precisions)}" for name, kind in kinds.items())
            raise UsageError(f"precision {precision} is none of the chosen formats': {having}")
    pairs = [(name, kind, precision) for name, kind in kinds.items() for precision in wanted]
    if input_type != INPUT_TYPES[0] and not ("tflite" in kinds and INT8 in wanted):
        raise UsageError("--input-type is for --format tflite --precision int8")
    return ExportRequest(
        tuple(Job(name, kind, precision) for name, kind, precision in pairs if precision in kind.precisions),
        tuple(f"{name} {p}" for name, kind, p in pairs if p in named and p not in kind.precisions),
        Options(opset, input_type),
        validate_metric_drop(max_metric_drop),
        parity_samples,
        Path(calibration) if calibration else None,
        calibration_samples,
    )


def _split(asked: str | Iterable[str]) -> list[str]:
    """One name, several between commas, or a list of either."""
    texts = [asked] if isinstance(asked, str) else asked
    return [name.strip() for text in texts for name in text.split(",")]


def _chosen(asked: Iterable[str], known: Iterable[str], word: str) -> list[str]:
    names = list(known)
    chosen = dict.fromkeys(name for text in asked for name in ([text] if text != ALL else names))
    for name in chosen:
        if name not in names:
            close = suggestion(name, [*names, ALL])
            raise UsageError(f"unknown {word} {name!r}{close}; choices: {', '.join(names)}, {ALL}")
    if not chosen:
        raise UsageError(f"name a {word}; choices: {', '.join(names)}, {ALL}")
    return list(chosen)
