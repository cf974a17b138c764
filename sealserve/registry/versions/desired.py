"""What should answer each tenant, read by change: a replica asks for what is new, never for all tenants.

Every change of a tenant's pointer, of its second version, or of one of its versions' right to answer gives the tenant
the next number. Numbers are given under the registry's one writer lock, which is held to the end of the transaction,
so that they become visible in their order: whoever has seen a number has seen all smaller ones. A tenant has only its
newest number; what happened in between does not matter to a replica.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select

from sealserve.records.rollouts import Desired
from sealserve.registry.rollouts.rollouts import find_standbys
from sealserve.registry.sql.database import Database, Transaction
from sealserve.registry.sql.tables import tenants

_COLUMNS = (tenants.c.tenant, tenants.c.desired_version, tenants.c.activation, tenants.c.changed)


class DesiredVersions:
    """What should answer each tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, names: Sequence[str]) -> dict[str, Desired]:
        """Return what should answer these tenants; names of no tenant are left out."""
        with self._database.read() as tx:
            return {
                one.tenant: one for one in _records(tx, tx.rows(select(*_COLUMNS).where(tenants.c.tenant.in_(names))))
            }

    def since(self, number: int, *, limit: int) -> tuple[Desired, ...]:
        """Return the tenants that changed after `number`, at most `limit`, in the order of their changes."""
        query = select(*_COLUMNS).where(tenants.c.changed > number).order_by(tenants.c.changed).limit(limit)
        with self._database.read() as tx:
            return _records(tx, tx.rows(query))

    def newest(self, *, limit: int) -> tuple[Desired, ...]:
        """Return the tenants that changed last, newest first."""
        query = select(*_COLUMNS).where(tenants.c.changed > 0).order_by(tenants.c.changed.desc()).limit(limit)
        with self._database.read() as tx:
            return _records(tx, tx.rows(query))

    def newest_number(self) -> int:
        """Return the number of the last change; 0 before the first."""
        with self._database.read() as tx:
            row = tx.row(select(func.coalesce(func.max(tenants.c.changed), 0).label("number")))
            return int(row.number) if row is not None else 0


def _records(tx: Transaction, rows: Sequence[Row[Any]]) -> tuple[Desired, ...]:
    standbys = find_standbys(tx, among=[row.tenant for row in rows]) if rows else {}
    return tuple(
        Desired(
            tenant=row.tenant,
            version=row.desired_version,
            activation=row.activation,
            changed=row.changed,
            standby=standbys.get(row.tenant),
        )
        for row in rows
    )
