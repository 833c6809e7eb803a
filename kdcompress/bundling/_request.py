"""Options of a bundle, validated before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kdcompress.benchmarking._request import BenchRequest, make_bench_request
from kdcompress.errors import UsageError

PRECISIONS = ("fp32", "int8")
IMAGES = 64
_MAX_IMAGES = 10_000


@dataclass(frozen=True)
class BundleRequest:
    """Validated options of a bundle.

    Attributes:
        images: Number of test images.
        precisions: Precisions of the exports.
        teacher: Whether the teacher's files are included.
        bench: Options with which the run's files are selected.
    """

    images: int
    precisions: tuple[str, ...]
    teacher: bool
    bench: BenchRequest


def make_bundle_request(
    precisions: Iterable[str] = PRECISIONS, *, images: int = IMAGES, teacher: bool = True, runtimes: Iterable[str] = ()
) -> BundleRequest:
    """Validate the options of a bundle.

    Args:
        precisions: Precisions of the exports, or `all`.
        images: Number of test images, 1 to 10,000.
        teacher: Whether the teacher's files are included.
        runtimes: Names of runtimes whose files are included; by default those of all exports.

    Returns:
        The request.

    Raises:
        UsageError: An option is invalid.
        RecipeError: There is no runtime of such a name.
    """
    from kdcompress.exporting import PRECISIONS as KNOWN

    chosen = tuple(dict.fromkeys(precisions))
    unknown = [name for name in chosen if name not in (*KNOWN, "all")]
    if unknown or not chosen:
        got = repr(unknown[0]) if unknown else "none"
        raise UsageError(f"--precision must be one of {', '.join(KNOWN)}, all, got {got}")
    if not 1 <= images <= _MAX_IMAGES:
        raise UsageError(f"--images must be between 1 and {_MAX_IMAGES:,}, got {images}")
    return BundleRequest(images, () if "all" in chosen else chosen, teacher, make_bench_request(runtimes=runtimes))
