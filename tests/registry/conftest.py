"""Every registry test that asks for `world` runs twice: on SQLite and on PostgreSQL.

One database of each kind serves the whole session and is emptied between tests.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from sealserve.registry.artifacts.artifact_store import ArtifactStore
from sealserve.registry.registry import Registry
from sealserve.registry.sql import schema
from sealserve.registry.sql.database import Database
from sealserve.registry.sql.tables import metadata
from tests.registry.postgres import NEEDS_SERVER, Server
from tests.registry.world import FakeClock, World


@pytest.fixture(scope="session")
def migrated() -> Iterator[Callable[[str], Database]]:
    """Gives the migrated database at a URL, the same one each time."""
    opened = []

    @cache
    def open_once(url: str) -> Database:
        database = Database(url, busy_seconds=30)
        schema.migrate(database)
        opened.append(database)
        return database

    yield open_once
    for database in opened:
        database.close()


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of the session's SQLite database."""
    return f"sqlite:///{tmp_path_factory.mktemp('registry') / 'registry.db'}"


@pytest.fixture(scope="session")
def postgres_url(postgres: Server) -> str:
    """The URL of the session's PostgreSQL database."""
    return postgres.new_database()


@pytest.fixture(params=["sqlite_url", pytest.param("postgres_url", marks=[pytest.mark.pg, NEEDS_SERVER])])
def database(request: pytest.FixtureRequest, migrated: Callable[[str], Database]) -> Database:
    """A migrated database without rows."""
    found = migrated(request.getfixturevalue(request.param))
    with found.write() as tx:
        for table in reversed(metadata.sorted_tables):
            tx.run(table.delete())
    return found


@pytest.fixture
def clock() -> FakeClock:
    """The time that the registry sees."""
    return FakeClock()


@pytest.fixture
def world(database: Database, tmp_path: Path, clock: FakeClock) -> World:
    """An open registry with the tenants acme and globex."""
    database.clock = clock
    registry = Registry(database, ArtifactStore(tmp_path / "artifacts"))
    for tenant in ("acme", "globex"):
        registry.tenants.create(tenant, actor="ann")
    url = database.url.render_as_string(hide_password=False)
    return World(registry=registry, clock=clock, directory=tmp_path, url=url)
