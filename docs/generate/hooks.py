"""Hooks of MkDocs: add generated pages and files of the repository to the site, and resolve links between them."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

import command_line
import json_schemas
import recipe
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]

GENERATED = {
    "reference/command-line.md": command_line.page,
    "reference/recipe.md": recipe.page,
    "reference/json-schemas.md": json_schemas.page,
}
# Files outside docs/pages that are on the site, too: their address there by their path in the repository
SHARED = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "README.md": "index.md",
    "docs/requirements-edge.txt": "requirements-edge.txt",
    "examples/few_labels/README.md": "examples/few-labels.md",
    "examples/few_labels/FEW_LABELS.md": "examples/few-labels-results.md",
    "examples/few_labels/few_labels.ipynb": "examples/few_labels.ipynb",
    "examples/mhist/README.md": "examples/mhist.md",
    "examples/mhist/mhist.ipynb": "examples/mhist.ipynb",
    "examples/mhist/COMPRESSED.md": "examples/mhist-compressed.md",
    "examples/mhist/RESULTS.md": "examples/mhist-results.md",
    "examples/mnist/README.md": "examples/mnist.md",
    "examples/mnist/mnist.ipynb": "examples/mnist.ipynb",
    "examples/mnist/COMPRESSED.md": "examples/mnist-compressed.md",
    "examples/mnist/CAUSES.md": "examples/mnist-causes.md",
    "examples/mnist/LITERATURE.md": "examples/mnist-literature.md",
    "examples/mnist/RESULTS.md": "examples/mnist-results.md",
    "examples/mnist/invented-subclasses.png": "examples/invented-subclasses.png",
    "examples/mnist/report-phone.png": "images/report-phone.png",
    "examples/mnist/report-wide.png": "images/report-wide.png",
    "examples/own_model/README.md": "examples/own-model.md",
    "examples/own_model/own_model.ipynb": "examples/own_model.ipynb",
}
PAGES = "docs/pages/"
_LINK = re.compile(r"(?P<before>\]\(|src=\")(?P<target>[^)\s\"#:]+)(?P<anchor>#[^)\s\"]*)?(?P<after>[)\"])")


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages, the shared files and the JSON schemas."""
    for uri, page in GENERATED.items():
        files.append(File.generated(config, uri, content=page()))
    for path, uri in SHARED.items():
        if uri != "index.md":
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    for path in sorted((ROOT / "docs/schemas").glob("*.json")):
        files.append(File.generated(config, f"reference/schemas/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Point links that are right in the repository at the same page of the site."""
    paths = {uri: path for path, uri in SHARED.items() if uri != "index.md"}
    uri = page.file.src_uri
    folder = posixpath.dirname(paths.get(uri, PAGES + uri))

    def resolve(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match["target"]))
        address = SHARED.get(path) or (path.removeprefix(PAGES) if path.startswith(PAGES) else "")
        if not address:
            return match[0]
        target = os.path.relpath(address, posixpath.dirname(uri) or ".")
        return f"{match['before']}{target}{match['anchor'] or ''}{match['after']}"

    return _LINK.sub(resolve, markdown)
