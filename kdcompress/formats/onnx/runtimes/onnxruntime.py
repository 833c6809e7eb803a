"""onnxruntime on the CPU, for ONNX files."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from kdcompress.benchmarking._base import Images, Runtime, RuntimeSession, Shape, Signature
from kdcompress.errors import ModelError, one_line
from kdcompress.leftovers import temporary_folder
from kdcompress.paths import check_regular_file

# Spinning is onnxruntime's default, which users get; the threads of a model end with its turn
_CONFIG = {"session.intra_op.allow_spinning": "1"}
_OPTIONS = {"inter_op_num_threads": 1, "enable_cpu_mem_arena": True, "enable_mem_pattern": True}
_NUMPY = {"float": "float32", "double": "float64", "float16": "float16"}
_PROFILED = 20  # calls
_MODEL_RUN = "Node"


class OnnxRuntime(Runtime):
    """onnxruntime with one session per model, sequential execution, all graph optimizations and the CPU provider."""

    package = module = "onnxruntime"
    suffixes = (".onnx",)

    def settings(self) -> dict[str, Any]:
        """Return the options of the sessions."""
        return {
            "intra_op_num_threads": "as `threads` of each model",
            **_OPTIONS,
            "execution_mode": "sequential",
            "graph_optimization_level": "all",
            "allow_spinning": _CONFIG["session.intra_op.allow_spinning"] == "1",
            "providers": ["CPUExecutionProvider"],
        }

    def signature(self, path: Path) -> Signature:
        """Read the input shape, and the precision from the metadata."""
        session = _session(path, 1)
        inputs = [(value.name, [_size(size) for size in value.shape]) for value in session.get_inputs()]
        return Signature.of_inputs(path, inputs, session.get_modelmeta().custom_metadata_map.get("precision"))

    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """Open a session; pixels are converted to the input type of the file."""
        return _runtime_session(_session(path, threads))

    def operators(self, path: Path, threads: int, images: Images) -> dict[str, float]:
        """Measure the operators with onnxruntime's profiler over some calls, of which the faster half count.

        In the others, a node may have waited for a core that other programs kept busy.
        """
        with temporary_folder() as folder:
            session = _session(path, threads, str(folder / "profile"))
            runtime_session = _runtime_session(session)
            batch = runtime_session.prepare(images)
            for _ in range(_PROFILED):
                runtime_session.invoke(batch)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        return shares_of_operators(events)


def shares_of_operators(events: list[dict[str, Any]]) -> dict[str, float]:
    """Sum up the times of nodes by type of operator, in the faster half of each node's calls.

    Args:
        events: Events of onnxruntime's profiler over at least two calls.

    Returns:
        Fractions by type, the largest first.
    """
    calls: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for event in events:
        if event.get("cat") == _MODEL_RUN and str(event["name"]).endswith("_kernel_time"):
            calls[event["args"]["op_name"], event["name"], event["args"]["node_index"]].append(event["dur"])
    durations: Counter[str] = Counter()
    for (operator, *_), times in calls.items():
        durations[operator] += sum(sorted(times)[: len(times) // 2])
    total = max(sum(durations.values()), 1)
    return {name: duration / total for name, duration in durations.most_common()}


def _size(size: Any) -> int | None:
    """Return a dimension; None for one that is open, which has a name."""
    return size if isinstance(size, int) and size > 0 else None


def _session(path: Path, threads: int, profile: str | None = None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    for name, value in _OPTIONS.items():
        setattr(options, name, value)
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    for name, text in _CONFIG.items():
        options.add_session_config_entry(name, text)
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    check_regular_file(path, ModelError)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as exc:
        raise ModelError(f"{path} cannot be opened by onnxruntime: {one_line(exc)}") from exc


def _runtime_session(session: Any) -> RuntimeSession:
    image, run = session.get_inputs()[0], session.run
    kind = image.type.removeprefix("tensor(").removesuffix(")")
    dtype = _NUMPY.get(kind, kind)
    return RuntimeSession(lambda images: {image.name: images.astype(dtype)}, lambda feed: run(None, feed))


RUNTIME = OnnxRuntime
