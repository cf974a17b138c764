"""Proxy variables, as on company machines: this machine's own calls and plain text never go through a proxy."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from sealserve.client import AsyncClient, Client, Tls
from sealserve.daemon.healthcheck import is_serving
from sealserve.engine.remote import RemoteEngine
from sealserve.errors import BadConfig, Unavailable
from sealserve.records.inference import EngineState
from sealserve.settings.telemetry import TelemetrySettings
from sealserve.telemetry import start_telemetry
from sealserve.wire.channels import open_channel
from tests.rpc.harness import ADMIN_SECRET, ENGINE_SECRET, served, until
from tests.telemetry.receiver import receiving

VARIABLES = ("http_proxy", "https_proxy", "grpc_proxy")


class Proxy:
    """Notes what it is asked, and refuses it."""

    def __init__(self) -> None:
        self.seen = b""

    async def refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.seen += await reader.read(2**16)
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        writer.close()


@asynccontextmanager
async def proxying(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    """Every proxy variable names the proxy inside the block, and nothing is exempt."""
    proxy = Proxy()
    server = await asyncio.start_server(proxy.refuse, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in VARIABLES:
        monkeypatch.setenv(name, url)
    async with server:
        yield proxy


async def test_calls_on_this_machine_pass_by_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(tmp_path) as here, proxying(monkeypatch) as proxy:
        for address in (here.address, here.address.replace("127.0.0.1", "localhost")):
            async with AsyncClient(address, token=ADMIN_SECRET, timeout_seconds=20) as client:
                assert (await client.tenant("acme")).tenant == "acme"
            assert (await asyncio.to_thread(_tenant_over_sync_client, address)) == "acme"
        remote = RemoteEngine(here.address, secret=ENGINE_SECRET, patience_seconds=0)
        assert (await remote.info()).state is EngineState.SERVING
        await remote.close()
        await until(lambda: asyncio.to_thread(is_serving, here.address, tls=None))
        assert proxy.seen == b""


def _tenant_over_sync_client(address: str) -> str:
    with Client(address, token=ADMIN_SECRET, timeout_seconds=20) as client:
        return client.tenant("acme").tenant


async def test_plain_text_to_another_machine_passes_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxying(monkeypatch) as proxy:
        client = AsyncClient("nowhere.invalid:7431", token=ADMIN_SECRET, insecure=True, timeout_seconds=10)
        async with client:
            with pytest.raises(Unavailable):
                await client.tenant("acme")
        assert proxy.seen == b""
        with pytest.raises(BadConfig, match="plain text"):
            AsyncClient("nowhere.invalid:7431", token=ADMIN_SECRET)


async def test_tls_to_another_machine_may_go_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy is asked for a tunnel and sees no more than the address."""
    async with proxying(monkeypatch) as proxy:
        channel = open_channel(grpc.aio, "nowhere.invalid:7431", tls=Tls(authority=b""), options=[])
        async with channel:
            call = channel.unary_unary("/any")
            with pytest.raises(grpc.RpcError):
                await call(b"", timeout=10, metadata=(("authorization", f"Bearer {ADMIN_SECRET}"),))
        assert proxy.seen.startswith(b"CONNECT nowhere.invalid:7431")
        assert ADMIN_SECRET.encode() not in proxy.seen


async def test_telemetry_on_this_machine_passes_by_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxying(monkeypatch) as proxy:
        with receiving() as receiver:
            telemetry = start_telemetry(TelemetrySettings(otlp_endpoint=receiver.endpoint), service="serve")
            with telemetry.span("a thing"):
                pass
            await asyncio.to_thread(telemetry.shutdown)
            assert receiver.span("a thing")
        assert proxy.seen == b""
