"""The servers that run: each announces itself, renews its heartbeat, and leaves.

A replica is alive while its heartbeat is younger than `ALIVE_SECONDS`, by the database's clock. What a dead one
reported to observe does not count any more.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, delete, select, update

from sealserve.records.replicas import Replica
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Database, Transaction

ALIVE_SECONDS = 30.0
"""Several times the interval of heartbeats, which the database may hold up for ten seconds."""

_KEPT_SECONDS = 600.0
"""After so long a silent replica is removed, with all that it reported."""


class Replicas:
    """Which servers run, by their heartbeats."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def announce(self, replica: str, *, identity: str, address: str, instead_of: str = "") -> Replica | None:
        """Enter the process `identity` under this name; what was observed under it before is forgotten.

        Changes nothing, and returns the holder of the name, if that is alive and is neither this process nor
        `instead_of`, the identity of a process that is known to have ended.
        """
        with self._database.write() as tx:
            now = tx.now
            row = tx.row(select(t.replicas).where(t.replicas.c.replica == replica))
            is_free = row is None or row.identity in (identity, instead_of) or row.heartbeat_at <= _oldest_alive(now)
            if row is not None and not is_free:
                return _record(row)
            _remove(tx, t.replicas.c.replica == replica)
            _remove_long_silent(tx, now)
            entry = {"replica": replica, "identity": identity, "address": address}
            tx.run(delete(t.observed).where(t.observed.c.replica.not_in(select(t.replicas.c.replica))))
            tx.insert(t.replicas, [{**entry, "started_at": now, "heartbeat_at": now}])
            return None

    def renew(self, replica: str, *, identity: str) -> bool:
        """Renew the heartbeat; False if the name is not this process's any more. Removes those long silent."""
        own = t.replicas.c.replica == replica, t.replicas.c.identity == identity
        with self._database.write() as tx:
            now = tx.now
            is_own = bool(tx.run(update(t.replicas).where(*own).values(heartbeat_at=now)))
            _remove_long_silent(tx, now)
            return is_own

    def leave(self, replica: str, *, identity: str) -> None:
        """Remove the replica and what it reported, if the name is still this process's."""
        with self._database.write() as tx:
            _remove(tx, t.replicas.c.replica == replica, t.replicas.c.identity == identity)

    def alive(self) -> tuple[Replica, ...]:
        """Return the replicas that are alive, by name."""
        with self._database.read() as tx:
            query = select(t.replicas).where(t.replicas.c.heartbeat_at > _oldest_alive(tx.now))
            return tuple(map(_record, tx.rows(query.order_by(t.replicas.c.replica))))


def alive(tx: Transaction) -> Select[Any]:
    """Return a query of the names of the replicas that are alive."""
    return select(t.replicas.c.replica).where(t.replicas.c.heartbeat_at > _oldest_alive(tx.now))


def _oldest_alive(now: datetime) -> datetime:
    return now - timedelta(seconds=ALIVE_SECONDS)


def _remove(tx: Transaction, *which: Any) -> None:
    """Remove these replicas and what they reported."""
    gone = [row.replica for row in tx.rows(select(t.replicas.c.replica).where(*which))]
    if gone:
        tx.run(delete(t.observed).where(t.observed.c.replica.in_(gone)))
        tx.run(delete(t.replicas).where(t.replicas.c.replica.in_(gone)))


def _remove_long_silent(tx: Transaction, now: datetime) -> None:
    _remove(tx, t.replicas.c.heartbeat_at <= now - timedelta(seconds=_KEPT_SECONDS))


def _record(row: Row[Any]) -> Replica:
    return Replica(**row._mapping)
