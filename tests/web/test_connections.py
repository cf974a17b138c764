"""How many connections an HTTP listener keeps, in all and from one address, and for how long a silent one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sealserve.settings.listener import HttpSettings
from sealserve.web import listener
from sealserve.web.listener import HttpListener


async def _hello(_: Request) -> Response:
    return Response("hello")


@asynccontextmanager
async def listening(*, max_connections: int) -> AsyncIterator[int]:
    settings = HttpSettings(address="127.0.0.1:0", max_connections=max_connections)
    here = HttpListener(Starlette(routes=[Route("/", _hello)]), settings, drain_seconds=1)
    port = await here.start()
    try:
        yield port
    finally:
        await here.stop()


async def is_closed(reader: asyncio.StreamReader) -> bool:
    with suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), 20) == b""
    return True


async def test_one_address_gets_half_of_the_connections_and_those_that_are_open_are_answered() -> None:
    async with listening(max_connections=6) as port, httpx.AsyncClient(trust_env=False) as http:
        url = f"http://127.0.0.1:{port}/"
        assert (await http.get(url)).text == "hello"
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        further, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await is_closed(further)
        assert (await http.get(url)).text == "hello"
        other, _ = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(other.read(), 0.1)
        for _, writer in held:
            writer.close()


async def test_all_addresses_together_are_bounded() -> None:
    async with listening(max_connections=4) as port:
        held = [
            await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.0.{last}", 0)) for last in (2, 2, 3, 3)
        ]
        further, _ = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.4", 0))
        assert await is_closed(further)
        for _, writer in held:
            writer.close()


async def test_connection_that_brings_no_request_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "REQUEST_SECONDS", 0.05)
    async with listening(max_connections=4) as port:
        silent, _ = await asyncio.open_connection("127.0.0.1", port)
        slow, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        assert await is_closed(silent)
        assert await is_closed(slow)
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://127.0.0.1:{port}/")).text == "hello"
