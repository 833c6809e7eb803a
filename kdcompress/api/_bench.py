"""`bench`: how fast students are beside their teacher, and model files beside each other."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.api._document import document
from kdcompress.api._source import Run, source_of
from kdcompress.errors import RunError, UsageError
from kdcompress.progress import Progress
from kdcompress.runs.documents import read_checked, write_document
from kdcompress.runs.folder import RunFolder
from kdcompress.trust import trusting_code

if TYPE_CHECKING:
    from kdcompress.benchmarking._request import Request


@document
def bench(
    *sources: str | Path | Run,
    threads: Iterable[int] | None = None,
    batch_sizes: Iterable[int] = (1,),
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
    **choices: Any,
) -> dict[str, Any]:
    """Time the teacher and every exported student of a run, or model files (.onnx, .tflite) against the first of them.

    Returns the document that `kdcompress bench --json` prints, which a run keeps as bench.json; its `passed` says
    whether the gate was kept. `threads` are one and all cores by default. `choices` are duration (seconds a model),
    max_slowdown (student time / teacher time), input_shape (of files that leave it open), end_to_end (a folder of
    images to time from file to answer). `trust_code` lets code run that came with the run or its files. A
    KeyboardInterrupt gives what was finished, marked `interrupted`; it takes
    the place of an earlier result only if that was interrupted, too. Errors: KDCompressError.
    """
    from kdcompress.benchmarking._request import make_request

    request, listener = make_request(threads, batch_sizes, **choices), progress or Progress()
    found = [source_of(source) for source in sources]
    if len(found) == 1 and isinstance(found[0], RunFolder):
        with trusting_code(trust_code):
            return _bench_run(found[0], request, Path(data_dir) if data_dir else None, listener)
    files = [path for path in found if isinstance(path, Path)]
    if not files or len(files) < len(found):
        raise UsageError(f"bench takes one run, or model files, got {', '.join(map(str, sources)) or 'nothing'}")
    from kdcompress.benchmarking._bench import measure
    from kdcompress.benchmarking._lineup import of_files

    return measure(of_files(files, request), request, listener)


def _bench_run(run: RunFolder, request: Request, data_dir: Path | None, progress: Progress) -> dict[str, Any]:
    from kdcompress.benchmarking._bench import measure
    from kdcompress.benchmarking._lineup import RESULT, of_run

    with run.lock():
        result = measure(of_run(run, request, data_dir, progress), request, progress)
        if result["interrupted"] and _whole(run / RESULT):
            progress.note(f"{run / RESULT} keeps its earlier result, which is whole")
        else:
            write_document(run / RESULT, result)
            run.commit(RESULT)
    return {"run": str(run.path), **result}


def _whole(path: Path) -> bool:
    """Whether an earlier result is there that was not interrupted."""
    try:
        return not read_checked(path, "").get("interrupted", False)
    except (FileNotFoundError, RunError):  # a damaged one is no loss
        return False
