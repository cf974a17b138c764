"""Brings a database to the newest schema. Safe when several processes open the same one at once."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, inspect, text

from sealserve.errors import StorageFailed
from sealserve.registry.sql.database import Database

_MIGRATIONS = Path(__file__).parent.parent / "migrations"


def migrate(database: Database) -> None:
    """Bring `database` to the newest schema, in one write transaction; no change if it is there already.

    Raises: StorageFailed, also if a newer sealserve wrote the schema.
    """
    with _sqlite_prepared(database), database.write() as tx:
        if _revision(tx.connection) != newest():
            _upgrade(tx.connection, label=database.label)


def newest() -> str:
    """Return the revision that the last file of migrations is named after."""
    return max(path.name.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, *, label: str) -> None:
    from alembic import command  # late: importing it and reading every migration takes longer than opening a database
    from alembic.config import Config
    from alembic.util import CommandError

    logging.getLogger("alembic").setLevel(logging.WARNING)  # it announces itself at every opening
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StorageFailed(
            f"database {label} has a schema this sealserve does not know; use the newer sealserve that wrote it"
        ) from error


@contextmanager
def _sqlite_prepared(database: Database) -> Iterator[None]:
    if not database.is_sqlite:
        yield
        return
    file = Path(database.url.database or "")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _open_private(file.with_name(file.name + ".lock"))
        _open_private(file).close()  # SQLite gives its -wal and -shm the same mode
    except OSError as error:
        raise StorageFailed(f"database {database.label}: its directory cannot be written: {error.strerror}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the switch to WAL waits for nobody, so two openers must take turns
        database.use_write_ahead_log()
        yield


def _open_private(path: Path) -> IO[bytes]:
    """Open a file for appending; a new one is its owner's alone, whatever the umask. Raises: OSError."""
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))
