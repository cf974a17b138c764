"""Every registry test that asks for `world` runs twice: on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sealserve.registry.registry import Registry
from tests.registry.postgres import Server, binaries, running_server
from tests.registry.world import FakeClock, World

_NEEDS_SERVER = pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server binaries on this machine")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for the whole test session."""
    with running_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.pg, _NEEDS_SERVER])])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without rows."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.emptied_database()


@pytest.fixture
def clock() -> FakeClock:
    """The time that the registry sees."""
    return FakeClock()


@pytest.fixture
def world(url: str, tmp_path: Path, clock: FakeClock) -> Iterator[World]:
    """An open registry with the tenants acme and globex."""
    registry = Registry.open(url, tmp_path / "artifacts", clock=clock, busy_seconds=2)
    for tenant in ("acme", "globex"):
        registry.create_tenant(tenant, actor="ann")
    yield World(registry=registry, clock=clock, directory=tmp_path, url=url)
    registry.close()
