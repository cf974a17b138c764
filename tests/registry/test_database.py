"""The databases under the registry: opened safely, and refusing with words that help."""

import inspect
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, text

from sealserve.errors import BadConfig, StorageFailed
from sealserve.records.documents import NewDocument
from sealserve.records.principals import Principal, Role
from sealserve.registry.registry import Registry
from sealserve.registry.sql import database as database_module
from sealserve.registry.sql import schema
from sealserve.registry.sql.database import Database
from sealserve.registry.sql.tables import metadata
from tests.registry.postgres import NEEDS_SERVER, Server
from tests.registry.world import World


@pytest.fixture
def registries_start_migrated() -> None:
    """Here every registry runs its migrations."""


@pytest.mark.parametrize(
    "bad", ["", "not a url", "mysql://u:secret@h/d", "nosuch://h/d", "sqlite://", "sqlite:///:memory:"]
)
def test_url_that_cannot_be_used_is_refused_by_name(bad: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"registry\.url") as refused:
        Registry.open(bad, tmp_path)
    assert "secret" not in refused.value.message


def test_password_is_never_in_a_message() -> None:
    database = Database("postgresql://ann:secret@127.0.0.1:1/none", busy_seconds=1)
    with pytest.raises(StorageFailed, match="cannot be reached") as refused, database.read():
        pytest.fail("connected to nothing")
    assert "secret" not in refused.value.message


def test_sqlite_runs_with_its_safe_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_prepare_sqlite", inspect.unwrap(database_module._prepare_sqlite))
    Registry.open(f"sqlite:///{tmp_path / 'r.db'}", tmp_path / "artifacts").close()
    database = Database(f"sqlite:///{tmp_path / 'r.db'}")
    with database.read() as tx:
        found = [tx.connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")]
        found.append(tx.connection.execute(text("PRAGMA foreign_keys")).scalar())
    database.close()
    assert found == ["wal", 2, 1]


def test_database_of_the_newest_schema_is_opened_without_a_look_at_the_migrations(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(schema, "_upgrade", fail)
    Registry.open(world.url, world.directory / "artifacts").close()
    with pytest.raises(AssertionError):
        Registry.open(f"sqlite:///{world.directory / 'new.db'}", world.directory / "artifacts")


def test_last_file_of_migrations_is_named_after_the_last_revision() -> None:
    script = ScriptDirectory(str(Path(schema.__file__).parent.parent / "migrations"))
    assert schema.newest() == script.get_current_head()


def test_migrations_make_the_tables_that_the_code_knows(world: World) -> None:
    with world.registry._database.write() as tx:
        assert compare_metadata(MigrationContext.configure(tx.connection), metadata) == []


def test_registry_opened_again_holds_what_it_held(world: World) -> None:
    version = world.version()
    again = Registry.open(world.url, world.directory / "artifacts", clock=world.clock)
    assert again.versions.get("acme", 1) == version
    assert again.tenants.get("acme") == world.registry.tenants.get("acme")
    again.close()


def test_many_may_open_an_empty_database_at_once(tmp_path: Path) -> None:
    assert _seen_by_all(f"sqlite:///{tmp_path / 'new' / 'r.db'}", tmp_path) == ["acme"] * 4


@NEEDS_SERVER
@pytest.mark.pg
def test_many_may_open_an_empty_server_database_at_once(postgres: Server, tmp_path: Path) -> None:
    assert _seen_by_all(postgres.new_database(is_migrated=False), tmp_path) == ["acme"] * 4


def _seen_by_all(url: str, directory: Path) -> list[str]:
    with ThreadPoolExecutor(4) as pool:
        registries = list(pool.map(lambda _: Registry.open(url, directory / "artifacts"), range(4)))
    registries[0].tenants.create("acme", actor="ann")
    seen = [registry.tenants.get("acme").tenant for registry in registries]
    for registry in registries:
        registry.close()
    return seen


def test_database_of_a_newer_sealserve_is_refused(world: World) -> None:
    with world.registry._database.write() as tx:
        present = tx.connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(StorageFailed, match="newer sealserve"):
            Registry.open(world.url, world.directory / "artifacts")
    finally:
        with world.registry._database.write() as tx:
            tx.connection.execute(text("UPDATE alembic_version SET version_num = :present"), {"present": present})


def test_writer_that_waits_too_long_is_told_so_and_writes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy_seconds = 0.1 if world.url.startswith("sqlite") else 30  # a busy machine is silent for longer than 0.1 s
    impatient = Registry.open(world.url, world.directory / "artifacts", busy_seconds=busy_seconds)
    monkeypatch.setattr(impatient._database, "_patience_ms", "100")
    with world.registry._database.write():
        with pytest.raises(StorageFailed, match="another writer"):
            impatient.tenants.create("initech", actor="ann")
        assert len(impatient.tenants.page().items) == 2
    assert impatient.tenants.create("initech", actor="ann").tenant == "initech"
    impatient.close()


def test_transaction_that_fails_leaves_nothing(world: World) -> None:
    before = world.registry.audit.head()
    with pytest.raises(ZeroDivisionError):
        _delete_and_fail(world.registry._database)
    assert len(world.registry.tenants.page().items) == 2
    assert world.registry.audit.head() == before


def _delete_and_fail(database: Database) -> None:
    with database.write() as tx:
        tx.connection.execute(text("DELETE FROM tenants"))
        raise ZeroDivisionError


def _delete_and_fall_silent(database: Database, until: Callable[[], object]) -> None:
    with database.write() as tx:
        tx.connection.execute(text("DELETE FROM tenants"))
        until()  # waits for its turn
        tx.connection.execute(text("DELETE FROM tenants"))


def test_full_disk_refuses_the_document_and_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    registry = Registry.open(f"sqlite:///{tmp_path / 'r.db'}", tmp_path / "artifacts")
    registry.tenants.create("acme", actor="ann")
    _limit_pages(registry, headroom=4)
    kept: list[str] = []
    with pytest.raises(StorageFailed, match="disk is full"):
        _fill(registry, kept)
    assert kept
    assert [document.document for document in registry.documents.page("acme", page_size=1000).items] == kept
    assert registry.audit.verify() == len(kept) + 1
    registry.close()


def _fill(registry: Registry, kept: list[str]) -> None:
    for number in range(200):
        document, _ = registry.documents.add(
            "acme", NewDocument(title="t" * 900, text=f"{number}", source="rpc", media_type="text/plain"), actor="ann"
        )
        kept.append(document.document)


def _limit_pages(registry: Registry, *, headroom: int) -> None:
    engine = registry._database._engine

    def limit(connection: Any, _record: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + headroom}")

    engine.dispose()
    event.listen(engine, "connect", limit)


def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageFailed, match="damaged"):
        Registry.open(f"sqlite:///{tmp_path / 'r.db'}", tmp_path / "artifacts")


def test_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFailed, match="directory"):
        Registry.open(f"sqlite:///{tmp_path / 'file' / 'r.db'}", tmp_path / "artifacts")


def test_table_that_vanished_is_our_fault_in_plain_words(tmp_path: Path) -> None:
    registry = Registry.open(f"sqlite:///{tmp_path / 'r.db'}", tmp_path / "artifacts")
    with sqlite3.connect(tmp_path / "r.db") as connection:
        connection.execute("DROP TABLE observed")
    registry.tenants.create("acme", actor="ann")
    with pytest.raises(StorageFailed) as refused:
        registry.versions.observed("acme")
    assert "SELECT" not in refused.value.message
    registry.close()


def test_file_system_without_shared_memory_is_refused(tmp_path: Path) -> None:
    database = Database(f"sqlite:///file:{tmp_path / 'r.db'}?vfs=unix-none&uri=true")
    with pytest.raises(StorageFailed, match="local disk"):
        database.use_write_ahead_log()
    database.close()


@NEEDS_SERVER
@pytest.mark.pg
def test_writer_that_falls_silent_is_rolled_back_and_nobody_waits_for_it(postgres: Server, tmp_path: Path) -> None:
    url = postgres.new_database()
    stopped = Registry.open(url, tmp_path / "artifacts", busy_seconds=0.3)
    other = Registry.open(url, tmp_path / "artifacts")
    other.tenants.create("acme", actor="ann")
    with pytest.raises(StorageFailed, match="silent"):
        _delete_and_fall_silent(stopped._database, lambda: other.tenants.create("globex", actor="ann"))
    assert len(stopped.tenants.page().items) == 2
    for registry in (stopped, other):
        registry.close()


@NEEDS_SERVER
@pytest.mark.pg
def test_tokens_that_expire_are_found_by_the_servers_clock(postgres: Server, tmp_path: Path) -> None:
    registry = Registry.open(postgres.new_database(), tmp_path / "artifacts")
    ann = Principal(name="ann", role=Role.ADMIN, tenants=None)
    _, secret = registry.tokens.create(ann, actor="test", expires_days=1)
    assert registry.tokens.find(secret).principal.name == "ann"
    registry.close()


@NEEDS_SERVER
@pytest.mark.pg
def test_machine_whose_clock_runs_ahead_takes_no_live_lease(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases are timed by the server, whatever the machines of `learn` think the time is."""
    ours, theirs = (Registry.open(url, tmp_path / "artifacts") for url in [postgres.new_database()] * 2)
    ours.tenants.create("acme", actor="ann")
    new = NewDocument(title="Lamps", text="Lamps go back.", source="rpc", media_type="text/plain")
    ours.documents.add("acme", new, actor="ann")
    ours.cycles.start("acme", trigger="schedule", actor="clock")
    claim = ours.cycles.claim(worker="a", lease_seconds=30)
    assert claim is not None
    assert ours.hold("clock", holder="a", lease_seconds=30)
    monkeypatch.setattr("sealserve.registry.sql.database.utc_now", lambda: datetime.now(UTC) + timedelta(hours=1))
    assert theirs.cycles.claim(worker="b", lease_seconds=30) is None
    assert not theirs.hold("clock", holder="b", lease_seconds=30)
    assert ours.cycles.renew(claim, lease_seconds=30).fence == claim.fence
    written = theirs.audit.rows()[-1].at
    assert abs((written - datetime.now(UTC)).total_seconds()) < 600
    with theirs._database.read() as tx:
        assert abs((tx.now - datetime.now(UTC)).total_seconds()) < 600
        assert tx.now == tx.now
    assert -3700 < theirs.seconds_ahead() < -3500
    for registry in (ours, theirs):
        registry.close()


@NEEDS_SERVER
@pytest.mark.pg
def test_server_that_restarts_is_found_again(postgres: Server, tmp_path: Path) -> None:
    registry = Registry.open(postgres.new_database(), tmp_path / "artifacts")
    registry.tenants.create("acme", actor="ann")
    with postgres.stopped(), pytest.raises(StorageFailed, match="cannot be reached"):
        registry.tenants.get("acme")
    assert registry.tenants.get("acme").tenant == "acme"
    assert registry.tenants.create("globex", actor="ann").tenant == "globex"
    registry.close()
