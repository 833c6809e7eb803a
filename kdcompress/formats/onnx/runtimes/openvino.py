"""OpenVINO on the CPU, for ONNX files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from kdcompress.benchmarking._base import Images, Runtime, RuntimeSession, Shape, Signature
from kdcompress.errors import ModelError, one_line
from kdcompress.paths import check_regular_file

_CONFIG = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": 1,
    # Its default on some CPUs is bfloat16 or float16, and activations rounded to int8 where only weights are
    "INFERENCE_PRECISION_HINT": "f32",
    "EXECUTION_MODE_HINT": "ACCURACY",
}
_PROFILED = 20  # calls
_PRECISION = ["framework", "precision"]  # where OpenVINO keeps that entry of an ONNX file's metadata


class OpenVINO(Runtime):
    """OpenVINO's CPU plugin with one stream per model, in float32 where a file is float, with pinned threads."""

    package = module = "openvino"
    suffixes = (".onnx",)

    def settings(self) -> dict[str, Any]:
        """Return the options of the compiled models."""
        return {"INFERENCE_NUM_THREADS": "as `threads` of each model", **_CONFIG, "device": "CPU"}

    def signature(self, path: Path) -> Signature:
        """Read the input shape, and the precision from the metadata."""
        model = _read(path)
        precision = model.get_rt_info(_PRECISION).astype(str) if model.has_rt_info(_PRECISION) else None
        return Signature.of_inputs(path, [(value.any_name, _sizes(value)) for value in model.inputs], precision)

    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """Compile the model for a fixed shape; a call sets the input, runs, and reads the output, as LiteRT's does."""
        return _runtime_session(_compile(path, threads, shape).create_infer_request())

    def operators(self, path: Path, threads: int, images: Images) -> dict[str, float] | None:
        """Measure the operators with OpenVINO's profiler over some calls but the first; its clock has steps of 1 us."""
        request = _compile(path, threads, images.shape, PERF_COUNT=True).create_infer_request()
        session = _runtime_session(request)
        batch = session.prepare(images)
        session.invoke(batch)
        first = _durations(request)
        for _ in range(_PROFILED):
            session.invoke(batch)
        # It reports means of all calls
        sums = {name: (_PROFILED + 1) * mean - first[name] for name, mean in _durations(request).items()}
        sums = {name: duration for name, duration in sums.items() if duration > 0}
        total = sum(sums.values())
        return {name: time / total for name, time in sorted(sums.items(), key=lambda item: -item[1])} or None


def _read(path: Path) -> Any:
    """Read an ONNX file with OpenVINO's reader of ONNX alone: a file of another format is damaged."""
    from openvino.frontend import FrontEndManager

    check_regular_file(path, ModelError)
    try:
        reader = FrontEndManager().load_by_framework("onnx")
        return reader.convert(reader.load(str(path)))
    except Exception as exc:
        raise ModelError(f"{path} cannot be opened by OpenVINO: {one_line(exc)}") from exc


def _sizes(value: Any) -> tuple[int | None, ...]:
    shape = value.partial_shape
    return tuple(size.get_length() if size.is_static else None for size in shape) if shape.rank.is_static else ()


def _compile(path: Path, threads: int, shape: Shape, **config: Any) -> Any:
    import openvino

    model = _read(path)
    try:
        model.reshape(openvino.PartialShape(list(shape)))
        return openvino.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, **_CONFIG, **config})
    except Exception as exc:
        raise ModelError(f"{path} cannot be run by OpenVINO on images {shape}: {one_line(exc)}") from exc


def _runtime_session(request: Any) -> RuntimeSession:
    image = request.get_input_tensor()
    pixels = image.data

    def invoke(batch: Any) -> Any:
        pixels[...] = batch
        request.infer()
        return request.get_output_tensor(0).data.copy()

    return RuntimeSession(lambda images: images.astype(pixels.dtype), invoke)


def _durations(request: Any) -> Counter[str]:
    """Sum the mean times of a call, in us, by type of operator."""
    durations: Counter[str] = Counter()
    for operator in request.get_profiling_info():
        durations[operator.node_type] += round(operator.real_time.total_seconds() * 1e6)
    return durations


RUNTIME = OpenVINO
