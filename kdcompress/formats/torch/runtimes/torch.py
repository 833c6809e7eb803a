"""PyTorch, for .pt2 files of torch.export."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

from kdcompress.benchmarking._base import Images, Runtime, RuntimeSession, Shape, Signature
from kdcompress.errors import ModelError
from kdcompress.formats.torch.model import Program, open_program

_PROFILED = 20  # calls


class TorchRuntime(Runtime):
    """PyTorch's eager operators on the CPU, in inference mode; a graph is not compiled."""

    package = module = "torch"
    suffixes = (".pt2",)

    def settings(self) -> dict[str, Any]:
        """Return the options of inference."""
        return {"num_threads": "as `threads` of each model", "inference_mode": True, "compiled": False, "device": "cpu"}

    def signature(self, path: Path) -> Signature:
        """Read the input shape and its type."""
        program = _opened(path)
        return Signature(program.sizes, str(program.dtype).removeprefix("torch.").replace("float32", "fp32"))

    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """Copy the network of the file, which is read once; the number of threads is that of the process."""
        import torch

        program = _opened(path)
        module = copy.deepcopy(program.module)  # other addresses of the weights each time
        torch.set_num_threads(threads)

        def invoke(batch: Any) -> Any:
            with torch.inference_mode():
                return module(batch).numpy()

        return RuntimeSession(program.tensor, invoke)

    def operators(self, path: Path, threads: int, images: Images) -> dict[str, float]:
        """Measure the operators with PyTorch's profiler over some calls."""
        import torch
        from torch.profiler import ProfilerActivity, profile

        session = self.open(path, threads, images.shape)
        batch = session.prepare(images)
        session.invoke(batch)
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for _ in range(_PROFILED):
                session.invoke(batch)
        times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
        total = sum(times.values())
        if not total:
            raise ModelError(f"{path}: PyTorch {torch.__version__} measured no operators")
        return {name: time / total for name, time in sorted(times.items(), key=lambda item: -item[1])}


RUNTIME = TorchRuntime


def _opened(path: Path) -> Program:
    stat = path.stat()
    return _open_once(path.resolve(), stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=2)
def _open_once(path: Path, modified: int, size: int) -> Program:
    return open_program(path)
