"""The machine that `bench` measures on, and of another machine the bundle and whether its files compute the same."""

from __future__ import annotations

from kdcompress.runs.schemas._parts import Count
from kdcompress.runs.schemas._result import Result, made


class Load(Result):
    """What other processes took of all cores' time, a fraction: before and during the benchmark."""

    before: float | None = None
    during: float | None = None
    load_1min: float | None = None


class Heat(Result):
    """Temperatures in °C and frequencies before and after, and what slowed the CPU down; None for what is not told."""

    before_c: float | None = None
    after_c: float | None = None
    max_c: float | None = None
    frequency_before_mhz: float | None = None
    frequency_after_mhz: float | None = None
    throttled: list[str] | None = None


class Machine(Result):
    """Where times were taken; None for what cannot be read. Memory is in 10^6 bytes."""

    cpu: str | None = None
    board: str | None = None
    arch: str | None = None
    physical_cores: Count | None = None
    logical_cores: Count | None = None
    usable_cores: Count | None = None
    instruction_sets: dict[str, bool] = made(dict)
    governor: str | None = None
    max_frequency_mhz: float | None = None
    memory_mb: float | None = None
    memory_available_mb: float | None = None
    os: str | None = None
    versions: dict[str, str] = made(dict)
    load: Load = made(Load)
    heat: Heat = made(Heat)


class BundledFile(Result):
    """A model file of a bundle, by its path in the run, and its SHA-256."""

    name: str
    path: str
    sha256: str


class BundleSource(Result):
    """The bundle with which another machine was measured: of which run, and of which files."""

    kdcompress: str = ""
    run: str = ""
    student_digest: str
    files: list[BundledFile]


class MachineParity(Result):
    """Whether a file gives the outputs on another machine that it gave where its bundle was made.

    Attributes:
        n: The number of images.
        max_abs_diff: The largest difference of outputs; None where they are not finite, or of another shape.
        largest_logit: The largest |output| where the bundle was made.
        top1_agreement: The fraction of images of the same class.
        identical: Whether all outputs are equal bit for bit.
        reasons: Why it did not pass.
    """

    name: str
    path: str = ""
    runtime: str
    precision: str | None
    n: Count
    max_abs_diff: float | None
    largest_logit: float | None
    top1_agreement: float
    identical: bool
    passed: bool
    reasons: list[str] = made(list)
