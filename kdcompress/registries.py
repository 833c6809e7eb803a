"""Where the methods, data sets, models and so on are: which files of the package, with which base class.

Files and folders with a leading underscore are shared parts and not registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Registry:
    """Location and properties of one kind of registered classes or files.

    Attributes:
        pattern: Glob below the package; the name is the part of the path that the last star stands for.
        word: Name of one entry in messages.
        attribute: Name of the class in its module; empty for files that are not modules.
        base: `module:Class` of the base class, which those of other packages are checked against; empty if other
            packages cannot add entries.
        dashed: Whether names have dashes in place of the underscores of module names.
        listed: Whether users select an entry by its name.
        families: Glob below the package of modules with further entries, named PREFIX:NAME; the prefix is the name of
            the module.
        needs: Package that the use of any entry needs, by the name to import it by; empty if there is none.
        named_module: Whether the class of an entry names a package that it needs itself, as `module`.
    """

    pattern: str
    word: str
    attribute: str = ""
    base: str = ""
    dashed: bool = False
    listed: bool = True
    families: str = ""
    needs: str = ""
    named_module: bool = False

    def files(self) -> dict[str, Path]:
        """List the files of the built-in entries by name, sorted."""
        star = max(number for number, part in enumerate(self.pattern.split("/")) if "*" in part)
        files = {}
        for path in ROOT.glob(self.pattern):
            stem = path.relative_to(ROOT).parts[star].partition(".")[0]
            if not stem.startswith("_"):
                files[stem.replace("_", "-") if self.dashed else stem] = path
        return dict(sorted(files.items()))


_TRAINING = "tensorflow"
# By the name on the command line; other packages add entries by the entry points kdcompress.NAME
REGISTRIES = {
    "recipes": Registry("config/presets/*.toml", "recipe", needs=_TRAINING),
    "models": Registry(
        "models/*.py",
        "model",
        "MODEL",
        "kdcompress.models:Architecture",
        families="models/families/*.py",
        needs=_TRAINING,
    ),
    "methods": Registry("methods/*.py", "method", "METHOD", "kdcompress.methods:Method", needs=_TRAINING),
    "datasets": Registry("data/sources/*.py", "dataset", "DATASET", "kdcompress.data.base:DatasetSource", dashed=True),
    "teachers": Registry(
        "formats/*/teacher.py",
        "kind of teacher",
        "TEACHER",
        "kdcompress.teachers:Teacher",
        needs=_TRAINING,
        named_module=True,
    ),
    "formats": Registry(
        "formats/*/writer.py", "format", "FORMAT", "kdcompress.exporting:Format", dashed=True, needs=_TRAINING
    ),
    "runtimes": Registry(
        "formats/*/runtimes/*.py",
        "runtime",
        "RUNTIME",
        "kdcompress.benchmarking:Runtime",
        dashed=True,
        named_module=True,
    ),
    "observers": Registry(
        "observers/*.py", "observer", "OBSERVER", "kdcompress.observers:Observer", needs=_TRAINING, named_module=True
    ),
    "costs": Registry(
        "formats/*/costs.py", "kind of model file", "COSTS", "kdcompress.verification.costs:FileCosts", listed=False
    ),
}
LISTED = tuple(name for name, registry in REGISTRIES.items() if registry.listed)
