"""URLs of the databases of sweeps."""

from __future__ import annotations

from typing import Any

from kdcompress.errors import UsageError

SQLITE, SERVER = "sqlite", "postgresql"
_EXAMPLES = "sqlite:///sweep.db or postgresql://USER@HOST/DATABASE"


def shown_url(url: str) -> str:
    """Return a storage's URL without its user, password and parameters.

    Args:
        url: URL for SQLAlchemy.

    Raises:
        UsageError: It is invalid.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == SQLITE:
        return f"sqlite:///{parsed.database or ''}"
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.get_backend_name()}://{parsed.host or ''}{port}/{parsed.database or ''}"


def is_server(url: str) -> bool:
    """Return whether a storage is a server, which other machines reach.

    Args:
        url: URL for SQLAlchemy.

    Raises:
        UsageError: It is invalid.
    """
    return bool(checked_url(url).get_backend_name() == SERVER)


def _parsed(url: str) -> Any:
    from sqlalchemy.engine import make_url

    try:
        return make_url(url)
    except Exception:  # its message may show the password
        scheme = url.partition("://")[0] if "://" in url else url
        raise UsageError(f"--storage must be a database URL such as {_EXAMPLES}, got {scheme[:40]!r}") from None


def checked_url(url: str) -> Any:
    """Parse a URL.

    Args:
        url: URL for SQLAlchemy.

    Returns:
        SQLAlchemy's URL, with the driver that kdcompress brings.

    Raises:
        UsageError: It is invalid, or of a database that ends with the process.
    """
    from sqlalchemy.exc import NoSuchModuleError

    parsed = _parsed(url)
    kind = parsed.get_backend_name()
    if kind == SQLITE:
        if not parsed.database or parsed.database == ":memory:":
            raise UsageError(f"--storage must be a file or a server, such as {_EXAMPLES}, got a database in memory")
        return parsed
    if kind == SERVER:
        return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed
    try:
        parsed.get_dialect()
    except NoSuchModuleError:
        raise UsageError(f"--storage must be a database URL such as {_EXAMPLES}, got {kind!r}") from None
    except ImportError:  # told when it is opened
        pass
    return parsed


def deprecation(kind: str) -> str | None:
    """Return a line about a kind of database that sweeps will not take any more; None for others.

    Args:
        kind: SQLAlchemy's name of it.
    """
    if kind in (SQLITE, SERVER):
        return None
    return (
        f"sweeps in a storage of {kind} are deprecated: its lock is a file in the sweep's folder, good for the "
        "processes of one machine; give --storage postgresql://USER@HOST/DATABASE"
    )
