"""Which versions may not answer any more, of those that a replica still gives requests to.

A version is revoked when it is quarantined (a bad version, or one that learned a document since unlearned), or when
the tenant was rolled back from it: the activation that a replica follows is no longer one of those that a rollback
could reach. A promotion revokes nothing: the earlier version goes on answering until the new one is loaded.
"""

from collections.abc import Iterable

from sqlalchemy import select

from sealserve.records.versions import BASE_VERSION, Answering, VersionState
from sealserve.registry import tenants
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Transaction


def revoked(tx: Transaction, answering: Iterable[Answering]) -> dict[str, frozenset[int]]:
    """Return the revoked versions, by tenant; neither the base model nor the desired version is ever one.

    Raises: NotFound (tenant).
    """
    found = {each.tenant: _revoked(tx, each) for each in answering}
    return {tenant: versions for tenant, versions in found.items() if versions}


def _revoked(tx: Transaction, answering: Answering) -> frozenset[int]:
    owner = tenants.get(tx, answering.tenant)
    asked = answering.versions - {BASE_VERSION, owner.desired_version}
    if not asked or _is_rolled_back(tx, answering, asked, present=owner.activation):
        return asked
    own = t.versions.c.tenant == answering.tenant, t.versions.c.version.in_(asked)
    rows = tx.rows(select(t.versions.c.version).where(*own, t.versions.c.state != VersionState.READY))
    return frozenset(row.version for row in rows)


def _is_rolled_back(tx: Transaction, answering: Answering, asked: frozenset[int], *, present: int) -> bool:
    """Walk down from the present activation, as rollbacks do: is the one that the replica follows, or a copy, there?"""
    table = t.activations
    later = table.c.tenant == answering.tenant, table.c.activation > answering.activation
    rows = {row.activation: row for row in tx.rows(select(table).where(*later))}
    number: int | None = present
    while number is not None and (row := rows.get(number)) is not None:
        if row.version in asked:
            return False
        number = row.below
    return number != answering.activation
