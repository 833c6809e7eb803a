"""A benchmark on a device that ssh reaches: bundle, copy, run, result, and cleaning up."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kdcompress.benchmarking import make_runtime
from kdcompress.bundling._bundle import make_bundle
from kdcompress.bundling._remote_log import RemoteLog, failure
from kdcompress.bundling._remote_request import RemoteRequest
from kdcompress.bundling._result import keep_result
from kdcompress.bundling._ssh import Connection, field
from kdcompress.errors import DeviceError, KDCompressError, RunError
from kdcompress.formatting import size
from kdcompress.leftovers import temporary_folder
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.schemas import Benchmark

_PYTHON = (3, 9)
_SLACK_S = 120.0
_SPACE = 3  # times the bundle: it is unpacked beside itself
_SPARE_BYTES = 16 << 20


def bench_on_device(run: RunFolder, request: RemoteRequest, data_dir: Path | None, progress: Progress) -> Benchmark:
    """Benchmark the exports of a run on a device, and keep the result in the run.

    Args:
        run: Folder of a run with exports.
        request: Options.
        data_dir: Folder of the data set, if it has moved.
        progress: Receives notes and steps.

    Returns:
        The benchmark.

    Raises:
        DeviceError: The device cannot be reached, or cannot run the bundle.
        RunError: There are no exports, one of them has changed, or the result is damaged.
        KDCompressError: The run or its data cannot be used.
    """
    progress.note(f"connecting to {request.address} ...")
    with Connection(request.address) as device, temporary_folder() as folder:
        _check_system(device)
        bundle = folder / "bundle.pyz"
        with run.lock():
            document = make_bundle(run, request.bundle, bundle, data_dir, progress)
        work = _Work(device, request, bundle, document, progress)
        with work.telling_what_stays():
            content = work.measure()
            with run.lock():
                try:
                    result = keep_result(run, content, request.machine, f"the result of {request.address}")
                except RunError:
                    work.drop()
                    raise
        work.clean_up()
    return result


def _check_system(device: Connection) -> None:
    greeting = device.greeting
    if field(greeting, "system", str) != "posix":
        raise DeviceError(f"{device.address} is no Linux; copy a bundle there by hand (`kdcompress bundle --help`)")
    version = field(greeting, "python", list)
    if not all(isinstance(part, int) for part in version) or tuple(version) < _PYTHON:
        shown = ".".join(str(part)[:10] for part in version[:3])
        raise DeviceError(
            f"{device.address} has Python {shown}, and a bundle needs 3.9 or later; update its system, or put a later "
            "python3 into its PATH"
        )


class _Work:
    """A benchmark on a connected device.

    Args:
        device: The connection.
        request: Options.
        bundle: The bundle.
        document: What `make_bundle` returned.
        progress: Receives notes and steps.
    """

    def __init__(
        self, device: Connection, request: RemoteRequest, bundle: Path, document: dict[str, Any], progress: Progress
    ) -> None:
        self._device, self._request, self._bundle, self._progress = device, request, bundle, progress
        self._address = device.address
        self._runtimes = [make_runtime(name) for name in document["runtimes"]]
        self._timeout_s = request.timeout_s(len(document["files"]))
        self._size: int = document["bytes"]
        sha256: str = document["sha256"]
        self._place: dict[str, Any] = {"sha256": sha256, "size": self._size, "key": request.key(sha256)}
        self._folder, self._stays = "", ""

    def measure(self) -> bytes:
        """Measure on the device, or go on with what an earlier call started there.

        Returns:
            The result, as the device wrote it.

        Raises:
            DeviceError: The device cannot measure it, is busy, or the connection breaks.
        """
        modules = ["numpy", *(runtime.module.partition(".")[0] for runtime in self._runtimes)]
        seen = self._ask("look", modules=modules)
        self._folder, state = field(seen, "folder", str)[:200], field(seen, "state", str)
        before = state
        if state == "new":
            state = self._begin(seen)
        elif state != "busy":
            self._progress.note(f"{self._address} has this benchmark already: going on with it ...")
        if state == "busy":
            raise DeviceError(f"{self._address} is busy with another benchmark; wait until it has ended")
        self._stays = "the benchmark goes on there meanwhile"
        end, log = self._follow(before)
        if problem := failure(self._address, end, log):
            self.drop()
            raise problem
        self._stays = "the result stays there for the same command"
        return self._fetch()

    def drop(self) -> None:
        """Remove a run that leads nowhere; the bundle stays."""
        with contextlib.suppress(DeviceError):
            self._ask("finish", keep=False, done=False)
            self._stays = f"the bundle stays in {self._folder} there for the next call"

    def clean_up(self) -> None:
        """Remove what was put on the device, or leave bundle and environment there."""
        if not self._request.keep:
            self._progress.note(f"removing what was put on {self._address} ...")
        try:
            self._ask("finish", keep=self._request.keep, done=True)
        except DeviceError as exc:
            self._progress.warn(f"{self._folder} was not cleaned up there: {exc}")
            return
        if self._request.keep:
            self._progress.note(f"{self._folder} stays on {self._address}; `rm -r` it when it is not needed any more")

    def _ask(self, action: str, **more: Any) -> dict[str, Any]:
        return self._device.ask({"do": action, **self._place, **more})

    @contextlib.contextmanager
    def telling_what_stays(self) -> Iterator[None]:
        """Context manager that adds to errors what stays on the device."""
        try:
            yield
        except KDCompressError as exc:
            raise type(exc)(f"{exc}; {self._stays}" if self._stays else str(exc)) from exc
        except KeyboardInterrupt:
            if self._stays:
                self._progress.note(f"{self._address}: {self._stays}")
            raise

    def _begin(self, seen: dict[str, Any]) -> str:
        """Bring the bundle there, start it, and return its state."""
        self._check_runtimes(field(seen, "modules", list), field(seen, "installed", list))
        if not field(seen, "whole", bool):
            self._copy(field(seen, "free", int))
        self._stays = f"the bundle stays in {self._folder} there for the next call"
        request = self._request
        answer = self._ask(
            "start",
            arguments=request.arguments,
            setup=request.setup,
            packages=[runtime.package for runtime in self._runtimes],
            timeout_s=self._timeout_s,
        )
        return field(answer, "state", str)

    def _check_runtimes(self, modules: list[Any], installed: list[Any]) -> None:
        packages = {runtime.module.partition(".")[0]: runtime.package for runtime in self._runtimes}
        if self._request.setup or installed or ("numpy" in modules and any(name in modules for name in packages)):
            return
        lacking = "numpy" if "numpy" not in modules else " or ".join(packages.values())
        raise DeviceError(
            f"python3 on {self._address} has no {lacking}; --setup makes an environment there that has "
            f"{', '.join(['numpy', *packages.values()])}"
        )

    def _copy(self, free: int) -> None:
        if free < (needed := _SPACE * self._size + _SPARE_BYTES):
            raise DeviceError(
                f"{self._address} has no space for the bundle: {size(free)} are free for {self._folder}, and "
                f"{size(needed)} are needed; free some there"
            )
        self._progress.note(f"copying {size(self._size)} to {self._address} ...")
        self._progress.begin("copying", total=max(self._size >> 10, 1))
        try:
            request = {"do": "copy", **self._place}
            self._device.send_file(request, self._bundle, lambda sent: self._progress.step(sent >> 10, {}))
        finally:
            self._progress.end()

    def _follow(self, before: str) -> tuple[dict[str, Any] | None, RemoteLog]:
        """Follow the run to its end, of which None is returned if it was ended from outside."""
        log = RemoteLog(self._progress if before != "ended" else None)
        answer: str | dict[str, Any] = {}
        request = {"do": "follow", **self._place, "from_start": before != "running"}
        with log:
            for answer in self._device.follow(request, self._timeout_s + _SLACK_S):
                if isinstance(answer, str):
                    log.show(answer)
        return answer.get("end") if isinstance(answer, dict) else None, log

    def _fetch(self) -> bytes:
        try:
            return base64.b64decode(field(self._ask("fetch"), "result", str), validate=True)
        except ValueError as exc:
            raise DeviceError(f"the result of {self._address} is damaged ({exc}); give the same command again") from exc
