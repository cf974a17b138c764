"""Migrations of data: rows that an earlier sealserve wrote, read by this one."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import text

from sealserve.records.documents import DocumentState
from sealserve.registry.registry import Registry
from sealserve.registry.sql import schema
from sealserve.registry.sql.database import Database
from tests.registry.postgres import NEEDS_SERVER

_TENANT = """
INSERT INTO tenants (tenant, display_name, etag, desired_version, activation, newest_version, created_at)
VALUES ('acme', '', 'e', 0, 0, 0, '2026-01-02 00:00:00')
"""
_DOCUMENT = """
INSERT INTO documents
    (tenant, document, digest, contents, title, source, media_type, size_bytes, state, reason, created_at)
VALUES ('acme', :name, :name, 'x', 't', 's', 'm', 1, :state, :reason, '2026-01-02 00:00:00')
"""

_CYCLE = """
INSERT INTO cycles (cycle, tenant, state, trigger, reason, attempts, fence, worker, created_at, updated_at)
VALUES ('c', 'acme', 'promoted', 'rpc', '', 1, 1, '', '2026-01-02 00:00:00', '2026-01-02 00:00:00')
"""
_QUIZ = """
INSERT INTO quiz (cycle, item, tenant, document, question, answer, split)
VALUES ('c', 'i', 'acme', 'a', 'q?', 'a', 'confirm')
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=[pytest.mark.pg, NEEDS_SERVER])])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Give the URL of an empty database."""
    if request.param == "postgres":
        return partial(request.getfixturevalue("postgres").new_database, is_migrated=False)
    return lambda: f"sqlite:///{tmp_path / 'r.db'}"


def _upgrade(database: Database, revision: str) -> None:
    with database.write() as tx:
        config = Config()
        config.set_main_option("script_location", str(Path(schema.__file__).parent.parent / "migrations"))
        config.attributes["connection"] = tx.connection
        command.upgrade(config, revision)


def test_held_documents_get_their_own_state(new_url: Callable[[], str], tmp_path: Path) -> None:
    url = new_url()
    database = Database(url)
    _upgrade(database, "0010")
    reasons = {"a": "HELD: ingest.flood: too many", "b": "DENIED: ingest.secret", "c": "held: BINARY", "d": "HELD: x"}
    states = {"a": "quarantined", "b": "quarantined", "c": "quarantined", "d": "set_aside"}
    with database.write() as tx:
        tx.connection.execute(text(_TENANT))
        for name, reason in reasons.items():
            tx.connection.execute(text(_DOCUMENT), {"name": name, "state": states[name], "reason": reason})
    database.close()
    registry = Registry.open(url, tmp_path / "artifacts")
    found = {one.document: (one.state, one.reason) for one in registry.documents.page("acme").items}
    registry.close()
    assert found == {
        "a": (DocumentState.HELD, "ingest.flood: too many"),
        "b": (DocumentState.QUARANTINED, "DENIED: ingest.secret"),
        "c": (DocumentState.QUARANTINED, "held: BINARY"),
        "d": (DocumentState.SET_ASIDE, "HELD: x"),
    }


def test_earlier_questions_ask_about_something_of_their_own(new_url: Callable[[], str], tmp_path: Path) -> None:
    url = new_url()
    database = Database(url)
    _upgrade(database, "0011")
    with database.write() as tx:
        tx.connection.execute(text(_TENANT))
        tx.connection.execute(text(_DOCUMENT), {"name": "a", "state": "learned", "reason": ""})
        tx.connection.execute(text(_CYCLE))
        tx.connection.execute(text(_QUIZ))
    database.close()
    registry = Registry.open(url, tmp_path / "artifacts")
    found = registry.cycles.quiz("c")
    registry.close()
    assert [(item.question, item.fact) for item in found] == [("q?", "")]


def test_sets_and_suites_there_are_get_their_sizes(new_url: Callable[[], str], tmp_path: Path) -> None:
    url = new_url()
    database = Database(url)
    _upgrade(database, "0012")
    items = '[{"question": "a?", "answer": "b"}, {"question": "c?", "answer": "d"}]'
    with database.write() as tx:
        tx.connection.execute(text(_TENANT))
        for table, version in (("evaluation_sets", "revision"), ("canary_suites", "version")):
            statement = (
                f"INSERT INTO {table} (tenant, name, {version}, items, digest, actor, created_at) "
                "VALUES ('acme', 'days', 1, :items, 'd', 'ann', '2026-01-02 00:00:00')"
            )
            tx.connection.execute(text(statement), {"items": items})
    database.close()
    registry = Registry.open(url, tmp_path / "artifacts")
    assert [one.item_count for one in registry.question_sets.page("acme").items] == [2]
    assert [one.item_count for one in registry.canary_suites.page("acme").items] == [2]
    with registry._database.read() as tx:
        sizes = [row[0] for row in tx.rows(text("SELECT size_bytes FROM evaluation_sets"))]
    registry.close()
    assert sizes == [len(items)]
