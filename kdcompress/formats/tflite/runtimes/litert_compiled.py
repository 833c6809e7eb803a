"""LiteRT's CompiledModel on the CPU, for TFLite files."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np

from kdcompress.benchmarking._base import RuntimeSession, Shape
from kdcompress.errors import MissingExtraError, ModelError, one_line
from kdcompress.formats.tflite.runtimes.litert import LiteRT, prepare_images
from kdcompress.paths import check_regular_file

_NOWHERE = str(Path(__file__).parent)  # a folder without libraries of other accelerators, which are not to be loaded


class LiteRTCompiled(LiteRT):
    """LiteRT with one CompiledModel per model; from version 2.2, in which its threads can be chosen."""

    module = "ai_edge_litert.compiled_model"

    def settings(self) -> dict[str, Any]:
        """Return the options of the models."""
        kernels = "default (XNNPACK)"
        return {"num_threads": "as `threads` of each model", "hardware_accelerators": "CPU", "kernel_mode": kernels}

    def open(self, path: Path, threads: int, shape: Shape) -> RuntimeSession:
        """Compile a model; a call writes the input, runs, and reads the output, as the interpreter's does."""
        model = _compile(path, threads)
        try:
            model.resize_input_tensor(0, list(shape), strict=False)
            inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
            details = outputs[0].get_tensor_details()
        except Exception as exc:
            raise ModelError(f"{path} cannot be run by LiteRT on images {shape}: {one_line(exc)}") from exc
        sizes, dtype = tuple(details["shape"]), np.dtype(details["dtype"])
        if sizes[:1] != shape[:1]:  # a run would write behind the end of its buffer
            raise ModelError(
                f"{path} computes the shape of its output, and LiteRT's CompiledModel then keeps that of batch "
                f"{sizes[:1][0] if sizes else 1}, got {shape[0]}: time it with --runtime litert"
            )
        n = int(np.prod(sizes))

        def invoke(batch: Any) -> Any:
            inputs[0].write(batch)
            model.run_by_index(0, inputs, outputs)
            return outputs[0].read(n, dtype).reshape(sizes)

        # A CompiledModel does not tell how its input is quantized, an interpreter does
        return RuntimeSession(functools.partial(prepare_images, path), invoke)


def _compile(path: Path, threads: int) -> Any:
    check_regular_file(path, ModelError)
    try:
        from ai_edge_litert import compiled_model as litert

        options = litert.Options(litert.HardwareAccelerator.CPU, litert.CpuOptions(num_threads=threads))
        places = litert.EnvironmentOptions(_NOWHERE, compiler_plugin_path=_NOWHERE, dispatch_library_path=_NOWHERE)
    except (ImportError, AttributeError) as exc:
        needed = "litert-compiled needs ai-edge-litert 2.2 or later: pip install 'ai-edge-litert>=2.2'"
        raise MissingExtraError(needed) from exc
    try:
        # One of each model's own: an environment that outlives its models reports its end when Python ends
        environment = litert.Environment.create(options=places)
        return litert.CompiledModel.from_file(str(path), environment=environment, options=options)
    except Exception as exc:
        raise ModelError(f"{path} cannot be opened by LiteRT: {one_line(exc)}") from exc


RUNTIME = LiteRTCompiled
