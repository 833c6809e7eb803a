"""Options of a benchmark on a device, validated before anything is made or sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from kdcompress import registry
from kdcompress.benchmarking._request import DURATION_S, BenchRequest, make_bench_request
from kdcompress.bundling._address import Address, parse_address
from kdcompress.bundling._request import BundleRequest, make_bundle_request
from kdcompress.errors import UsageError
from kdcompress.plugins import is_reference
from kdcompress.runs.machines import check_name

# Generous: a large teacher on a small CPU takes minutes for its 30 turns
_BASE_S, _SETUP_S, _CASE_S, _TIMES_DURATION = 600, 3600, 300, 10


@dataclass(frozen=True)
class RemoteRequest:
    """Validated options of a benchmark on a device.

    Attributes:
        address: Address of the device.
        machine: Name of the machine in the run.
        setup: Whether an environment is made there.
        keep: Whether bundle and environment stay there.
        arguments: Command-line arguments of the bundle.
        bundle: Options of the bundle.
        bench: Options of the benchmark, as this machine reads them.
    """

    address: Address
    machine: str
    setup: bool
    keep: bool
    arguments: tuple[str, ...]
    bundle: BundleRequest
    bench: BenchRequest

    def key(self, sha256: str) -> str:
        """Return the name of the run of a bundle with these options, by which a later call finds it."""
        return hashlib.sha256(json.dumps([sha256, self.arguments, self.setup]).encode()).hexdigest()

    def timeout_s(self, files: int) -> int:
        """Compute after how many seconds a run is ended.

        Args:
            files: Number of model files.

        Returns:
            Time in seconds.
        """
        counted = _TIMES_DURATION * self.bench.duration_s
        each = sum(_CASE_S * batch_size + counted for _, batch_size in self.bench.settings)
        return round(_BASE_S + _SETUP_S * self.setup + files * max(1, len(self.bench.runtimes)) * each)


def make_remote_request(
    on: str,
    machine: str | None = None,
    *,
    setup: bool = False,
    keep: bool = False,
    threads: Iterable[int | str] | None = None,
    batch_sizes: Iterable[int] = (1,),
    duration: float = DURATION_S,
    max_slowdown: float | None = None,
    runtimes: Iterable[str] = (),
) -> RemoteRequest:
    """Validate the options of a benchmark on a device.

    Args:
        on: ssh://[USER@]HOST[:PORT].
        machine: Name of the machine in the run; by default the host without its domain.
        setup: Whether an environment is made there.
        keep: Whether bundle and environment stay there.
        threads: Numbers of threads, `all` for one a core of the device.
        batch_sizes: Numbers of images per call.
        duration: Time in seconds for each model and setting.
        max_slowdown: Gate: student time / teacher time.
        runtimes: Names of runtimes.

    Returns:
        The request.

    Raises:
        UsageError: An option is invalid.
        RecipeError: There is no runtime of such a name.
    """
    address = parse_address(on)
    names = tuple(runtimes)
    if others := [name for name in names if is_reference(name) or registry.origin("runtimes", name)]:
        raise UsageError(f"--runtime {others[0]} is code of this machine, which a bundle does not carry; leave it out")
    chosen = None if threads is None else tuple(threads)
    sizes = tuple(batch_sizes)
    bench = make_bench_request(chosen, sizes, duration=duration, max_slowdown=max_slowdown, runtimes=names)
    arguments = [
        *([] if chosen is None else ["--threads", ",".join(map(str, chosen))]),
        *["--batch-size", ",".join(map(str, bench.batch_sizes)), "--duration", repr(bench.duration_s)],
        *([] if max_slowdown is None else ["--max-slowdown", repr(float(max_slowdown))]),
        *[word for name in bench.runtimes for word in ("--runtime", name)],
    ]
    return RemoteRequest(
        address,
        check_name(machine if machine is not None else address.machine),
        setup,
        keep,
        tuple(arguments),
        make_bundle_request(["all"], runtimes=names),
        bench,
    )
