"""`serve` as it is wired, with its HTTP listener on a free port, over the fake engine."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from sealserve.client import AsyncClient
from sealserve.daemon import serve
from sealserve.daemon.local import free_address
from sealserve.daemon.serve import ServeParts
from sealserve.local_tokens import admin_secret
from sealserve.records.principals import Principal, Role
from sealserve.rpc import server
from sealserve.settings.settings import load_settings
from tests.fakes import FakeEngine
from tests.rpc.harness import until

QUIET: dict[str, Any] = {"telemetry.log_level": "error", "serve.poll_seconds": 0.02, "serve.drain_seconds": 1}


@dataclass(kw_only=True)
class Gateway:
    """What a test can reach."""

    url: str
    grpc_address: str
    parts: ServeParts
    engine: FakeEngine
    admin: str
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, *tenants: str, role: Role = Role.VIEWER, name: str = "") -> str:
        """Return the secret of a token that is bound to `tenants`; to none if there are none. Made when first asked."""
        name = name or f"{role}-{'-'.join(tenants) or 'all'}"
        if name not in self.tokens:
            principal = Principal(name=name, role=role, tenants=tenants or None)
            self.tokens[name] = self.parts.registry.tokens.create(principal, actor="test")[1]
        return self.tokens[name]

    def http(self, token: str = "", **options: Any) -> httpx.AsyncClient:
        """Return a client that shows `token`, the administrator's if none is given."""
        headers = {"authorization": f"Bearer {token or self.admin}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False, **options)

    def openai(self, token: str = "") -> Any:
        """Return the stock client of OpenAI; its types would have every literal cast."""
        return openai.AsyncOpenAI(
            base_url=f"{self.url}/v1",
            api_key=token or self.admin,
            max_retries=0,
            timeout=30,
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False, verify=_certificates()),
        )

    def grpc(self, token: str = "") -> AsyncClient:
        """Return a client over gRPC."""
        return AsyncClient(self.grpc_address, token=token or self.admin, timeout_seconds=30)


@cache
def _certificates() -> ssl.SSLContext:
    """Read once: that takes longer than most tests."""
    return ssl.create_default_context()


@asynccontextmanager
async def gateway(directory: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[Gateway]:
    """Serve the tenants acme and globex."""
    engines: list[FakeEngine] = []

    def make(*_: object, **__: object) -> FakeEngine:
        engines.append(FakeEngine(max_rank=16))
        return engines[-1]

    monkeypatch.setattr(serve, "VllmEngine", make)
    monkeypatch.setattr(server, "HEALTH_SECONDS", 0.01)  # nobody waits for the second look
    address = free_address()
    overrides = {
        "data_directory": directory / "data",
        "serve.address": address,
        "http.address": "127.0.0.1:0",
        **QUIET,
        **{key.replace("__", "."): value for key, value in settings.items()},
    }
    async with serve.serving(load_settings(overrides=overrides)) as parts:
        for tenant in ("acme", "globex"):
            await asyncio.to_thread(parts.registry.tenants.create, tenant, actor="ann")
        await parts.activator.settle()
        running = asyncio.create_task(parts.run(engine_only=False))
        try:
            here = Gateway(
                url=f"http://127.0.0.1:{parts.http_port}",
                grpc_address=address,
                parts=parts,
                engine=engines[0],
                admin=admin_secret(directory / "data", parts.registry.tokens.enrol),
            )
            async with here.http() as http:

                async def is_serving() -> bool:
                    return (await http.get("/health")).status_code == 200

                await until(is_serving)
            yield here
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
