"""The recipe, the machine, and how to run it again."""

from __future__ import annotations

import shlex
from pathlib import PurePath
from typing import Any

from kdcompress.reporting._facts import Facts
from kdcompress.reporting._parts import Section, Table
from kdcompress.reporting._words import clean


def recipe(facts: Facts) -> Section:
    """The resolved recipe, and the data it was given."""
    known = facts.manifest.get("dataset", {})
    rows = [[key, clean(value)] for key, value in known.items()]
    tables = [Table("The data", ["fact", "value"], rows, names=2)] if rows else []
    return Section(
        "recipe", "The recipe", tables=tables, listings=[("recipe.toml, every default written out", facts.recipe_text)]
    )


def machine(facts: Facts) -> Section:
    """Versions that the result depends on, and the machine that the benchmark ran on."""
    rows = [[name, clean(value)] for name, value in facts.manifest.get("versions", {}).items()]
    tables = [Table("Versions at distillation", ["package", "version"], rows, names=2)] if rows else []
    missing = []
    if facts.bench:
        found = [[name, _said(value)] for name, value in facts.bench["machine"].items()]
        tables.append(Table("The machine of the benchmark", ["fact", "value"], found, names=2))
    else:
        missing.append("`kdcompress bench` records the processor, its load and its settings, with the latencies.")
    return Section("machine", "The machine", tables=tables, missing=missing)


def again(facts: Facts) -> Section:
    """The command as it was given, and all that make this page from the recipe alone."""
    folder = shlex.quote(facts.folder)
    given = [clean(part) for part in facts.manifest.get("command", [])]
    listings = []
    if given:
        program = PurePath(given[0]).name
        # Of a run from Python, the command is that of the user's own program
        said = [program if program == "kdcompress" else given[0], *given[1:]]
        listings.append(("as it was given", shlex.join(said)))
    steps = [f"kdcompress distill {folder}/recipe.toml --out again", "kdcompress verify again"]
    steps += [_export(facts), "kdcompress bench again", "kdcompress report again"]
    listings.append(("from the recipe alone", "\n".join(steps)))
    text = [
        "On one machine the same recipe and data give the same weights; `manifest.json` has the SHA-256 of every file."
    ]
    if not facts.recipe.get("deterministic", True):
        text = ["This recipe does not ask for determinism: another run will differ a little."]
    return Section("again", "How to run it again", text, listings=listings)


def _export(facts: Facts) -> str:
    """The command that makes the same kinds of file."""
    formats = sorted({entry["format"].replace("_", "-") for entry in facts.exports})
    precisions = sorted({entry["precision"] for entry in facts.exports})
    options = [*(f"--format {name}" for name in formats), *(f"--precision {name}" for name in precisions)]
    return " ".join(["kdcompress export again", *options])


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return clean(", ".join(f"{key} {_said(one)}" for key, one in value.items()))
    if isinstance(value, list):
        return clean(", ".join(_said(one) for one in value))
    return clean(value)
