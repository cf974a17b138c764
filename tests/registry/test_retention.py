"""What the registry forgets after a time, and how little a sweep or a reader may cost the others."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text

from sealserve.records.documents import NewDocument
from sealserve.records.feedback import GivenAnswer, Opinion, Thumb
from sealserve.registry.registry import Registry
from sealserve.registry.sql.database import BATCH, WAL_BYTES, Database
from tests.registry.test_policy_decisions import HELD
from tests.registry.world import World

DAY = 86_400


def test_old_requests_and_decisions_go_and_younger_ones_stay(world: World) -> None:
    for request, days in (("old", 40), ("young", 0)):
        about = Opinion(answer_request=request, version=0, thumb=Thumb.UP, question="", answer="", correction="")
        world.registry.feedback.add("acme", about, actor="ann", request_id=request)
        world.registry.policy_decisions.keep(replace(HELD, ruling=request, decided_at=world.clock()))
        world.clock.advance(days * DAY)
    sweep = world.registry.sweep_rows
    assert sweep(request_days=0, decision_days=0) == 0
    assert sweep(request_days=30, decision_days=400) == 1
    assert [one.ruling for one in world.registry.policy_decisions.page()] == ["young", "old"]
    assert sweep(request_days=30, decision_days=30) == 1
    assert [one.ruling for one in world.registry.policy_decisions.page()] == ["young"]
    assert sweep(request_days=30, decision_days=30) == 0


def test_sweep_lets_others_write_in_between(tmp_path: Path) -> None:
    registry = Registry.open(f"sqlite:///{tmp_path / 'r.db'}", tmp_path / "artifacts")
    registry.tenants.create("acme", actor="ann")
    now = registry.audit.rows()[-1].at
    given = GivenAnswer(answer_request="r", tenant="acme", version=0, activation=0, asker="", answered_at=now)
    registry.answers.keep([replace(given, answer_request=f"r{n}") for n in range(2 * BATCH + 5)])
    deletes: list[int] = []
    event.listen(registry._database._engine, "after_cursor_execute", _note(deletes))
    assert registry.answers.drop(now) == 0
    assert registry.answers.drop(now + timedelta(seconds=1)) == 2 * BATCH + 5
    assert deletes == [0, BATCH, BATCH, 5]
    registry.close()


def _note(deletes: list[int]) -> Callable[..., None]:
    def note(connection: object, cursor: sqlite3.Cursor, statement: str, *_: object) -> None:
        if statement.startswith("DELETE"):
            deletes.append(cursor.rowcount)

    return note


def test_log_that_grew_under_a_long_reader_shrinks_again(tmp_path: Path) -> None:
    registry = Registry.open(f"sqlite:///{tmp_path / 'r.db'}", tmp_path / "artifacts")
    registry.tenants.create("acme", actor="ann")
    log = tmp_path / "r.db-wal"
    reader = sqlite3.connect(tmp_path / "r.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM documents").fetchone()
    numbers = iter(range(10_000))
    while log.stat().st_size < 2 * WAL_BYTES:
        _add(registry, next(numbers))
    registry._database.shrink_log()  # waits for nobody
    assert log.stat().st_size >= 2 * WAL_BYTES
    reader.close()
    _add(registry, next(numbers))
    _add(registry, next(numbers))
    assert log.stat().st_size <= WAL_BYTES
    registry._database.shrink_log()
    assert log.stat().st_size == 0
    registry.close()


def _add(registry: Registry, number: int) -> None:
    new = NewDocument(title=f"t{number}" * 100, text=f"{number}", source="r" * 1000, media_type="text/plain")
    registry.documents.add("acme", new, actor="ann")


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT state, count(*) FROM documents GROUP BY state", "ix_documents_state_tenant"),
        (
            "SELECT actor FROM audit WHERE tenant = 'acme' AND subject = 'tenants/acme/cycles/c'",
            "ix_audit_tenant_subject",
        ),
        ("SELECT request_id FROM requests WHERE created_at < '2026-01-01'", "ix_requests_created_at"),
        ("SELECT ruling FROM rulings WHERE decided_at < '2026-01-01'", "ix_rulings_decided_at"),
    ],
)
def test_reads_of_large_tables_use_their_index(tmp_path: Path, query: str, index: str) -> None:
    Registry.open(f"sqlite:///{tmp_path / 'r.db'}", tmp_path / "artifacts").close()
    database = Database(f"sqlite:///{tmp_path / 'r.db'}")
    with database.read() as tx:
        plan = tx.connection.execute(text(f"EXPLAIN QUERY PLAN {query}")).all()
    database.close()
    assert index in str(plan)
