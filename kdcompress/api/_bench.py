"""`bench`: how fast students are beside their teacher, and model files beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kdcompress.api._source import Run, source_of
from kdcompress.errors import UsageError
from kdcompress.files import write_json
from kdcompress.progress import Progress


def bench(
    *sources: str | Path | Run,
    threads: Iterable[int] | None = None,
    batch_sizes: Iterable[int] = (1,),
    data_dir: str | Path | None = None,
    progress: Progress | None = None,
    **choices: Any,
) -> dict[str, Any]:
    """Time the teacher and every exported student of a run, or model files (.onnx, .tflite) against the first of them.

    Returns the document that `kdcompress bench --json` prints, which a run keeps as bench.json; its `passed` says
    whether the gate was kept. `threads` are one and all cores by default. `choices` are duration (seconds a model),
    max_slowdown (student time / teacher time), input_shape (of files that leave it open), end_to_end (a folder of
    images to time from file to answer). A KeyboardInterrupt gives what was finished, marked `interrupted`; it takes
    the place of an earlier result only if that was interrupted, too. Errors: KDCompressError.
    """
    from kdcompress.benchmarking._request import make_request

    request, listener = make_request(threads, batch_sizes, **choices), progress or Progress()
    found = [source_of(source) for source in sources]
    from kdcompress.benchmarking._bench import RESULT
    from kdcompress.benchmarking._bench import bench as measure
    from kdcompress.benchmarking._lineup import of_files, of_run

    path, run = found[0] if found else (None, None)
    if len(found) != 1 or run is None or path is None:
        if any(run for _, run in found) or not found:
            raise UsageError(f"bench takes one run, or model files, got {', '.join(map(str, sources)) or 'nothing'}")
        return measure(of_files([path for path, _ in found], request), request, listener)
    with run.locked():
        lineup = of_run(run, request, Path(data_dir) if data_dir else None, listener)
        result = {"run": str(path), **measure(lineup, request, listener)}
        if not (result["interrupted"] and _whole(run / RESULT)):
            write_json(run / RESULT, {key: value for key, value in result.items() if key != "run"})
            run.commit(RESULT)
    return result


def _whole(path: Path) -> bool:
    """Whether an earlier result is there that was not interrupted."""
    import json

    return path.exists() and not json.loads(path.read_text(encoding="utf-8"))["interrupted"]
