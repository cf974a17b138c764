"""The routes alone, called without a network: the fake engine, no registry, everybody may call."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
from starlette.routing import BaseRoute

from sealserve.gateway.routes import GatewayParts, make_gateway
from sealserve.rpc.authorisation.access import Access
from sealserve.rpc.authorisation.known_tokens import KnownTokens
from sealserve.rpc.budget import Budget
from sealserve.serving.activation.residents import Residents
from sealserve.serving.adapter_table import AdapterTable
from sealserve.serving.admission import Admission
from sealserve.serving.answers import AnswerParts, Answers
from sealserve.serving.residency import Residency
from sealserve.serving.salt import TenantSalts
from sealserve.settings.limits import LimitSettings
from tests.fakes import FakeEngine
from tests.rpc.harness import find_token

MAX_BYTES = 2**16


class EverybodyLoaded(Residency):
    """No request has to wait for a version."""

    @asynccontextmanager
    async def held(self, tenant: str, *, deadline: float) -> AsyncIterator[float]:
        yield 0.0


async def small_gateway(registry: Any = None, **parts: Any) -> tuple[httpx.AsyncClient, FakeEngine]:
    """Return a client of the routes, and the engine behind them."""
    _, client, engine = await small_app(registry, **parts)
    return client, engine


async def small_app(
    registry: Any = None, *, more: Sequence[BaseRoute] = (), **parts: Any
) -> tuple[Any, httpx.AsyncClient, FakeEngine]:
    """Return the application, with `more` routes, a client of it, and the engine behind it."""
    engine, table = FakeEngine(), AdapterTable()
    await engine.start()
    table.expect(())
    answer_parts = AnswerParts(
        engine=engine,
        table=table,
        admission=Admission(max_running=64, max_queued_per_tenant=64),
        residency=EverybodyLoaded(table, Residents(), wait_seconds=0),
        salts=TenantSalts(b"s" * 32),
        find_tenant=lambda tenant: None,
    )
    answers = Answers(answer_parts, default_deadline_seconds=5)
    access = Access(KnownTokens(find_token), budget=Budget(LimitSettings()), is_open=True)
    given: dict[str, Any] = {
        "access": access,
        "answers": answers,
        "engine": engine,
        "registry": registry,
        "is_serving": lambda: True,
        "metrics": lambda: b"metric 1\n",
        "max_bytes": MAX_BYTES,
        "deadline_seconds": 5.0,
    }
    app = make_gateway(GatewayParts(**{**given, **parts}), more=more)
    transport = httpx.ASGITransport(app, raise_app_exceptions=True)
    return app, httpx.AsyncClient(transport=transport, base_url="http://gateway"), engine
