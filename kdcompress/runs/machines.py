"""Benchmarks of other machines, which a run keeps beside its own: `machines/NAME.json`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kdcompress.errors import RunError, UsageError
from kdcompress.runs.documents import check_document, read_checked, write_document
from kdcompress.runs.folder import RunFolder
from kdcompress.runs.names import EXPORTS, MACHINES, remedy, source_of
from kdcompress.runs.schemas import Benchmark, ExportList

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_STUDENT = "student.keras"
_LIST = f"{EXPORTS}/exports.json"


@dataclass(frozen=True)
class Machines:
    """Benchmarks of a run on other machines.

    Attributes:
        current: Benchmark by machine, of the exports that the run has now.
        outdated: Why a benchmark does not count any more, by machine.
    """

    current: Mapping[str, Benchmark] = field(default_factory=dict)
    outdated: Mapping[str, str] = field(default_factory=dict)


def check_name(name: str) -> str:
    """Check the name of a machine, which names a file.

    Args:
        name: Name such as "pi".

    Returns:
        The name.

    Raises:
        UsageError: It has other characters, or is too long.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"a machine's name has up to 63 letters, digits, dots, dashes and underscores, got {name[:80]!r}; name it "
            "with --machine"
        )
    return name


def keep_result(run: RunFolder, content: Mapping[str, object], machine: str, origin: str) -> Benchmark:
    """Check the result of a bundle on another machine, and keep it in the run.

    Args:
        run: Folder of the run; the caller holds its lock.
        content: The result, as parsed from JSON; untrusted.
        machine: Name of the machine.
        origin: Where the result is from, for errors.

    Returns:
        The benchmark.

    Raises:
        UsageError: The machine's name is invalid.
        RunError: The result is damaged, was not measured with a bundle, or is of other files than the run has now.
    """
    check_name(machine)
    bundle = f"make a bundle with `kdcompress bundle {source_of(run.path)}` and measure it there"
    document = check_document(dict(content), Benchmark, origin, bundle)
    if document.bundle is None:
        raise RunError(f"{origin} was not measured with a bundle, so that its files are unknown; {bundle}")
    if reason := _outdated(run, document):
        raise RunError(f"{origin} is of other files than run {run.path} has now: {reason}; {bundle}")
    name = f"{MACHINES}/{machine}.json"
    kept = document.completed()
    (run / MACHINES).mkdir(exist_ok=True)
    write_document(run / name, {key: value for key, value in kept.items() if key not in ("run", "machines")})
    run.commit(name)
    return kept


def forget(run: RunFolder, machine: str) -> None:
    """Drop the benchmark of another machine.

    Args:
        run: Folder of the run; the caller holds its lock.
        machine: Name of the machine.

    Raises:
        UsageError: The run has none of this name.
    """
    names = machine_names(run)
    if machine not in names:
        raise UsageError(
            f"run {run.path} has no benchmark of a machine {machine!r}, only of {', '.join(names) or 'none'}"
        )
    (run / MACHINES / f"{machine}.json").unlink(missing_ok=True)
    run.drop_missing(MACHINES)


def machine_names(run: RunFolder) -> list[str]:
    """List the other machines that a run has benchmarks of.

    Args:
        run: Folder of the run.

    Returns:
        Names, sorted.
    """
    files = (name.partition("/") for name in run.manifest().get("files", {}))
    found = (Path(rest).stem for folder, _, rest in files if folder == MACHINES)
    return sorted(name for name in found if _NAME.fullmatch(name))


def read_machines(run: RunFolder) -> Machines:
    """Read the benchmarks of a run on other machines.

    Args:
        run: Folder of the run.

    Returns:
        The benchmarks, apart from those of files that the run does not have any more.

    Raises:
        RunError: A file is damaged.
    """
    current, outdated = {}, {}
    for name in machine_names(run):
        path = f"{MACHINES}/{name}.json"
        if not run.has_file(path):
            continue
        document = read_checked(run / path, remedy(path, run.path))
        assert isinstance(document, Benchmark)
        if reason := _outdated(run, document):
            outdated[name] = reason
        else:
            current[name] = document
    return Machines(current, outdated)


def read_machine(run: RunFolder, name: str) -> Benchmark:
    """Read the benchmark of one machine.

    Args:
        run: Folder of the run.
        name: Name of the machine.

    Returns:
        The benchmark.

    Raises:
        RunError: There is none, or it is of files that the run does not have any more.
    """
    machines = read_machines(run)
    if name in machines.current:
        return machines.current[name]
    source = source_of(run.path)
    if name in machines.outdated:
        raise RunError(
            f"machine {name!r} was measured with other files than run {run.path} has now: {machines.outdated[name]}; "
            f"make the bundle again with `kdcompress bundle {source}` and measure it there"
        )
    there = ", ".join(sorted({*machines.current, *machines.outdated})) or "none"
    raise RunError(
        f"run {run.path} has no benchmark of a machine {name!r} (of other machines: {there}); "
        f"`kdcompress bundle {source} --out {name}.pyz` makes what measures there"
    )


def _outdated(run: RunFolder, document: Benchmark) -> str | None:
    """Why a benchmark is of other files than the run has now; None if it is of these."""
    bundle = document.bundle
    if bundle is None:
        return "it does not say of which files it is"
    if bundle.student_digest != run.manifest()["files"].get(_STUDENT, {}).get("digest"):
        return "the student is another"
    if not run.has_file(_LIST):
        return "there are no exports"
    exports = read_checked(run / _LIST, remedy(_LIST, run.path))
    assert isinstance(exports, ExportList)
    now = {entry.path: entry.sha256 for entry in exports.artefacts}
    for file in bundle.files:
        if file.name == "student" and now.get(file.path) != file.sha256:
            return f"{file.path} is {'gone' if file.path not in now else 'another'}"
    return None
