"""A whole server on a free port of the loopback: real registry and inbox, a fake engine, answers that tests script."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sealserve.client import AsyncClient
from sealserve.engine.engine import Delta, GenerateRequest
from sealserve.errors import Unauthenticated
from sealserve.gate.thresholds import load_policy
from sealserve.intake.inbox import Inbox
from sealserve.local_tokens import ADMIN, INTERNAL
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.policy.rulebook import Rulebook
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.principals import Principal, Token
from sealserve.registry.registry import Registry
from sealserve.registry.sql.database import utc_now
from sealserve.rpc.server import RpcServer, ServiceParts
from sealserve.serving.adapter_table import Route
from sealserve.serving.answers import Answers
from sealserve.settings.limits import LimitSettings
from sealserve.settings.serve import ServeSettings
from sealserve.settings.settings import IntakeSettings
from sealserve.settings.sources import SourceSettings
from sealserve.wire.channels import bearer
from tests.fakes import FakeEngine, PermissiveEnforcer
from tests.registry.world import FakeClock, World

ADMIN_SECRET = "admin-" + "s" * 40
ENGINE_SECRET = "engine-" + "s" * 40
BEARER = bearer(ADMIN_SECRET)
ENGINE_BEARER = bearer(ENGINE_SECRET)


def token_for(principal: Principal, *, expires_at: datetime | None = None) -> Token:
    """A token that is good until then."""
    return Token(
        token="0" * 12,
        principal=principal,
        created_by="test",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        expires_at=expires_at,
        revoked_at=None,
    )


def find_token(secret: str) -> Token:
    """Knows the two secrets above, where a test has no registry."""
    known = {ADMIN_SECRET: ADMIN, ENGINE_SECRET: INTERNAL}
    if secret not in known:
        raise Unauthenticated("this token is unknown")
    return token_for(known[secret])


class ScriptedAnswers(Answers):
    """Answers with the fake engine's base model; `failure` is raised instead, if set."""

    def __init__(self, engine: FakeEngine, registry: Registry) -> None:
        self.failure: Exception | None = None
        self.activation = self.version = 0
        self.deadlines: list[float | None] = []
        self.keys: list[str] = []
        self.versions: list[int | None] = []
        self._fake_engine = engine
        self._registry = registry

    async def require(self, tenant: str) -> None:
        self._registry.tenants.get(tenant)

    async def stream(
        self,
        tenant: str,
        turns: tuple[ChatTurn, ...],
        sampling: Sampling,
        *,
        version: int | None = None,
        request_id: str = "",
        sticky_key: str = "",
        deadline_seconds: float | None = None,
    ) -> AsyncGenerator[Route | Delta, None]:
        self._registry.tenants.get(tenant)
        self.deadlines.append(deadline_seconds)
        self.keys.append(sticky_key)
        if self.failure is not None:
            raise self.failure
        self.versions.append(version)
        answering = self.version if version is None else version
        yield Route(tenant=tenant, version=answering, activation=self.activation, engine_name=None)
        request = GenerateRequest(request_id=request_id, turns=turns, sampling=sampling)
        async with aclosing(self._fake_engine.generate(request)) as deltas:
            async for delta in deltas:
                yield delta


@dataclass(kw_only=True)
class Served:
    """What a test can reach: both ends of the wire and everything behind it."""

    address: str
    client: AsyncClient
    server: RpcServer
    engine: FakeEngine
    answers: ScriptedAnswers
    world: World
    adapters: dict[str, Path] = field(default_factory=dict)

    @property
    def registry(self) -> Registry:
        return self.world.registry


def settings(**changes: object) -> ServeSettings:
    """Quick to poll, quick to drain, on a free port."""
    quick = {"address": "127.0.0.1:0", "poll_seconds": 0.01, "drain_seconds": 0.2, "max_message_bytes": 2**20}
    return ServeSettings.model_validate({**quick, **changes})


def _open_registry(directory: Path, **options: Any) -> Registry:
    return Registry.open(f"sqlite:///{directory / 'registry.db'}", directory / "artifacts", **options)


@cache
def _peopled() -> TemporaryDirectory[str]:
    """The files of a registry with two tenants and two tokens, for every test of this process to copy."""
    directory = TemporaryDirectory(prefix="sealserve-peopled-")
    registry = _open_registry(Path(directory.name))
    for tenant in ("acme", "globex"):
        registry.tenants.create(tenant, actor="ann")
    for principal, secret in ((ADMIN, ADMIN_SECRET), (INTERNAL, ENGINE_SECRET)):
        registry.tokens.enrol(principal, secret, actor="test")
    registry.close()
    return directory


_packaged_policy = cache(load_policy)


@asynccontextmanager
async def served(
    directory: Path,
    *,
    serve: ServeSettings | None = None,
    engine: FakeEngine | None = None,
    rules: Path | None = None,
    limits: LimitSettings | None = None,
    sources: SourceSettings | None = None,
    **options: Any,
) -> AsyncIterator[Served]:
    """Serve the tenants acme and globex, under the `rules` of a directory or none. `options` go to RpcServer."""
    shutil.copytree(_peopled().name, directory, dirs_exist_ok=True)
    registry = _open_registry(directory, limits=limits, busy_seconds=0.5)
    engine = engine or FakeEngine()
    await engine.start()
    answers = ScriptedAnswers(engine, registry)
    adapters: dict[str, Path] = {}
    enforcer = PolicyEnforcer(registry, Rulebook(rules, clock=utc_now)) if rules else PermissiveEnforcer()
    tokens: dict[str, Any] = {"find_token": registry.tokens.find, "issued_tokens": registry.issued_tokens}
    server = RpcServer(serve or settings(), limits=limits, **tokens, **options)
    intake = IntakeSettings(max_file_bytes=100_000, max_documents_per_tenant=8)
    parts = ServiceParts(
        registry=registry,
        answers=answers,
        inbox=Inbox(registry, intake, refuse=enforcer.refuse_document),
        engine=engine,
        enforcer=enforcer,
        salt=lambda tenant: f"salt of {tenant}",
        max_documents_per_cycle=4,
        watch=_packaged_policy().watch,
        resident_tenants=frozenset({"globex"}),
        sources=sources or SourceSettings(),
    )
    server.add_tenant_services(parts)
    server.add_engine_service(
        engine,
        materialise=lambda digest: (
            nullcontext(adapters[digest]) if digest in adapters else registry.artifacts.materialise(digest)
        ),
    )
    address = f"127.0.0.1:{await server.start()}"
    try:
        async with AsyncClient(address, token=ADMIN_SECRET, timeout_seconds=20, max_message_bytes=2**20) as client:
            world = World(registry=registry, clock=FakeClock(), directory=directory, url="")
            yield Served(
                address=address,
                client=client,
                server=server,
                engine=engine,
                answers=answers,
                world=world,
                adapters=adapters,
            )
    finally:  # a server left running would hang a later test
        await server.stop()
        registry.close()


async def until(holds: Callable[[], bool] | Callable[[], Awaitable[bool]], *, seconds: float = 30) -> None:
    """Return as soon as `holds`; fail the test after `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.001)  # leaves the processor to what is waited for
