"""Options of an export, validated before TensorFlow is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kdcompress import registry
from kdcompress.errors import UsageError
from kdcompress.exporting._base import CALIBRATED, FP32, INPUT_TYPES, INT4, INT8, OPSETS, PRECISIONS, Format, Options
from kdcompress.exporting._calibration import SIZE
from kdcompress.registry import did_you_mean
from kdcompress.verification.gates import validate_metric_drop

ALL = "all"


@dataclass(frozen=True)
class Job:
    """One file to write.

    Attributes:
        name: Name of the format.
        format: The format.
        precision: Precision.
        float_layers: Layers of an int8 file that stay in float.
        optional: Whether the file is left out, with a note, if it cannot be written or is not worth it.
    """

    name: str
    format: Format
    precision: str
    float_layers: tuple[str, ...] = ()
    optional: bool = False

    def file_name(self, stem: str, failed: bool = False) -> str:
        """Compose the file name.

        Args:
            stem: Beginning of the name.
            failed: Whether the file failed parity, which its name then shows, so that it is not deployed by mistake.

        Returns:
            STEM-PRECISION.SUFFIX, or STEM-PRECISION.failed.SUFFIX.
        """
        return f"{stem}-{self.precision}{'.failed' if failed else ''}{self.format.suffix}"


@dataclass(frozen=True)
class ExportRequest:
    """Validated options of an export.

    Attributes:
        jobs: Files to write.
        skipped: Requested pairs of format and precision that do not exist.
        options: Format-specific options.
        max_metric_drop: Limit of the parity check, a fraction.
        parity_samples: Number of images to compare on; None for all.
        calibration: Folder of calibration images.
        calibration_samples: Number of calibration images.
        keep_metric: Largest drop of the metric on validation, for which the layers that stay in float are searched.
    """

    jobs: tuple[Job, ...]
    skipped: tuple[str, ...]
    options: Options
    max_metric_drop: float
    parity_samples: int | None
    calibration: Path | None
    calibration_samples: int
    keep_metric: float | None = None

    @property
    def needs_calibration(self) -> bool:
        """Whether a job needs calibration images."""
        return any(job.precision in CALIBRATED for job in self.jobs)


def make_export_request(
    formats: str | Iterable[str] = ("onnx", "tflite"),
    precisions: str | Iterable[str] | None = None,
    *,
    opset: int = 17,
    input_type: str = "int8",
    max_metric_drop: float = 0.01,
    parity_samples: int | None = None,
    calibration: str | Path | None = None,
    calibration_samples: int = SIZE,
    float_layers: str | Iterable[str] = (),
    keep_metric: float | None = None,
    explain: bool = False,
    int4_convolutions: bool = False,
) -> ExportRequest:
    """Validate the options of an export.

    Args:
        formats: Names of formats; "all" for all that need no extra. A string may list several, separated by commas.
        precisions: Names of precisions, likewise; by default fp32, or int8 where an option is for that alone.
        opset: ONNX operator set, 13 to 18.
        input_type: Data type of the input of int8 TFLite files: int8, uint8 or float32.
        max_metric_drop: Limit of the parity check, a fraction in [-1, 1].
        parity_samples: Number of images to compare on, >= 1; None for all.
        calibration: Folder of calibration images.
        calibration_samples: Number of calibration images, >= 1.
        float_layers: Layers of int8 files that stay in float; a string may list several, separated by commas.
        keep_metric: Largest drop of the metric on validation, in [0, 1], for which the layers of int8 files that stay
            in float are searched.
        explain: Whether int8 files are to be explained, and not written.
        int4_convolutions: Whether convolutions of int4 files have 4 bits, too, and not 8.

    Returns:
        The request: every format in every precision that it supports.

    Raises:
        UsageError: An option is invalid, or no chosen format supports a precision.
    """
    if opset not in OPSETS:
        raise UsageError(f"--opset must be {OPSETS[0]} to {OPSETS[-1]} (what the converter can write), got {opset}")
    if input_type not in INPUT_TYPES:
        raise UsageError(f"--input-type must be one of {', '.join(INPUT_TYPES)}, got {input_type!r}")
    _check_keep_metric(keep_metric, float_layers)
    for option, count in (("--parity-samples", parity_samples), ("--calibration-samples", calibration_samples)):
        if count is not None and count < 1:
            raise UsageError(f"{option} must be >= 1, got {count}")
    if calibration is not None and not Path(calibration).is_dir():
        raise UsageError(f"--calibration takes a folder of images, and {calibration} is none")
    from kdcompress.exporting import make_format

    available = {name: make_format(name) for name in registry.choices("formats")}
    of_all = [name for name, writer in available.items() if not writer.extra]
    writers = {name: available[name] for name in _select(_split(formats), available, "format", of_all)}
    floats = tuple(dict.fromkeys(filter(None, _split(float_layers))))
    only_int8 = {"--float": bool(floats), "--keep-metric": keep_metric is not None, "--explain": explain}
    need = next((name for name, is_set in only_int8.items() if is_set), None)
    explicit = _split(precisions if precisions is not None else INT8 if need else FP32)
    selected = _select(explicit, PRECISIONS, "precision")
    for precision in selected:
        if precision in explicit and not any(precision in writer.precisions for writer in writers.values()):
            supported = "; ".join(f"{name} has {', '.join(writer.precisions)}" for name, writer in writers.items())
            raise UsageError(f"precision {precision} is none of the chosen formats': {supported}")
    pairs = [(name, writer, precision) for name, writer in writers.items() for precision in selected]
    if need and INT8 not in selected:
        raise UsageError(f"{need} is for --precision int8, which is not among {', '.join(selected)}")
    if int4_convolutions and INT4 not in explicit:
        raise UsageError("--int4-convolutions is for --precision int4, which is not among the precisions")
    if input_type != INPUT_TYPES[0] and not ("tflite" in writers and INT8 in selected):
        raise UsageError("--input-type is for --format tflite --precision int8")
    return ExportRequest(
        tuple(_job(name, writer, p, floats, explicit) for name, writer, p in pairs if p in writer.precisions),
        tuple(f"{name} {p}" for name, writer, p in pairs if p in explicit and p not in writer.precisions),
        Options(opset, input_type, int4_convolutions=int4_convolutions),
        validate_metric_drop(max_metric_drop),
        parity_samples,
        Path(calibration) if calibration else None,
        calibration_samples,
        keep_metric,
    )


def _check_keep_metric(keep_metric: float | None, float_layers: str | Iterable[str]) -> None:
    if keep_metric is not None and float_layers:
        raise UsageError("--float names the layers that --keep-metric would search: give one of the two")
    if keep_metric is not None and not 0 <= keep_metric <= 1:
        raise UsageError(f"--keep-metric must be a fraction in [0, 1], got {keep_metric}")


def _job(name: str, writer: Format, precision: str, float_layers: tuple[str, ...], explicit: list[str]) -> Job:
    optional = precision == INT4 and INT4 not in explicit
    return Job(name, writer, precision, float_layers if precision == INT8 else (), optional)


def _split(value: str | Iterable[str]) -> list[str]:
    """Split a name, a comma-separated list of names, or an iterable of either."""
    texts = [value] if isinstance(value, str) else value
    return [name.strip() for text in texts for name in text.split(",")]


def _select(
    names: Iterable[str], available: Iterable[str], option: str, of_all: Iterable[str] | None = None
) -> list[str]:
    """Check names, and replace "all" by `of_all`, or by all that are available."""
    choices = list(available)
    every = choices if of_all is None else list(of_all)
    selected = dict.fromkeys(choice for name in names for choice in ([name] if name != ALL else every))
    for name in selected:
        if name not in choices:
            close = did_you_mean(name, [*choices, ALL])
            raise UsageError(f"unknown {option} {name!r}{close}; choices: {', '.join(choices)}, {ALL}")
    if not selected:
        raise UsageError(f"name a {option}; choices: {', '.join(choices)}, {ALL}")
    return list(selected)
