"""The audit chain: every change leaves a row, and no row can be touched unseen."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from sqlalchemy import delete, insert, select, update

from sealserve.errors import CorruptArtifact, InvalidArgument
from sealserve.registry import audit
from sealserve.registry.sql.database import Transaction
from sealserve.registry.sql.tables import audit as rows
from tests.registry.world import World


def _changed(row: int, **values: object) -> Callable[[Transaction], None]:
    def tamper(tx: Transaction) -> None:
        tx.connection.execute(update(rows).where(rows.c.sequence == row).values(**values))

    return tamper


def _removed(row: int) -> Callable[[Transaction], None]:
    def tamper(tx: Transaction) -> None:
        tx.connection.execute(delete(rows).where(rows.c.sequence == row))

    return tamper


def _forged(row: int) -> Callable[[Transaction], None]:
    """A row with new contents and a hash that fits them, as somebody would write who knows the scheme."""

    def tamper(tx: Transaction) -> None:
        found = tx.connection.execute(select(rows).where(rows.c.sequence == row)).one()
        names = ("sequence", "at", "action", "tenant", "subject", "details")
        contents = {name: getattr(found, name) for name in names} | {"actor": "mallory"}
        sealed = audit.seal(found.previous_hash, contents)
        tx.connection.execute(update(rows).where(rows.c.sequence == row).values(actor="mallory", hash=sealed))

    return tamper


def test_chain_grows_with_every_change(world: World) -> None:
    world.version()
    world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="wrong")
    found = world.registry.audit.rows()
    assert [row.action for row in found] == [
        "tenant.create", "tenant.create", "document.admit", "cycle.start", "adapter.publish", "adapter.promote",
        "cycle.finish", "adapter.rollback",
    ]  # fmt: skip
    assert [row.sequence for row in found] == list(range(1, 9))
    assert found[0].previous_hash == audit.NO_HASH
    assert all(later.previous_hash == earlier.hash for earlier, later in pairwise(found))
    assert world.registry.audit.verify() == 8
    assert world.registry.audit.head() == (8, found[-1].hash)


@pytest.mark.parametrize(
    ("tamper", "row"),
    [
        (_changed(3, actor="mallory"), 3),
        (_changed(3, details={"digest": "0" * 64}), 3),
        (_changed(4, previous_hash="0" * 64), 4),
        (_changed(4, tenant="globex"), 4),
        (_forged(3), 4),
        (_removed(3), 3),
        (_removed(1), 1),
        (_removed(7), 7),
        (_forged(7), 8),
    ],
)
def test_row_that_was_touched_is_named(world: World, tamper: Callable[[Transaction], None], row: int) -> None:
    world.version()
    assert world.registry.audit.verify() == 7
    with world.registry._database.write() as tx:
        tamper(tx)
    with pytest.raises(CorruptArtifact, match=f"row {row}"):
        world.registry.audit.verify()


def test_row_slipped_in_at_the_end_is_named(world: World) -> None:
    world.version()
    with world.registry._database.write() as tx:
        last = tx.connection.execute(select(rows).where(rows.c.sequence == 7)).one()
        contents = {**last._mapping, "sequence": 8, "previous_hash": last.hash}
        names = ("sequence", "at", "actor", "action", "tenant", "subject", "details")
        contents["hash"] = audit.seal(last.hash, {name: contents[name] for name in names})
        tx.connection.execute(insert(rows).values(**contents))
    with pytest.raises(CorruptArtifact, match="row 9"):
        world.registry.audit.verify()


def test_rows_are_given_by_tenant_and_from_a_place_on(world: World) -> None:
    world.version()
    world.version("globex")
    mine = world.registry.audit.rows(tenant="acme")
    assert {row.tenant for row in mine} == {"acme"}
    later = world.registry.audit.rows(tenant="acme", after=mine[1].sequence, limit=2)
    assert later == mine[2:4]


def test_no_text_of_a_document_is_in_the_chain(world: World) -> None:
    world.document(text="Sentinel sentence.", title="Sentinel title")
    world.version()
    assert "Sentinel" not in repr(world.registry.audit.rows())


def test_actor_that_could_break_a_log_line_is_refused(world: World) -> None:
    head = world.registry.audit.head()
    with pytest.raises(InvalidArgument) as refused:
        world.registry.tenants.create("initech", actor="ann\nroot")
    assert refused.value.field == "actor"
    assert world.registry.audit.head() == head
