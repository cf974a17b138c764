"""Two servers behind one address: when one goes away, its calls are answered by the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sealserve.client import AsyncClient
from sealserve.client.calls.core import routing
from sealserve.client.connection import ATTEMPTS, has_several
from sealserve.errors import Unavailable
from sealserve.records.inference import EngineState
from sealserve.rpc import open_calls
from sealserve.v1 import adapter_pb2, inference_pb2
from tests.rpc.harness import ADMIN_SECRET, Served, served, until


class Wire:
    """The way to a server, which can be cut as when its machine dies: nobody says goodbye."""

    def __init__(self, address: str) -> None:
        self.address = ""
        self._to = address
        self._ends: list[asyncio.StreamWriter] = []
        self._pumps: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def cut(self) -> None:
        self._server.close()
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._to.rpartition(":")
        try:
            there, back = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        self._ends += [writer, back]
        self._pumps += [asyncio.create_task(_pump(reader, back)), asyncio.create_task(_pump(there, writer))]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()


class Pair:
    """Two servers, and a client that knows both. The first one is reached over `wire`."""

    def __init__(self, first: Served, second: Served, client: AsyncClient, wire: Wire) -> None:
        self.first, self.second, self.client, self.wire = first, second, client, wire

    def asked(self) -> tuple[int, int]:
        return len(self.first.answers.keys), len(self.second.answers.keys)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
        both = [await stack.enter_async_context(served(tmp_path / name)) for name in ("one", "two")]
        wire = Wire(both[0].address)
        await wire.open()
        client = AsyncClient(f"ipv4:{wire.address},{both[1].address}", token=ADMIN_SECRET, insecure=True)
        yield Pair(both[0], both[1], await stack.enter_async_context(client), wire)
        await wire.cut()


async def test_calls_are_spread_over_both(pair: Pair) -> None:
    for _ in range(20):
        await pair.client.ask("acme", "What?")
    assert min(pair.asked()) >= 5


@pytest.mark.parametrize("way", ["stops", "dies"])
async def test_no_call_is_lost_when_one_server_goes_away(pair: Pair, way: str) -> None:
    async def asking(count: int) -> None:
        for _ in range(count):
            await pair.client.ask("acme", "What?")

    askers = [asyncio.create_task(asking(30)) for _ in range(8)]
    await until(lambda: min(pair.asked()) >= 10)
    await (pair.first.server.stop() if way == "stops" else pair.wire.cut())
    await asyncio.gather(*askers)
    assert (await pair.client.ask("acme", "And now?")).text


async def test_server_that_cannot_answer_now_is_left_out_until_it_can(pair: Pair) -> None:
    for _ in range(10):
        await pair.client.ask("acme", "What?")
    assert min(pair.asked()) >= 2
    pair.first.engine._state = EngineState.REBUILDING
    before, after = pair.asked()[0], -1
    while after != before:  # until the client has heard of it; what is refused before is asked of the other
        before = pair.asked()[0]
        for _ in range(10):
            await pair.client.ask("acme", "What?")
        after = pair.asked()[0]
    pair.first.engine._state = EngineState.SERVING

    async def is_asked_again() -> bool:
        await pair.client.ask("acme", "What?")
        return pair.asked()[0] > after

    await until(is_asked_again)


async def test_client_of_servers_without_health_watches_asks_them_all_the_same(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_calls, "MOST_STREAMS", 0)
    for _ in range(20):
        await pair.client.ask("acme", "What?")
    assert min(pair.asked()) >= 5


def test_only_clients_of_several_servers_watch_their_health() -> None:
    assert [has_several(one) for one in ("ipv4:a:1,b:1", "dns:///a:1", "a:1", "unix:/a", "ipv4:a:1")] == [
        True, True, False, False, False,
    ]  # fmt: skip


async def test_what_a_server_refuses_itself_is_not_asked_again(pair: Pair) -> None:
    for one in (pair.first, pair.second):
        one.answers.failure = Unavailable("the version that should answer is being loaded", retry_seconds=1)
    with pytest.raises(Unavailable, match="being loaded"):
        await pair.client.ask("acme", "What?")
    assert sum(pair.asked()) == 1
    assert ATTEMPTS > 1


def test_every_call_names_its_tenant_for_a_balancer() -> None:
    assert routing(inference_pb2.GenerateRequest(parent="tenants/acme")) == (("x-sealserve-tenant", "acme"),)
    assert routing(adapter_pb2.GetAdapterRequest(name="tenants/acme/adapters/v3")) == (("x-sealserve-tenant", "acme"),)
    assert routing(inference_pb2.GenerateRequest(parent="tenants/bäckerei")) == ()
    assert routing(inference_pb2.GetServerInfoRequest()) == ()
