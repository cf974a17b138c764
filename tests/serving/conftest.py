"""A real registry on SQLite, a fake engine, and the parts of serving wired together."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sealserve.engine.engine import Delta
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState, NewDocument
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.versions import Activation, AdapterVersion, Lineage
from sealserve.registry.registry import Registry
from sealserve.registry.step_effects import Finish, Publish
from sealserve.serving.activation.tenant_states import ActivatorSettings
from sealserve.serving.activator import Activator
from sealserve.serving.adapter_table import AdapterTable, Route
from sealserve.serving.admission import Admission
from sealserve.serving.answers import AnswerParts, Answers
from sealserve.serving.gated_engine import GatedEngine
from sealserve.serving.salt import TenantSalts
from sealserve.serving.slot_gate import SlotGate
from tests.engine.tiny_model import make_adapter
from tests.fakes import FakeEngine

HELLO = (ChatTurn(role="user", content="Where is the harbour office?"),)


async def eventually(condition: Callable[[], object], *, seconds: float = 10) -> None:
    """Return once `condition()` holds; the event loop runs meanwhile."""
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    registry = Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts")
    yield registry
    registry.close()


@dataclass
class Publisher:
    """Publishes versions the way the learning cycle does, with adapters made here."""

    registry: Registry
    directory: Path
    base: Path
    made: int = field(default=0)

    def publish(self, tenant: str, *, promote: bool = True, config: dict[str, object] | None = None) -> AdapterVersion:
        self.made += 1
        files = make_adapter(self.directory / f"adapter{self.made}", self.base, seed=self.made, config=config)
        artifact = self.registry.artifacts.put_directory(files)
        self.registry.documents.add(
            tenant,
            NewDocument(title="T", text=f"Article {self.made}.", source="test", media_type="text/plain"),
            actor="test",
        )
        cycle = self.registry.cycles.start(tenant, trigger="test", actor="test")
        claim = self.registry.cycles.claim(worker="test", lease_seconds=60)
        assert claim is not None
        present = self.registry.tenants.get(tenant)
        state, documents = (
            (CycleState.PROMOTED, DocumentState.LEARNED) if promote else (CycleState.HELD, DocumentState.SET_ASIDE)
        )
        held = tuple(document.document for document in self.registry.cycles.documents(cycle.cycle))
        publish = Publish(
            artifact=artifact, parent=0, documents=held, lineage=Lineage(), promote=promote, expected_etag=present.etag
        )
        finish = Finish(state=state, reason="", documents=documents)
        self.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=0, effects=(publish, finish))
        newest = self.registry.versions.page(tenant, page_size=1).items[0]
        assert newest.cycle == cycle.cycle
        return newest

    def rollback(self, tenant: str) -> Activation:
        return self.registry.versions.rollback(tenant, expected_etag=None, actor="test", reason="test")


@pytest.fixture
def publisher(registry: Registry, tmp_path: Path, tiny_base: Path) -> Publisher:
    for tenant in ("acme", "globex"):
        registry.tenants.create(tenant, actor="test")
    return Publisher(registry, tmp_path / "adapters", tiny_base)


@dataclass(frozen=True)
class Answer:
    """A whole answer and what gave it."""

    text: str
    version: int
    activation: int


@dataclass
class Server:
    """Serving without a network."""

    engine: FakeEngine
    table: AdapterTable
    admission: Admission
    activator: Activator
    answers: Answers

    async def ask(
        self, tenant: str = "acme", *, sampling: Sampling | None = None, deadline_seconds: float | None = None
    ) -> Answer:
        stream = self.answers.stream(tenant, HELLO, sampling or Sampling(), deadline_seconds=deadline_seconds)
        async with aclosing(stream) as events:
            route = await anext(events)
            assert isinstance(route, Route)
            text = "".join([event.text async for event in events if isinstance(event, Delta)])
        return Answer(text, route.version, route.activation)


@pytest.fixture
async def server(registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: object) -> Server:
    engine = FakeEngine(base=tiny_shape)  # type: ignore[arg-type]
    await engine.start()
    server = make_server(registry, engine, tmp_path)
    await server.activator.settle()
    return server


def make_server(
    registry: Registry,
    engine: FakeEngine,
    directory: Path,
    *,
    replica: str = "test",
    window_seconds: float = 3600,
    places: int = 64,
    adapter_wait_seconds: float = 0,
    resident_tenants: tuple[str, ...] = (),
) -> Server:
    """Put the parts together; calls do not wait for an adapter unless `adapter_wait_seconds` says so."""
    registry.replicas.announce(replica, identity=replica, address="")
    gated = GatedEngine(engine, SlotGate(slots=2, patience_seconds=0.05))
    table = AdapterTable()
    admission = Admission(max_running=4, max_queued_per_tenant=2)
    settings = ActivatorSettings(
        replica=replica,
        poll_seconds=60,
        rollback_window_seconds=window_seconds,
        loaded_adapters=places,
        adapter_wait_seconds=adapter_wait_seconds,
        resident_tenants=resident_tenants,
    )
    activator = Activator(registry, gated, table, settings)
    parts = AnswerParts(
        engine=gated,
        table=table,
        admission=admission,
        residency=activator.residency,
        salts=TenantSalts.open(directory / "salt.key"),
        find_tenant=registry.tenants.get,
    )
    return Server(engine, table, admission, activator, Answers(parts, default_deadline_seconds=30))
