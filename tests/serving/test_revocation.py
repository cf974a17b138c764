"""What is revoked stops answering at the next look, however full the engine is; a rollback always finds a place."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from sealserve.engine.base_model import BaseShape
from sealserve.engine.engine import AdapterFiles, Delta, GenerateRequest, ScoreRequest
from sealserve.errors import EngineFailed, NotFound, Unavailable
from sealserve.records.documents import DocumentState
from sealserve.records.inference import EngineState, Sampling
from sealserve.records.versions import BASE_VERSION, AdapterVersion
from sealserve.registry.registry import Registry
from sealserve.serving.activation.measured_engine import MeasuredEngine
from sealserve.serving.activation.places import Need
from sealserve.serving.adapter_table import Route
from tests.engine.tiny_model import make_adapter
from tests.fakes import FakeEngine
from tests.serving.conftest import HELLO, Answer, Publisher, Server, eventually, make_server

PLACES = 4
OTHERS = ("globex", "hooli", "initech", "umbrella")


@pytest.fixture
async def full(registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape) -> Server:
    """A server with four places, of which others may not take two."""
    for tenant in OTHERS[1:]:
        registry.tenants.create(tenant, actor="test")
    engine = FakeEngine(base=tiny_shape)
    await engine.start()
    server = make_server(registry, engine, tmp_path, places=PLACES)
    await server.activator.settle()
    return server


async def loaded(server: Server) -> set[str]:
    return set((await server.engine.info()).loaded)


async def unload_oldest(server: Server) -> None:
    """Unload the version that was retired first."""
    oldest = server.activator._states.retirement.take_oldest()
    assert oldest is not None
    assert await server.engine.unload(oldest)


async def taught_twice(server: Server, publisher: Publisher) -> tuple[AdapterVersion, AdapterVersion]:
    """Two versions of acme, the second of which answers and the first of which is not loaded any more."""
    first = publisher.publish("acme")
    await server.activator.settle()
    second = publisher.publish("acme")
    await server.activator.settle()
    await unload_oldest(server)
    assert first.engine_name not in await loaded(server)
    return first, second


def forget_newest(registry: Registry, version: AdapterVersion) -> None:
    """Unlearn a document that only this version learned."""
    document = version.documents[-1]
    assert registry.documents.get(version.tenant, document).state is DocumentState.LEARNED
    registry.unlearning.unlearn(version.tenant, document, actor="test", reason="test")


def block_loads(server: Server, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Hold every load until the event is set."""
    gate, load = asyncio.Event(), server.engine.load

    async def slow(adapter: AdapterFiles) -> None:
        await gate.wait()
        await load(adapter)

    monkeypatch.setattr(server.engine, "load", slow)
    return gate


async def test_forgotten_version_stops_answering_before_the_earlier_one_is_loaded(
    full: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await taught_twice(full, publisher)
    assert (await full.ask()).version == second.version
    gate = block_loads(full, monkeypatch)
    forget_newest(registry, second)
    await full.activator._begin()
    with pytest.raises(Unavailable) as refused:
        await full.ask()
    assert refused.value.reason == "ADAPTER_LOADING"
    assert refused.value.retry_seconds > 0
    gate.set()
    await full.activator.settle()
    assert (await full.ask()).version == first.version


async def test_other_tenants_fill_the_places_and_the_revoked_version_answers_nobody(
    full: Server, registry: Registry, publisher: Publisher
) -> None:
    first, second = await taught_twice(full, publisher)
    for tenant in OTHERS:
        publisher.publish(tenant)
    await full.activator.settle()
    assert len(await loaded(full)) == PLACES - 2
    forget_newest(registry, second)
    versions = set()
    for _ in range(3):
        await full.activator.settle()
        versions.add((await full.ask()).version)
    assert versions == {first.version}
    assert second.engine_name not in await loaded(full), "its place is free: nobody may need it again"


async def test_rollback_to_a_loaded_version_refuses_nobody(
    full: Server, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publisher.publish("acme")
    await full.activator.settle()
    publisher.publish("acme")
    await full.activator.settle()
    assert first.engine_name in await loaded(full)
    block_loads(full, monkeypatch)
    publisher.rollback("acme")
    await full.activator._begin()
    assert (await full.ask()).version == first.version


async def test_rollback_to_the_base_model_needs_no_engine(full: Server, publisher: Publisher) -> None:
    publisher.publish("acme")
    await full.activator.settle()
    full.engine._state = EngineState.STARTING
    publisher.rollback("acme")
    await full.activator._begin()
    route = full.table.route("acme")
    assert route is not None
    assert route.version == BASE_VERSION


async def test_promotion_leaves_the_old_version_answering_until_the_new_one_is_loaded(
    full: Server, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publisher.publish("acme")
    await full.activator.settle()
    gate = block_loads(full, monkeypatch)
    second = publisher.publish("acme")
    await full.activator._begin()
    assert (await full.ask()).version == first.version
    gate.set()
    await full.activator.settle()
    assert (await full.ask()).version == second.version


async def test_quarantined_version_stops_answering_although_its_successor_is_still_loading(
    full: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publisher.publish("acme")
    await full.activator.settle()
    gate = block_loads(full, monkeypatch)
    second = publisher.publish("acme")
    await full.activator._begin()
    registry.versions.quarantine("acme", first.version, actor="test", reason="bad")
    await full.activator._begin()
    with pytest.raises(Unavailable):
        await full.ask()
    gate.set()
    await full.activator.settle()
    assert (await full.ask()).version == second.version


async def test_version_that_was_rolled_back_while_it_loaded_never_answers(
    full: Server, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = publisher.publish("acme")
    await full.activator.settle()
    gate = block_loads(full, monkeypatch)
    publisher.publish("acme")
    await full.activator._begin()
    publisher.rollback("acme")
    await full.activator._begin()
    gate.set()
    for task in list(full.activator._tasks.values()):
        await task
    assert (await full.ask()).version == first.version


async def test_running_answer_of_a_revoked_version_goes_on_to_its_end(
    full: Server, registry: Registry, publisher: Publisher
) -> None:
    _, second = await taught_twice(full, publisher)
    async with aclosing(full.answers.stream("acme", HELLO, Sampling())) as events:
        route = await anext(events)
        forget_newest(registry, second)
        await full.activator.settle()
        assert second.engine_name in await loaded(full)
        assert len([event async for event in events if isinstance(event, Delta)]) > 0
    assert isinstance(route, Route)
    assert route.version == second.version
    assert (await full.ask()).version < second.version


async def asked_behind_others(server: Server) -> tuple[list[asyncio.Task[Answer]], asyncio.Task[Answer]]:
    """Two tenants' requests that hold both slots, and one of acme's that waits for one of them."""
    server.engine.gate.clear()
    holding = [asyncio.create_task(server.ask(tenant)) for tenant in ("globex", "hooli")]
    await eventually(lambda: len(server.engine.requests) == len(holding))
    waiting = asyncio.create_task(server.ask())
    await eventually(lambda: server.admission.running == len(holding) + 1)
    return holding, waiting


@pytest.fixture
async def contended(full: Server, publisher: Publisher) -> Server:
    """A server of whose three tenants with versions two can be answered at the same time."""
    full.activator.places._places = 2 * PLACES
    for tenant in ("globex", "hooli", "acme", "acme"):
        publisher.publish(tenant)
        await full.activator.settle()
    full.engine.requests.clear()
    return full


async def test_request_that_waits_for_a_slot_while_its_version_is_revoked_is_answered_by_the_earlier_one(
    contended: Server, registry: Registry, publisher: Publisher
) -> None:
    holding, waiting = await asked_behind_others(contended)
    forget_newest(registry, registry.versions.get("acme", 2))
    await contended.activator.settle()
    contended.engine.gate.set()
    assert (await asyncio.wait_for(waiting, 20)).version == 1
    assert {answer.version for answer in await asyncio.gather(*holding)} == {1}
    assert contended.admission.running == 0
    assert (await contended.ask()).version == 1


async def test_request_that_waits_for_a_slot_is_refused_if_nothing_may_answer_instead(
    contended: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unload_oldest(contended)
    holding, waiting = await asked_behind_others(contended)
    block_loads(contended, monkeypatch)
    forget_newest(registry, registry.versions.get("acme", 2))
    await contended.activator._begin()
    contended.engine.gate.set()
    with pytest.raises(Unavailable) as refused:
        await asyncio.wait_for(waiting, 20)
    assert refused.value.reason == "ADAPTER_LOADING"
    await asyncio.gather(*holding)


@pytest.fixture
async def queued(full: Server, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> tuple[Server, asyncio.Event]:
    """A server whose engine has requests under the second version of acme in its queue until the event is set."""
    for _ in range(2):
        second = publisher.publish("acme")
        await full.activator.settle()
    may_begin, generate = asyncio.Event(), full.engine.generate

    async def late(request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        if request.adapter == second.engine_name:
            full.engine.requests.append(request)
            await may_begin.wait()
        async with aclosing(generate(request)) as deltas:
            async for delta in deltas:
                yield delta

    monkeypatch.setattr(full.engine, "generate", late)
    full.engine.requests.clear()
    return full, may_begin


async def test_request_that_waits_under_an_earlier_version_begins_again_when_that_is_revoked(
    queued: tuple[Server, asyncio.Event], registry: Registry, publisher: Publisher
) -> None:
    server, may_begin = queued
    waiting = asyncio.create_task(server.ask())
    await eventually(lambda: server.engine.requests)
    publisher.publish("acme")
    await server.activator.settle()
    registry.versions.quarantine("acme", 2, actor="test", reason="bad")
    await server.activator.settle()
    may_begin.set()
    assert (await asyncio.wait_for(waiting, 20)).version == 3


async def test_request_that_waits_while_its_version_is_replaced_keeps_it(
    queued: tuple[Server, asyncio.Event], publisher: Publisher
) -> None:
    server, may_begin = queued
    waiting = asyncio.create_task(server.ask())
    await eventually(lambda: server.engine.requests)
    publisher.publish("acme")
    await server.activator.settle()
    may_begin.set()
    assert (await asyncio.wait_for(waiting, 20)).version == 2
    assert (await server.ask()).version == 3


async def test_promotion_of_a_served_tenant_arrives_when_every_other_place_is_taken(
    full: Server, publisher: Publisher
) -> None:
    publisher.publish("globex")
    publisher.publish("acme")
    await full.activator.settle()
    assert len(await loaded(full)) == PLACES - 2
    for _ in range(3):
        newest = publisher.publish("acme")
        await full.activator.settle()
        assert (await full.ask()).version == newest.version
        assert len(await loaded(full)) < PLACES, "one is left for a rollback"
    assert (await full.ask("globex")).version == 1


async def test_tenants_without_a_place_are_refused_and_tried_without_a_task_a_look(
    full: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in OTHERS:
        publisher.publish(tenant)
    await full.activator.settle()
    asked = []
    monkeypatch.setattr(full.activator._swapper, "_open_or_find_standby", lambda tenant: asked.append(tenant))
    for _ in range(3):
        await full.activator._begin()
        assert full.activator._tasks == {}
    assert asked == []
    answering = [tenant for tenant in OTHERS if full.table.route(tenant) is not None]
    assert len(answering) == PLACES - 2


async def test_tenant_that_cannot_be_loaded_is_tried_later_and_later(
    full: Server, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    async def refuse(adapter: AdapterFiles) -> None:
        tries.append(adapter.name)
        raise EngineFailed("out of memory")

    monkeypatch.setattr(full.engine, "load", refuse)
    publisher.publish("acme")
    await full.activator.settle()
    for _ in range(5):
        await full.activator._begin()
        await asyncio.gather(*full.activator._tasks.values())
    assert len(tries) == 1
    publisher.publish("acme")
    await full.activator._begin()
    await asyncio.gather(*full.activator._tasks.values())
    assert len(tries) == 2, "a new activation is tried at once"


class Learner:
    """What EngineService gives a learner, with adapters to load."""

    def __init__(self, server: Server, directory: Path, base: Path) -> None:
        self.engine = MeasuredEngine(server.engine, server.activator.places)
        self._directory = directory
        self._base = base

    async def load(self, name: str) -> None:
        path = make_adapter(self._directory / name, self._base, seed=len(name))
        await self.engine.load(AdapterFiles(name=name, path=path))


@pytest.fixture
def learner(full: Server, tmp_path: Path, tiny_base: Path) -> Learner:
    return Learner(full, tmp_path, tiny_base)


async def test_candidates_of_learners_never_take_the_last_two_places(full: Server, learner: Learner) -> None:
    await learner.load("cand-1")
    await learner.load("cand-22")
    with pytest.raises(Unavailable) as refused:
        await learner.load("cand-333")
    assert refused.value.reason == "ADAPTERS_FULL"
    assert await loaded(full) == {"cand-1", "cand-22"}


async def test_candidates_give_way_when_a_revoked_version_has_no_other_place(
    full: Server, learner: Learner, publisher: Publisher, tmp_path: Path, tiny_base: Path
) -> None:
    await learner.load("cand-1")
    for number in range(PLACES - 1):  # whatever filled the reserve: here nothing else gives way
        path = make_adapter(tmp_path / f"extra{number}", tiny_base, seed=50 + number)
        await full.engine.load(AdapterFiles(name=f"extra{number}", path=path))
    with pytest.raises(Unavailable):
        await full.activator.places.load(AdapterFiles(name="x", path=path), need=Need.INSTEAD)
    assert "cand-1" in await loaded(full)
    path = make_adapter(tmp_path / "back", tiny_base, seed=99)
    await full.activator.places.load(AdapterFiles(name="back", path=path), need=Need.AFTER_REVOCATION)
    assert "cand-1" not in await loaded(full)
    with pytest.raises(NotFound):  # the learner then loads it again
        await learner.engine.score(ScoreRequest(request_id="s", turns=HELLO, completion="Here.", adapter="cand-1"))


async def test_candidate_that_is_being_asked_ends_its_calls_before_it_gives_way(
    full: Server, learner: Learner, tmp_path: Path, tiny_base: Path
) -> None:
    await learner.load("cand-1")
    places, name = full.activator.places, "cand-1"
    path = make_adapter(tmp_path / "back", tiny_base, seed=99)
    with places.measuring(name):
        for number in range(PLACES - 1):
            extra = make_adapter(tmp_path / f"extra{number}", tiny_base, seed=50 + number)
            await full.engine.load(AdapterFiles(name=f"extra{number}", path=extra))
        with pytest.raises(Unavailable):
            await places.load(AdapterFiles(name="back", path=path), need=Need.AFTER_REVOCATION)
        with pytest.raises(NotFound), places.measuring(name):
            pass
        with pytest.raises(Unavailable):
            await places.load(AdapterFiles(name=name, path=tmp_path / name), need=Need.MEASURED)
        assert name in await loaded(full)
    await places.load(AdapterFiles(name="back", path=path), need=Need.AFTER_REVOCATION)
    assert "back" in await loaded(full)
    assert name not in await loaded(full)


async def test_loop_withdraws_a_forgotten_version_by_itself(
    full: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await taught_twice(full, publisher)
    monkeypatch.setattr(full.activator, "_poll_seconds", 0.01)
    loop = asyncio.create_task(full.activator.run())
    forget_newest(registry, second)
    await eventually(lambda: (route := full.table.route("acme")) is None or route.version != second.version)
    await eventually(lambda: (route := full.table.route("acme")) is not None and route.version == first.version)
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert (await full.ask()).version == first.version
