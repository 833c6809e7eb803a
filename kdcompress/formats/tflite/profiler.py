"""Time by operator of TFLite files, from the profiler of LiteRT's C library, which its Python does not lead to.

The library lies in the wheel. It is called in a process of its own, which calls that a version lacks may end.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from kdcompress import processes

logger = logging.getLogger("kdcompress")

_LIBRARY = {"darwin": "libLiteRt.dylib", "win32": "libLiteRt.dll"}.get(sys.platform, "libLiteRt.so")
_TIMEOUT_S = 600.0
_PROFILED = 20  # calls
_CPU = 1  # kLiteRtHwAcceleratorCpu
_WRITE = 1  # kLiteRtTensorBufferLockModeWrite
# Names of groups of options, which are given as TOML
_OPTIONS = (("runtime_options_string", "enable_profiling = true\n"), ("xnnpack", "num_threads = {threads}\n"))
_SUMMARY = "Summary by node type"
_DELEGATED = "Delegate/"  # before the names of XNNPACK's operators


def operator_shares(path: Path, threads: int, batch: Any) -> dict[str, float] | None:
    """Measure how the time of a call is distributed over types of operators.

    Args:
        path: TFLite file.
        threads: Number of threads.
        batch: Input as the file takes it.

    Returns:
        Fractions of the time by type, the largest first: XNNPACK's, such as "Convolution (NHWC, QC8) IGEMM", and in
        capitals LiteRT's own; None if this version of LiteRT has no such profiler, or if every operator takes less than
        the microsecond that it resolves.
    """
    job = {"path": str(path.resolve()), "threads": threads, "shape": list(batch.shape)}
    try:
        code, result, last = processes.run_job(__name__, job, batch.tobytes(), timeout_s=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        code, result, last = 1, b"", f"no end within {_TIMEOUT_S:g} s"
    if code != 0:
        logger.debug("LiteRT's profiler fails (exit %d): %s", code, last)
    return parse_summary(result.decode(errors="replace"))


def parse_summary(text: str) -> dict[str, float] | None:
    """Parse the table that LiteRT's profiler writes.

    Args:
        text: Several tables; that by type of operator has a name, a count, milliseconds and a percentage in each row.

    Returns:
        Fractions by type, the largest first; None if there is no such table, or no time in it.
    """
    shares: dict[str, float] = {}
    for line in text.partition(_SUMMARY)[2].splitlines()[2:]:
        words = line.split()
        if len(words) < 7 or not words[-4].endswith("%"):
            break
        shares[" ".join(words[:-6]).removeprefix(_DELEGATED)] = float(words[-4].rstrip("%")) / 100
    total = sum(shares.values())
    return {name: share / total for name, share in shares.items() if share > 0} if total > 0 else None


class _Library:
    """The C library; every function but those that free something returns a status."""

    def __init__(self, path: Path) -> None:
        self._library = ctypes.CDLL(str(path))

    def call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status != 0:
            raise RuntimeError(f"{name} gives status {status}")

    def make(self, name: str, *arguments: Any) -> ctypes.c_void_p:
        """Call a function whose last argument receives an object; all of them live as long as the process."""
        made = ctypes.c_void_p()
        self.call(name, *arguments, ctypes.byref(made))
        return made


_ONE = ctypes.c_size_t(1)
_Handles = ctypes.c_void_p * 1
_Layouts = ctypes.c_char * 4096  # of one output; larger than any
_TensorType = ctypes.c_int32 * 128  # element type, rank, sizes, and what is not read here


def _profile(job: dict[str, Any], pixels: bytes) -> bytes:
    """Run a file under the profiler, and return its tables."""
    package = importlib.util.find_spec("ai_edge_litert")
    assert package is not None and package.origin is not None
    library = _Library(Path(package.origin).parent / _LIBRARY)
    environment = library.make("LiteRtCreateEnvironment", 0, None)
    model = library.make("LiteRtCreateModelFromFile", environment, os.fsencode(job["path"]))
    compiled = library.make("LiteRtCreateCompiledModel", environment, model, _options(library, job["threads"]))
    shape, first = job["shape"], ctypes.c_size_t(0)
    sizes = (ctypes.c_int * len(shape))(*shape)
    resized = ctypes.c_size_t(len(shape))
    library.call("LiteRtCompiledModelResizeInputTensorNonStrict", compiled, first, first, sizes, resized)
    # Shapes of outputs follow that of the input when they are asked for
    library.call("LiteRtGetCompiledModelOutputTensorLayouts", compiled, first, _ONE, _Layouts(), ctypes.c_bool(True))
    image = _buffer(library, environment, model, compiled, "Input", shape[0])
    output = _buffer(library, environment, model, compiled, "Output", shape[0])
    memory = ctypes.c_void_p()
    library.call("LiteRtLockTensorBuffer", image, ctypes.byref(memory), _WRITE)
    ctypes.memmove(memory, pixels, len(pixels))
    library.call("LiteRtUnlockTensorBuffer", image)
    profiler = library.make("LiteRtCompiledModelGetProfiler", compiled)
    run = ("LiteRtRunCompiledModel", compiled, first, _ONE, _Handles(image), _ONE, _Handles(output))
    library.call(*run)
    library.call("LiteRtStartProfiler", profiler)
    for _ in range(_PROFILED):
        library.call(*run)
    library.call("LiteRtStopProfiler", profiler)
    summary = ctypes.c_char_p()
    library.call("LiteRtGetProfileSummary", profiler, compiled, ctypes.byref(summary))
    return summary.value or b""


def _options(library: _Library, threads: int) -> ctypes.c_void_p:
    c = ctypes.CDLL(None)
    c.strdup.restype, c.strdup.argtypes = ctypes.c_void_p, [ctypes.c_char_p]
    options = library.make("LiteRtCreateOptions")
    library.call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
    for name, toml in _OPTIONS:
        text = ctypes.c_void_p(c.strdup(toml.format(threads=threads).encode()))
        group = library.make("LiteRtCreateOpaqueOptions", name.encode(), text, c.free)
        library.call("LiteRtAddOpaqueOptions", options, group)
    return options


def _buffer(
    library: _Library, environment: Any, model: Any, compiled: Any, side: str, batch_size: int
) -> ctypes.c_void_p:
    """Create the buffer of the first input or output; an open dimension is that of the batch."""
    first = ctypes.c_size_t(0)
    signature = library.make("LiteRtGetModelSignature", model, first)
    tensor = library.make(f"LiteRtGetSignature{side}TensorByIndex", signature, first)
    kind = _TensorType()
    library.call("LiteRtGetRankedTensorType", tensor, kind)
    rank = kind[1] & 0x7F
    for axis in range(rank):
        size = kind[2 + axis]
        kind[2 + axis] = batch_size if axis == 0 or size < 0 else size
    requirements = library.make(f"LiteRtGetCompiledModel{side}BufferRequirements", compiled, first, first)
    return library.make("LiteRtCreateManagedTensorBufferFromRequirements", environment, kind, requirements)


if __name__ == "__main__":
    _result = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the library writes to file descriptor 1 directly
    _result.write(_profile(*processes.receive_job()))
    _result.close()
