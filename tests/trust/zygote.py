"""The worker's other end: imports everything once, then forks a child for each command.

A child is the command as the console script runs it, in a state that nothing ran in before, without the 6 to 10 s that
importing TensorFlow takes. A request is a line of JSON on stdin, an answer one on the original stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import signal
import sys
from pathlib import Path
from typing import Any

HEAVY = (
    "tensorflow", "keras", "h5py", "onnx", "onnxruntime", "tf2onnx", "ai_edge_litert.interpreter", "optuna",
    "PIL.Image", "sklearn.metrics", "scipy.stats", "psutil", "mlxtend.data", "tomli_w", "rich.progress",
)  # fmt: skip
ENDLESS_S = 15.0  # instead of ten minutes, before a file is said not to end
UNTOLD = 97  # exit code of a child in which a function of ours raised


def import_all() -> None:
    """Everything that commands import late, but for what counts FLOPs, which registers itself."""
    for name in HEAVY:
        importlib.import_module(name)
    import kdcompress

    for module in pkgutil.walk_packages(kdcompress.__path__, "kdcompress."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    from kdcompress.benchmarking import _fresh
    from kdcompress.formats.onnx import model as _onnx

    _onnx.TIMEOUT_S = _fresh.TIMEOUT_S = ENDLESS_S


def answer(value: dict[str, Any], out: Any) -> None:
    """A line of JSON."""
    out.write(json.dumps(value) + "\n")
    out.flush()


def serve(requests: Any, out: Any) -> None:
    """Fork a child for each request, tell its number, and how it ended."""
    with Path("/proc/self/status").open(encoding="utf-8") as status:
        own = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    answer({"ready": os.getpid(), "kilobytes": own}, out)
    while line := requests.readline():
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            os.setsid()
            os._exit(_child(request))
        answer({"pid": child}, out)
        _, status_word = os.waitpid(child, 0)
        answer({"exit": os.waitstatus_to_exitcode(status_word)}, out)


def _child(request: dict[str, Any]) -> int:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for fd, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), fd)
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request.get("fresh"):
        script = str(Path(sys.prefix) / "bin" / "kdcompress")
        os.execv(script, [script, *request["args"]])
    try:
        return _call(request) if "call" in request else _command(request)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _command(request: dict[str, Any]) -> int:
    from kdcompress.cli import main

    sys.argv = ["kdcompress", *request["args"]]
    if "moment" in request:
        from trust.moments import arm

        arm(request["moment"])
    try:
        main()
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    return 0


def _call(request: dict[str, Any]) -> int:
    """A function of this harness, `module:function`, in a process of its own."""
    module, _, name = request["call"].partition(":")
    try:
        getattr(importlib.import_module(module), name)(*request["args"])
    except Exception:
        import traceback

        traceback.print_exc()
        return UNTOLD
    return 0


if __name__ == "__main__":
    harness = str(Path(__file__).resolve().parents[1])
    # As the console script has it; the harness comes last, where it hides nothing
    sys.path[0] = str(Path(sys.prefix) / "bin")
    sys.path.append(harness)
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    original = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import_all()
    serve(lines, original)
