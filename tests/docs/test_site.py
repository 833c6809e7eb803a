"""The documentation site builds without a warning, loads nothing remote, and its reference is complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from kdcompress import registry
from kdcompress.cli._app import app
from kdcompress.config.choices import REGISTRY_OF
from kdcompress.config.recipe import Recipe
from kdcompress.config.settings import Section

ROOT = Path(__file__).parents[2]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
OFFLINE = {"NO_MKDOCS_2_WARNING": "1", **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    for package in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(package, reason="the extra docs is not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", str(ROOT / "docs/mkdocs.yml")]
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    built = subprocess.run(
        [*command, "--site-dir", str(folder)],
        env={**os.environ, **OFFLINE, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


class _Loaded(HTMLParser):
    """Collects the addresses of what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(LOADED.get(tag, ""))
        if address:
            self.addresses.append(address)


def test_pages_load_nothing_remote(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 30
    for path in pages:
        parser = _Loaded()
        parser.feed(path.read_text(encoding="utf-8"))
        assert not [address for address in parser.addresses if re.match(r"(https?:)?//", address)], path
    for path in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", path.read_text(encoding="utf-8")), path


def keys(section: type[Section], prefix: str = "") -> Iterator[str]:
    """Iterate over the dotted keys of a section and of the sections in it; N stands for an index of a list."""
    for name, field in section.model_fields.items():
        yield prefix + name
        for kind, is_list in _sections_in(field.annotation):
            yield from keys(kind, f"{prefix}{name}.N." if is_list else f"{prefix}{name}.")


def _sections_in(annotation: Any, is_list: bool = False) -> Iterator[tuple[type[Section], bool]]:
    if parts := get_args(annotation):
        for part in parts:
            yield from _sections_in(part, is_list or getattr(annotation, "__origin__", None) is tuple)
    elif isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation, is_list


def recipe_keys() -> Iterator[str]:
    """Iterate over the keys of recipes, with those of all registered data sets, methods and observers."""
    yield from keys(Recipe)
    for section, registered in REGISTRY_OF.items():
        prefix = "observers.NAME." if section == "observers" else f"{section}."
        yield f"{prefix}name"
        for name in registry.choices(registered):
            yield from keys(registry.load(registered, name), prefix)


def test_every_recipe_key_is_in_the_reference(site: Path) -> None:
    page = (site / "reference/recipe.html").read_text(encoding="utf-8")
    shown = set(re.findall(r"<code>([\w.]+)</code>", page))
    # A section that stands in several places is listed at one of them, to which the others link
    members, training = ("teacher.members.N.", "teacher."), ("teacher.training.", "training.")
    for key in recipe_keys():
        key = key.replace("assistant.N.", "assistant.").replace("assistant.training.", "training.")
        places = {key, key.replace(*members), key.replace(*training), key.replace(*members).replace(*training)}
        assert places & shown, key


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    page = (site / "reference/command-line.html").read_text(encoding="utf-8")
    sections = dict(re.findall(r"<h2 id=\"kdcompress-([\w-]+)\">(.*?)(?=<h2|</article)", page, re.S))

    def check(command: Any, name: str) -> None:
        for parameter in command.params:
            options = [*parameter.opts, *parameter.secondary_opts] if parameter.param_type_name == "option" else []
            assert all(option in sections[name] for option in options), f"{name}: {options}"
        for child, subcommand in getattr(command, "commands", {}).items():
            check(subcommand, f"{name}-{child}")

    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        check(command, name)


def test_every_schema_is_on_the_site(site: Path) -> None:
    page = (site / "reference/json-schemas.html").read_text(encoding="utf-8")
    for path in (ROOT / "docs/schemas").glob("*.json"):
        assert (site / "reference/schemas" / path.name).read_bytes() == path.read_bytes()
        assert f'href="schemas/{path.name}"' in page
