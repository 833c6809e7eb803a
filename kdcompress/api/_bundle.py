"""`bundle`: one file with which another machine checks and times the exports of a run."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

from kdcompress.api._source import Run, data_folder, resolve_source
from kdcompress.api._verb import verb
from kdcompress.errors import UsageError
from kdcompress.progress import Progress
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import named
from kdcompress.runs.schemas import Bundle
from kdcompress.trust import trusting_code

_SUFFIX = ".pyz"


@verb
def bundle(
    source: str | Path | Run,
    *,
    out: str | Path | None = None,
    precisions: str | Iterable[str] = ("fp32", "int8"),
    images: int = 64,
    teacher: bool = True,
    runtimes: Iterable[str] = (),
    data_dir: str | Path | None = None,
    trust_code: bool = False,
    progress: Progress | None = None,
) -> Bundle:
    """Write one file with which another machine checks and times the exports of a run.

    Args:
        source: A run with exports.
        out: The file to write, NAME.pyz; NAME is what the other machine is called. By default the name of the run, in
            the current folder.
        precisions: Precisions of the exports, or `all`.
        images: Number of test images, 1 to 10,000.
        teacher: Whether the teacher's files are included.
        runtimes: Names of runtimes whose files are included; by default those of all exports.
        data_dir: Folder of the run's data, if they have been moved.
        trust_code: Whether code that comes with the run may be executed.
        progress: Listener of progress, notes and warnings.

    Returns:
        What was written, as `kdcompress bundle --json` prints it.

    Raises:
        UsageError: An argument is out of range, the source is not a run, or `out` is another file.
        RunError: The run has no such exports, or one of them has changed.
        KDCompressError: The run or the data cannot be used.
    """
    from kdcompress.bundling import make_bundle, make_bundle_request

    chosen = [precisions] if isinstance(precisions, str) else precisions
    request = make_bundle_request(chosen, images=images, teacher=teacher, runtimes=runtimes)
    run = resolve_source(source)
    if not isinstance(run, RunFolder):
        raise UsageError(f"a bundle is made of a run with exports, and {source} is none")
    path = Path(out) if out is not None else Path(f"{named(run.path).name}{_SUFFIX}")
    _check_out(path)
    with trusting_code(trust_code), run.lock():
        result = make_bundle(run, request, path, data_folder(data_dir, progress), progress or Progress())
    return Bundle.of(result)


def _check_out(path: Path) -> None:
    if path.suffix != _SUFFIX:
        raise UsageError(f"--out must name a file that ends in {_SUFFIX}, such as pi{_SUFFIX}, got {path}")
    if path.is_dir() or (path.exists() and not zipfile.is_zipfile(path)):
        raise UsageError(f"{path} is there and is no bundle; name another file with --out")
    if not path.parent.is_dir():
        raise UsageError(f"the folder {path.parent} of --out does not exist; make it, or name another")
