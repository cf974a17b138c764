"""Two replicas over one registry, each with an engine and a connection of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sealserve.engine.base_model import BaseShape
from sealserve.registry.registry import Registry
from tests.fakes import FakeEngine
from tests.serving.conftest import Publisher, Server, make_server


@asynccontextmanager
async def replica(name: str, directory: Path, shape: BaseShape) -> AsyncIterator[Server]:
    """Serve what the registry in `directory` desires, from a directory of the replica's own."""
    opened = Registry.open(f"sqlite:///{directory / 'registry.db'}", directory / "artifacts")
    engine, own = FakeEngine(base=shape), directory / name
    own.mkdir()
    await engine.start()
    server = make_server(opened, engine, own, replica=name)
    await server.activator.settle()
    yield server
    opened.close()


def observed(registry: Registry) -> dict[str, int]:
    return {one.replica: one.version for one in registry.versions.observed("acme")}


async def test_each_replica_follows_the_registry_and_says_how_far_it_is(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    async with replica("east", tmp_path, tiny_shape) as east, replica("west", tmp_path, tiny_shape) as west:
        publisher.publish("acme")
        for server in (east, west):
            await server.activator.settle()
        first = await east.ask()
        assert first.version == 1
        assert await west.ask() == first

        publisher.publish("acme")
        await west.activator.settle()
        assert ((await east.ask()).version, (await west.ask()).version) == (1, 2)
        assert observed(registry) == {"east": 1, "west": 2}
        await east.activator.settle()
        assert await east.ask() == await west.ask()
        assert observed(registry) == {"east": 2, "west": 2}

        loads = [set(server.engine.load_calls) for server in (east, west)]
        publisher.rollback("acme")
        for server in (east, west):
            await server.activator.settle()
            assert (await server.ask()).text == first.text
        assert [set(server.engine.load_calls) for server in (east, west)] == loads
        assert observed(registry) == {"east": 1, "west": 1}


@pytest.mark.usefixtures("registry")
async def test_replica_that_starts_late_answers_as_the_others_do(
    publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    async with replica("east", tmp_path, tiny_shape) as east:
        for _ in range(2):
            publisher.publish("acme")
            await east.activator.settle()
        async with replica("west", tmp_path, tiny_shape) as west:
            assert await west.ask() == await east.ask()
            assert len(west.engine.load_calls) == 1, "only what is desired"
