"""The engine under the registry: connections, transactions, and what a driver's refusal means.

One writer at a time on both databases: `BEGIN IMMEDIATE` in SQLite, one advisory lock in PostgreSQL. The audit
chain is one line anyway, writes are short, and both databases then behave alike.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, TypeAlias

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Row,
    Table,
    create_engine,
    delete,
    event,
    make_url,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, InterfaceError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from sealserve.canonical import canonical_json
from sealserve.errors import BadConfig, StorageFailed

Clock: TypeAlias = Callable[[], datetime]
"""Returns the time now as an aware UTC datetime."""


BUSY_SECONDS = 10.0
"""How long a write waits for another writer before it gives up."""


BATCH = 1000
"""Rows that one transaction of a sweep deletes."""

WAL_BYTES = 4 * 2**20
"""A SQLite file's write-ahead log shrinks to this once no reader needs what is beyond; 4 MiB is where SQLite begins to
write it back by itself (wal_autocheckpoint)."""


_WRITER_LOCK = 7_431_001  # any number no other application in that database locks


_TAKE_TURN = (
    "SELECT set_config('lock_timeout', :patience, true), set_config('idle_in_transaction_session_timeout', :silence, "
    "true), pg_advisory_xact_lock(:key), clock_timestamp() AS now"
)
"""A writer that is stopped or cut off in its transaction is rolled back by the server: nobody waits for it for ever.

Nothing of it outlasts the transaction: behind a pooler, the next one may run on another connection.
"""


def utc_now() -> datetime:
    """Return the system's time."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """An open transaction, with one timestamp for everything written in it."""

    connection: Connection
    read_clock: Clock

    @cached_property
    def now(self) -> datetime:
        """When this was first asked for, by the clock that all users of the database share."""
        return self.read_clock()

    def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """Return every row of `statement`."""
        return self.connection.execute(statement).fetchall()

    def row(self, statement: Executable) -> Row[Any] | None:
        """Return the first row of `statement`, or None."""
        return self.connection.execute(statement).first()

    def run(self, statement: Executable) -> int:
        """Execute `statement`; return how many rows it changed."""
        return self.connection.execute(statement).rowcount

    def insert(self, table: Table, rows: Sequence[dict[str, Any]]) -> None:
        """Insert `rows`, if any."""
        if rows:
            self.connection.execute(table.insert(), list(rows))

    def upsert(self, table: Table, rows: Sequence[dict[str, Any]], *, key: tuple[str, ...]) -> None:
        """Insert `rows`; where `key` is taken, replace the other columns."""
        if not rows:
            return
        dialect = postgresql if self.connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table)
        changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=changed)
        self.connection.execute(statement, list(rows))


class Database:
    """Connections to one database. Safe to use from many threads."""

    def __init__(self, url: str, *, clock: Clock | None = None, busy_seconds: float = BUSY_SECONDS) -> None:
        """Connect lazily. Raises: BadConfig if `url` cannot be used.

        Without `clock` the time is the database server's, or this machine's if it is a file.
        """
        self.url = _checked(url)
        self.clock = clock
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._patience_ms = self._silence_ms = str(int(busy_seconds * 1000))
        self._engine = _engine(self.url, busy_seconds=busy_seconds)
        self._driver_error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        self._writer = self._engine.execution_options(sealserve_write=True)
        self._reader = (
            self._engine
            if self.is_sqlite
            else self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        )

    @property
    def label(self) -> str:
        """The URL without its password: fit for messages."""
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Give one consistent view. Raises: StorageFailed."""
        with self._refusals(), self._reader.begin() as connection:
            yield Transaction(connection=connection, read_clock=self.clock or self._shared_clock(connection))

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Give the only open write transaction; commit at the end, roll back on any error.

        PostgreSQL rolls it back, too, when this process is silent in it for `busy_seconds`. Raises: StorageFailed.
        """
        with self._refusals(), self._writer.begin() as connection:
            shared = utc_now if self.is_sqlite else self._take_turn(connection)
            yield Transaction(connection=connection, read_clock=self.clock or shared)

    def _take_turn(self, connection: Connection) -> Clock:
        """Wait for the writer lock; return a clock that stands at the server's time since then."""
        times = {"patience": self._patience_ms, "silence": self._silence_ms}
        turn = connection.execute(text(_TAKE_TURN), {"key": _WRITER_LOCK, **times}).one()
        return partial(_utc, turn.now)

    def _shared_clock(self, connection: Connection) -> Clock:
        if self.is_sqlite:
            return utc_now
        return lambda: _utc(connection.execute(text("SELECT clock_timestamp()")).scalar_one())

    def use_write_ahead_log(self) -> None:
        """Switch a SQLite file to WAL, which it then keeps. Raises: StorageFailed, also where WAL cannot work."""
        with self._refusals():
            raw = self._engine.raw_connection()
            try:
                mode = raw.cursor().execute("PRAGMA journal_mode=WAL").fetchone()[0]
            finally:
                raw.close()
        if mode != "wal":
            raise StorageFailed(f"database {self.label}: its file system cannot share it; put it on a local disk")

    def seconds_ahead(self) -> float:
        """Return by how much the shared clock is ahead of this machine's; 0 for a file. Raises: StorageFailed."""
        if self.is_sqlite:
            return 0.0
        with self.read() as tx:
            before = utc_now()
            shared = self._shared_clock(tx.connection)()
            return (shared - (before + (utc_now() - before) / 2)).total_seconds()

    def shrink_log(self) -> None:
        """Give back the space of a SQLite file's write-ahead log, unless a reader needs it. Raises: StorageFailed."""
        if not self.is_sqlite:
            return
        with self._refusals():
            raw = self._engine.raw_connection()
            try:
                cursor = raw.cursor()
                patience = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
                cursor.execute("PRAGMA busy_timeout=0")  # it would hold the writer lock while it waits for readers
                try:
                    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                finally:
                    cursor.execute(f"PRAGMA busy_timeout={patience}")
            finally:
                raw.close()

    def delete_in_batches(self, table: Table, *conditions: ColumnElement[bool], batch: int = BATCH) -> int:
        """Delete the rows, `batch` in each transaction, so that no writer waits for long; return how many."""
        keys = list(table.primary_key.columns)
        key = keys[0] if len(keys) == 1 else tuple_(*keys)
        some = select(*keys).where(*conditions).limit(batch)
        deleted = 0
        while True:
            with self.write() as tx:
                done = tx.run(delete(table).where(key.in_(some)))
            deleted += done
            if done < batch:
                return deleted

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise StorageFailed(f"database {self.label}: every connection is in use; try again") from error
        except IntegrityError:
            raise
        except (DatabaseError, InterfaceError) as error:
            raise StorageFailed(f"database {self.label}: {_diagnosis(str(error.orig))}") from error
        except self._driver_error as error:  # SQLAlchemy does not wrap errors raised while a connection is prepared
            raise StorageFailed(f"database {self.label}: {_diagnosis(str(error))}") from error


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise BadConfig("registry.url is not a database URL; try sqlite:////var/lib/sealserve/registry.db") from error
    if parsed.drivername == "postgres" or backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise BadConfig(f"registry.url names {backend}; use sqlite or postgresql")
    if not parsed.database or parsed.database == ":memory:":
        raise BadConfig("registry.url must name a SQLite file: serve and learn share it")
    return parsed


def _engine(url: URL, *, busy_seconds: float) -> Engine:
    pool = {"pool_size": 8, "max_overflow": 24, "pool_timeout": busy_seconds}
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, json_serializer=canonical_json, connect_args={"timeout": busy_seconds}, **pool)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    unprepared = {"prepare_threshold": None}  # behind a pooler, the next connection would not know the statement
    try:
        return create_engine(url, json_serializer=canonical_json, pool_pre_ping=True, connect_args=unprepared, **pool)
    except ModuleNotFoundError as error:
        raise BadConfig("registry.url names PostgreSQL: pip install 'sealserve[postgres]'") from error


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # this module says BEGIN itself
    for pragma in ("synchronous=FULL", "foreign_keys=ON", f"journal_size_limit={WAL_BYTES}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    is_write = connection.get_execution_options().get("sealserve_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


_DIAGNOSES = (
    (("is locked", "lock timeout", "is busy"), "another writer holds it for too long; try again"),
    (("is full", "No space left"), "its disk is full; free some space, then try again"),
    (("readonly", "read-only"), "it cannot be written; check the owner and mode of the file"),
    (("unable to open",), "it cannot be opened; check that the directory exists and can be written"),
    (("malformed", "not a database"), "the file is damaged; restore it from a backup"),
    (("idle-in-transaction", "idle in transaction"), "this process was silent in a write for too long: rolled back"),
    (("connect", "terminat", "closed"), "the server cannot be reached; check that it runs, then try again"),
)


def _diagnosis(driver_text: str) -> str:
    for signs, meaning in _DIAGNOSES:
        if any(sign in driver_text for sign in signs):
            return meaning
    return "it refused the operation; see the server's log"
