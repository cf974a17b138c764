"""Which versions may not answer any more, of those that a replica still gives requests to.

A version is revoked when it is quarantined (a bad version, or one that learned a document since unlearned), or when
the tenant was rolled back from it: the activation that a replica follows is no longer one of those that a rollback
could reach. A promotion revokes nothing: the earlier version goes on answering until the new one is loaded.
"""

from collections.abc import Iterable

from sqlalchemy import select

from sealserve.errors import FailedPrecondition
from sealserve.records.versions import BASE_VERSION, AdapterVersion, Answering, VersionState
from sealserve.registry import tenants
from sealserve.registry.sql import tables as t
from sealserve.registry.sql.database import Transaction
from sealserve.registry.versions import held, version_rows


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


def answerable(tx: Transaction, tenant: str, *, most: int) -> tuple[int, ...]:
    """Return the versions that a request may name, newest first, of the newest `most`. Raises: NotFound (tenant)."""
    left = _left(tx, tenant)
    page = version_rows.pages(tx, tenant, page_size=most, page_token="")
    unreleased = held.unreleased(tx, tenant)
    return tuple(
        each.version
        for each in page.items
        if each.state is VersionState.READY and each.version not in left and each.version not in unreleased
    )


def require_answerable(tx: Transaction, tenant: str, version: int) -> AdapterVersion:
    """Return the version if a request may name it: ready, released by people if it was held, not rolled back from.

    Raises: NotFound, FailedPrecondition.
    """
    version_rows.require_ready(tx, tenant, version)
    if version in _left(tx, tenant):
        name = version_rows.resource(tenant, version)
        raise FailedPrecondition(f"{name} was taken back and does not answer", reason="VERSION_REVOKED")
    held.require_released(tx, tenant, version)
    return version_rows.get(tx, tenant, version)


def _left(tx: Transaction, tenant: str) -> frozenset[int]:
    """Return the versions that were active once and that no rollback from the present activation could reach."""
    table = t.activations
    rows = tx.rows(select(table.c.activation, table.c.version, table.c.below).where(table.c.tenant == tenant))
    by_number = {row.activation: row for row in rows}
    reached: set[int] = set()
    number: int | None = tenants.get(tx, tenant).activation
    while number is not None and (row := by_number.get(number)) is not None:
        reached.add(row.version)
        number = row.below
    return frozenset(row.version for row in rows) - reached
