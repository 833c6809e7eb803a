"""Environment of the page templates, in which every value is escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

_PACKAGE = "kdcompress.reporting"


def template_environment(package: str = _PACKAGE) -> Environment:
    """Create the environment of a package's templates, which may use those of the report.

    Args:
        package: Name of the package, with a folder `templates`.

    Returns:
        The environment; all values are escaped except the SVG that is drawn here.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader([PackageLoader(name, "templates") for name in dict.fromkeys((package, _PACKAGE))])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
