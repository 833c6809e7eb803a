"""Database of a sweep: its URL, its connections, and the lock that all processes of all machines respect."""

from __future__ import annotations

import contextlib
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from json import JSONDecodeError
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from kdcompress.errors import RunError, UsageError, one_line
from kdcompress.missing import missing_package
from kdcompress.sweeping._urls import SQLITE, checked_url, deprecation, is_server, shown_url

HEARTBEAT_S, GRACE_S = 5, 30  # a running trial without a heartbeat for the grace period was killed
_PATIENCE_S = 60  # how long a database may be away in the course of a sweep
_LOCK = 0x6B64636F6D707265  # "kdcompre"
# The server ends the transaction that holds the lock when its machine is gone without a word
_POSTGRESQL = (
    "-c idle_in_transaction_session_timeout=60s "
    "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
)
_CLIENT: Mapping[str, int] = {  # a server that is gone without a word is noticed within seconds, too
    "connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}  # fmt: skip
_NETWORK = ("nfs", "cifs", "smb", "afs", "9p", "lustre", "gpfs", "beegfs", "ceph", "fuse.", "gluster", "ocfs2", "gfs2")
_Result = TypeVar("_Result")


class Storage:
    """Connections to the database of a sweep.

    Attributes:
        shown: The URL without credentials.
        shared: Whether it is a server, which other machines reach.
        rdb: Optuna's storage.
        notice: One line about a database that will not be taken any more; None for others.

    Args:
        url: URL for SQLAlchemy, of SQLite or PostgreSQL, or of another database, which is deprecated.
        folder: Folder of the sweep, which has the lock of another database.

    Raises:
        UsageError: The URL is invalid.
        MissingExtraError: The database driver is not installed.
        RunError: The storage does not respond.
    """

    def __init__(self, url: str, folder: Path = Path()) -> None:
        import optuna
        import sqlalchemy

        self._url = checked_url(url)
        self.shown = shown_url(url)
        self.shared = is_server(url)
        kind, file = self._url.get_backend_name(), Path(self._url.database or "")
        self.notice = deprecation(kind)
        self._file = file if kind == SQLITE else None
        self._lock_file = folder / ".storage.lock" if self._file is None else file.with_name(f".{file.name}.lock")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        # The queue sends heartbeats by itself, because Study.optimize sends the first one without a lock
        warnings.filterwarnings("ignore", "Heartbeat of storage is supposed to be used")
        options = self._engine_options()
        full = self._url.render_as_string(hide_password=False)
        if self._file and not (parent := self._file.absolute().parent).is_dir():
            raise RunError(f"storage {self.shown} does not respond: there is no folder {parent}")
        with self.errors():
            self._engine = sqlalchemy.create_engine(self._url, **options)
            with self.lock():  # concurrent creation of the tables fails
                self.rdb = optuna.storages.RDBStorage(
                    full, engine_kwargs=options, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S
                )
            if self.shared:
                sqlalchemy.event.listen(self.rdb.engine, "connect", _use_utc)
                self.rdb.engine.dispose()  # that of the tables' creation has the time zone of this machine

    def _engine_options(self) -> dict[str, Any]:
        if not self.shared:
            return {}
        if not self._url.get_driver_name().startswith("psycopg"):  # another client has other options
            return {"pool_pre_ping": True}
        own = self._url.query.get("options", "")
        arguments = {"options": f"{_POSTGRESQL} {own}".strip(), **_CLIENT}
        return {"pool_pre_ping": True, "connect_args": arguments}

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of the database, which ends with the process that holds it.

        That of PostgreSQL is the server's, so that machines need no folder in common; that of a file lies beside it,
        that of another database in the folder of the sweep.
        """
        import sqlalchemy

        if not self.shared:
            with FileLock(self._lock_file):
                yield
            return
        with self._engine.begin() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            yield

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Convert errors of the database, and of nothing else, to a RunError of one line, without credentials."""
        from optuna.exceptions import OptunaError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except ImportError as exc:
            if error := missing_package(exc, f"storage {self.shown}"):
                raise error from exc
            raise UsageError(f"storage {self.shown} needs a package that is not installed ({exc})") from exc
        except (SQLAlchemyError, OptunaError, RuntimeError, JSONDecodeError, OSError) as exc:
            raise RunError(f"storage {self.shown} does not respond or is damaged ({self._reason(exc)})") from exc

    def patiently(self, action: Callable[[], _Result]) -> _Result:
        """Repeat what a database did not answer, for a minute: servers restart.

        Args:
            action: May be done twice.

        Returns:
            Its result.
        """
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import OperationalError

        start, pause = time.monotonic(), 0.5
        while True:
            try:
                return action()
            except (OperationalError, StorageInternalError):
                if time.monotonic() - start > _PATIENCE_S:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, 8.0)

    def check_machine(self, machines: list[str]) -> None:
        """Check that no other machine works on a file, whose locks and times are only good on one.

        Args:
            machines: Names of the machines that have worked on the sweep.

        Raises:
            RunError: The file lies on a network file system, and another machine has used it.
        """
        others = [machine for machine in machines if machine != machine_name()]
        if self._file is None or not others:
            return
        if kind := _network_file_system(self._file):
            raise RunError(
                f"storage {self.shown} lies on a network file system ({kind}), and {others[0]} uses it: SQLite's locks "
                "do not hold between machines; give each of them --storage postgresql://USER@HOST/DATABASE"
            )

    def _reason(self, exc: BaseException) -> str:
        reason = one_line(exc).partition(" (Background on this error")[0]
        secrets = [self._url.password, *(v for k, v in self._url.query.items() if "password" in k)]
        for secret in secrets:
            if secret:
                reason = reason.replace(str(secret), "***")
        return reason


def _use_utc(connection: Any, record: Any) -> None:
    """Make a connection tell and read times in one zone: Optuna keeps them without, in that of PGTZ by default."""
    cursor = connection.cursor()
    cursor.execute("SET TIME ZONE 'UTC'")
    cursor.close()
    connection.commit()


def machine_name() -> str:
    """Return the name of this machine, for people and to tell machines apart."""
    return socket.gethostname()


def _network_file_system(path: Path) -> str | None:
    """Return the kind of the file system of a path if it is one of several machines."""
    import psutil

    folder = path.resolve()
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    found = next((mounts[str(parent)] for parent in (folder, *folder.parents) if str(parent) in mounts), "")
    return found if found.startswith(_NETWORK) else None
