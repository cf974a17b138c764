"""Whole copies of a registry's database: from either database into a SQLite file, and from such a file into either.

A copy is one consistent view. It is taken while others write, and stops none of them.
"""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection, Table, func, select, text

from sealserve.errors import CorruptArtifact, FailedPrecondition, StorageFailed
from sealserve.registry.sql import schema
from sealserve.registry.sql.database import Database
from sealserve.registry.sql.tables import audit, metadata, tenants

_BATCH = 500


def copy_to_file(database: Database, path: Path) -> None:
    """Write everything in `database` into a new SQLite file, which only its owner may read. Raises: StorageFailed."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        if database.is_sqlite:
            _copy_sqlite(Path(database.url.database or ""), path)
            return
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(f"{path}: the database cannot be copied there: {error}") from error
    with closing(Database(f"sqlite:///{path.absolute()}")) as copy:
        schema.migrate(copy)
        _copy_rows(database, copy)
    _make_single_file(path)


def require_empty(url: str) -> None:
    """Return if the database of `url` holds nothing; it gets its tables. Raises: FailedPrecondition, StorageFailed."""
    with closing(Database(url)) as database:
        if database.is_sqlite:
            is_empty = not Path(database.url.database or "").exists()
        else:
            schema.migrate(database)
            with database.read() as tx:
                is_empty = not any(tx.row(select(table).limit(1)) for table in (tenants, audit))
    if not is_empty:
        raise FailedPrecondition(f"database {database.label} is in use: name an empty one", reason="NOT_EMPTY")


def fill_from_file(path: Path, url: str) -> None:
    """Have the empty database of `url` hold what the SQLite file at `path` holds, in the newest schema.

    Raises: StorageFailed (also if a newer sealserve wrote the file).
    """
    with closing(Database(url)) as database, tempfile.TemporaryDirectory(prefix="sealserve-restore-") as scratch:
        if database.is_sqlite:
            final = Path(database.url.database or "")
            os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            shutil.copyfile(path, final)
            return
        copy = Path(scratch, path.name)
        shutil.copyfile(path, copy)
        with closing(Database(f"sqlite:///{copy}")) as source:
            schema.migrate(source)
            _copy_rows(source, database)


def _copy_sqlite(source: Path, target: Path) -> None:
    """Copy all pages at once (SQLite, "Online Backup API"); writers go on in the write-ahead log meanwhile."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
    _make_single_file(target)


def _make_single_file(path: Path) -> None:
    """Leave the write-ahead log, whose file would belong to the copy. Raises: CorruptArtifact (damaged pages)."""
    with closing(sqlite3.connect(path)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE")
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    path.with_name(f"{path.name}.lock").unlink(missing_ok=True)
    if found != "ok":
        raise CorruptArtifact(f"the database is damaged: {found}")


def _copy_rows(source: Database, target: Database) -> None:
    """Insert every row of `source`, as it is at one moment, into the empty `target`, in one transaction."""
    with source.read() as here, target.write() as there:
        for table in metadata.sorted_tables:
            found = here.connection.execution_options(yield_per=_BATCH).execute(select(table))
            for rows in found.mappings().partitions():
                there.insert(table, [dict(row) for row in rows])
            if not target.is_sqlite:
                _move_sequence(there.connection, table)


def _move_sequence(connection: Connection, table: Table) -> None:
    """Let the next row that is numbered by the database get a number above all that were copied."""
    column = table.autoincrement_column
    if column is None:
        return
    highest = connection.execute(select(func.max(column))).scalar()
    if highest is not None:
        move = text("SELECT setval(pg_get_serial_sequence(:table, :column), :highest)")
        connection.execute(move, {"table": table.name, "column": column.name, "highest": highest})
