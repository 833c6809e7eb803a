"""Classes of other packages, loaded from entry points or from references package.module:Class."""

from __future__ import annotations

import ast
import functools
import importlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdcompress.errors import RecipeError, one_line

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    EntryPoints = Mapping[str, EntryPoint]

FAMILIES = ("keras", "keras_hub")  # prefixes of zoo models of other libraries, keras:NAME, which are no modules


@functools.cache
def entry_points(group: str) -> EntryPoints:
    """List the entry points of a group in all installed packages.

    Args:
        group: Name of the group.

    Returns:
        Entry points by name.

    Raises:
        RecipeError: Two packages use the same name.
    """
    points: dict[str, EntryPoint] = {}
    for point in _installed(group):
        first = points.setdefault(point.name, point)
        if first.value != point.value:
            raise RecipeError(
                f"two installed packages offer {group} {point.name!r}: {origin(first)} and {origin(point)}; "
                "uninstall one of them"
            )
    return points


def _installed(group: str) -> Iterable[EntryPoint]:
    from importlib import metadata

    try:
        return metadata.entry_points(group=group)
    except TypeError:  # Python 3.9, on a device
        return metadata.entry_points().get(group, ())


def origin(point: EntryPoint) -> str:
    """Return the name and version of the package of an entry point.

    Args:
        point: The entry point.
    """
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an installed package"


def describe(point: EntryPoint) -> str:
    """Read the first line of the docstring of an entry point's class from its source, without importing it.

    Args:
        point: The entry point.

    Returns:
        The line; empty if the source cannot be read.
    """
    module, _, name = point.value.partition(":")
    try:
        tree = ast.parse(_source(point, module.strip()).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ""
    node = next((node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name.strip()), None)
    return (ast.get_docstring(node or tree) or "").split("\n")[0]


def load_entry_point(point: EntryPoint, description: str) -> Any:
    """Import the object of an entry point.

    Args:
        point: The entry point.
        description: Name of the object in messages.

    Returns:
        The object.

    Raises:
        RecipeError: It cannot be imported.
    """
    try:
        return point.load()
    except (Exception, SystemExit) as exc:
        entry = f"{description}, of {origin(point)} ({point.value})"
        raise RecipeError(f"{entry}, cannot be imported: {one_line(exc)}") from exc


def is_reference(text: str) -> bool:
    """Whether a text has the form package.module:Class.

    Args:
        text: The text.
    """
    module, colon, name = text.partition(":")
    return (
        bool(colon)
        and module not in FAMILIES
        and name.isidentifier()
        and all(part.isidentifier() for part in module.split("."))
    )


def needs_trust(text: str) -> bool:
    """Whether a model that a stranger's recipe names is made by code, or by what keras_hub reads and downloads for it.

    Args:
        text: Reference of a model.
    """
    return is_reference(text) or text.startswith("keras_hub:")


def load_reference(reference: str, description: str) -> Any:
    """Import package.module:Class, searching the current folder first, as `python` does.

    Args:
        reference: The reference.
        description: Name of the class in messages.

    Returns:
        The class.

    Raises:
        RecipeError: The module cannot be imported, or does not have the class.
    """
    module_name, _, name = reference.partition(":")
    with current_folder_first():
        try:
            module = importlib.import_module(module_name)
        except (Exception, SystemExit) as exc:
            raise RecipeError(f"{description}: importing {module_name} fails: {one_line(exc)}") from exc
    if not hasattr(module, name):
        raise RecipeError(f"{description}: module {module_name} has no {name!r}")
    return getattr(module, name)


def block_triton() -> None:
    """Keep PyTorch from importing Triton, which only GPUs need: beside TensorFlow's LLVM, its own ends the process."""
    sys.modules.setdefault("triton", None)  # type: ignore[arg-type]


@contextmanager
def current_folder_first() -> Iterator[None]:
    """Search the current folder first for modules, as `python` does, while user code is imported.

    Afterwards it is searched last, so that files in it cannot shadow packages that are imported later.
    """
    here = ""
    sys.path[:] = [here, *(entry for entry in sys.path if entry != here)]
    try:
        yield
    finally:
        sys.path[:] = [*(entry for entry in sys.path if entry != here), here]


def _source(point: EntryPoint, module: str) -> Path:
    """The source file of a module of the entry point's package, also of an editable install."""
    module_path = module.replace(".", "/")
    roots = [Path(entry or ".") for entry in sys.path]
    if point.dist is not None:
        roots.insert(0, Path(str(point.dist.locate_file(""))))
    candidates = (root / f"{module_path}{suffix}" for root in roots for suffix in (".py", "/__init__.py"))
    return next((path for path in candidates if path.is_file()), Path(f"{module_path}.py"))
