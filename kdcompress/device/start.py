"""Start of a bundle: checks Python and NumPy, unpacks, and runs. Python 3.6 must be able to read this file."""

import shutil
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

_PYTHON = (3, 9)


def main() -> int:
    """Run the bundle that this file is the start of.

    Returns:
        The exit code.
    """
    python = Path(sys.executable or "python3").name
    if sys.version_info < _PYTHON:
        return _fail(f"this bundle needs Python 3.9 or later, and {python} is {sys.version.split()[0]}")
    try:
        import numpy  # noqa: F401
    except ImportError as exc:
        return _fail(f"this bundle needs NumPy ({exc}): {python} -m pip install numpy onnxruntime")
    try:
        folder = Path(tempfile.mkdtemp(prefix="kdcompress-bundle-"))
    except OSError as exc:
        return _fail(f"no temporary folder can be made ({exc.strerror}); name one that can be written to with TMPDIR")
    try:
        return _run(Path(sys.argv[0]), folder)
    except KeyboardInterrupt:  # while it is unpacked, or the program is imported
        return _fail("interrupted before anything was measured", 130)
    finally:
        shutil.rmtree(str(folder), ignore_errors=True)


def _run(archive: Path, folder: Path) -> int:
    try:
        with zipfile.ZipFile(str(archive)) as bundle:
            bundle.extractall(str(folder))
    except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
        return _fail(f"{archive} is damaged ({exc}); copy it again")
    except OSError as exc:
        remedy = "free some space, or name another folder with TMPDIR"
        return _fail(f"{archive} cannot be unpacked to {folder.parent} ({exc.strerror}); {remedy}")
    sys.path.insert(0, str(folder / "code"))
    from kdcompress.device.runner import run

    return run(sys.argv[1:], str(archive), str(folder))


def _fail(text: str, code: int = 1) -> int:
    sys.stderr.write(f"error: {text}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
