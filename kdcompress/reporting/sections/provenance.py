"""Provenance of a run: its recipe, the machine, and the commands that reproduce it."""

from __future__ import annotations

import shlex
from pathlib import PurePath
from typing import Any

from kdcompress.formatting import clean
from kdcompress.reporting._parts import Section, Table
from kdcompress.reporting._run_data import RunData


def recipe(run: RunData) -> Section:
    """Build the section of the data set and the resolved recipe."""
    rows = [[key, clean(value)] for key, value in run.manifest.get("dataset", {}).items()]
    tables = [Table("The data", ["property", "value"], rows, names=2)] if rows else []
    listings = [("recipe.toml, with every default", run.recipe_text)]
    return Section("recipe", "The recipe", tables=tables, listings=listings)


def machine(run: RunData) -> Section:
    """Build the section of package versions and of the benchmark's machine."""
    rows = [[name, clean(value)] for name, value in run.manifest.get("versions", {}).items()]
    tables = [Table("Versions at distillation", ["package", "version"], rows, names=2)] if rows else []
    missing = []
    if run.bench:
        properties = [[name, _format(value)] for name, value in run.bench["machine"].items()]
        tables.append(Table("The machine of the benchmark", ["property", "value"], properties, names=2))
    else:
        missing.append("`kdcompress bench` records the processor, its load and its settings, with the latencies.")
    return Section("machine", "The machine", tables=tables, missing=missing)


def reproduction(run: RunData) -> Section:
    """Build the section of the original command and of the commands that reproduce the run from its recipe."""
    folder = shlex.quote(run.folder)
    command = [clean(part) for part in run.manifest.get("command", [])]
    listings = []
    if command:
        # A run from Python has the command of the user's own program
        program = PurePath(command[0]).name
        listings.append(
            ("original command", shlex.join([program if program == "kdcompress" else command[0], *command[1:]]))
        )
    steps = [f"kdcompress distill {folder}/recipe.toml --out again", "kdcompress verify again"]
    steps += [_export_command(run), "kdcompress bench again", "kdcompress report again"]
    listings.append(("from the recipe alone", "\n".join(steps)))
    text = [
        "On one machine the same recipe and data give the same weights; `manifest.json` has the SHA-256 of every file."
    ]
    if not run.recipe.get("deterministic", True):
        text = ["This recipe does not request determinism: another run will differ slightly."]
    return Section("again", "How to reproduce this run", text, listings=listings)


def _export_command(run: RunData) -> str:
    """Compose the command that exports the same formats and precisions."""
    formats = sorted({entry["format"].replace("_", "-") for entry in run.exports})
    precisions = sorted({entry["precision"] for entry in run.exports})
    options = [*(f"--format {name}" for name in formats), *(f"--precision {name}" for name in precisions)]
    return " ".join(["kdcompress export again", *options])


def _format(value: Any) -> str:
    if isinstance(value, dict):
        return clean(", ".join(f"{key} {_format(item)}" for key, item in value.items()))
    if isinstance(value, list):
        return clean(", ".join(_format(item) for item in value))
    return clean(value)
