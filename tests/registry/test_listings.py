"""A listing of sets and suites reads none of their items, which may be megabytes."""

import pytest
from sqlalchemy import Table, select, text

from sealserve.registry.evaluation.room import without_items
from sealserve.registry.sql.database import Database
from sealserve.registry.sql.evaluation_tables import canary_suites, evaluation_sets


@pytest.mark.parametrize("table", [canary_suites, evaluation_sets], ids=lambda table: table.name)
def test_listing_is_read_from_an_index_alone(database: Database, table: Table) -> None:
    if not database.is_sqlite:
        pytest.skip("PostgreSQL keeps long values apart")
    query = select(*without_items(table)).where(table.c.tenant == "acme").order_by(table.c.sequence.desc())
    with database.read() as tx:
        compiled = query.compile(tx.connection, compile_kwargs={"literal_binds": True})
        plan = " ".join(row.detail for row in tx.rows(text(f"EXPLAIN QUERY PLAN {compiled}")))
    assert "COVERING INDEX" in plan
    assert "TEMP B-TREE" not in plan
