"""Versions are loaded when they are asked for, in the place of the least recently used; nobody answers for another."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sealserve.engine.base_model import BaseShape
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import DeadlineExceeded, QuotaExceeded, StorageFailed, Unavailable
from sealserve.records.inference import Sampling
from sealserve.records.rollouts import Desired
from sealserve.records.versions import BASE_VERSION, AdapterVersion, VersionState
from sealserve.registry.registry import Registry
from sealserve.serving.activation import places
from sealserve.serving.adapter_table import Route
from tests.fakes import FakeEngine
from tests.serving.conftest import HELLO, Publisher, Server, eventually, make_server

TENANTS = ("acme", "globex", "hooli", "initech", "umbrella")
PLACES = 4
USABLE = PLACES - 2


@pytest.fixture
def versions(registry: Registry, publisher: Publisher) -> dict[str, AdapterVersion]:
    """A version of each tenant, promoted before the server starts: the last of them are the newest."""
    for tenant in TENANTS[2:]:
        registry.tenants.create(tenant, actor="test")
    return {tenant: publisher.publish(tenant) for tenant in TENANTS}


async def opened(registry: Registry, directory: Path, shape: BaseShape, **options: object) -> Server:
    engine = FakeEngine(base=shape)
    await engine.start()
    settings = {"places": PLACES, "adapter_wait_seconds": 10} | options
    server = make_server(registry, engine, directory, **settings)  # type: ignore[arg-type]
    await server.activator.settle()
    return server


@pytest.fixture
async def small(
    registry: Registry, versions: dict[str, AdapterVersion], tmp_path: Path, tiny_shape: BaseShape
) -> Server:
    """A server with places for two of the five tenants."""
    return await opened(registry, tmp_path, tiny_shape)


async def loaded(server: Server) -> set[str]:
    return set((await server.engine.info()).loaded)


def resident(server: Server) -> set[str]:
    return {tenant for tenant in TENANTS if server.activator.is_resident(tenant)}


def hold_loads(server: Server, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    gate, load = asyncio.Event(), server.engine.load

    async def slow(adapter: AdapterFiles) -> None:
        await gate.wait()
        await load(adapter)

    monkeypatch.setattr(server.engine, "load", slow)
    return gate


async def test_every_tenant_is_answered_by_its_own_version_however_few_are_loaded(
    small: Server, versions: dict[str, AdapterVersion]
) -> None:
    assert len(await loaded(small)) == USABLE
    for _ in range(2):
        for tenant in TENANTS:
            assert (await small.ask(tenant)).version == versions[tenant].version
            assert len(await loaded(small)) <= USABLE
    texts = {(await small.ask(tenant)).text for tenant in TENANTS}
    assert len(texts) == len(TENANTS)


async def test_however_many_places_there_are_only_some_are_filled_unasked(
    registry: Registry, versions: dict[str, AdapterVersion], tmp_path: Path, tiny_shape: BaseShape,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert versions
    monkeypatch.setattr(places, "MOST_UNASKED", 2)
    server = await opened(registry, tmp_path, tiny_shape, places=64)
    assert resident(server) == {"initech", "umbrella"}
    for tenant in TENANTS:
        await server.ask(tenant)
    assert resident(server) == set(TENANTS)


async def test_newest_versions_are_loaded_at_the_start_and_the_others_when_they_are_asked_for(small: Server) -> None:
    assert resident(small) == {"initech", "umbrella"}
    await small.ask("acme")
    assert "acme" in resident(small)


async def test_least_recently_used_tenant_gives_way(small: Server) -> None:
    for tenant in ("acme", "globex", "acme", "hooli"):
        await small.ask(tenant)
    assert resident(small) == {"acme", "hooli"}


async def test_requests_that_wait_for_one_version_have_it_loaded_once(
    registry: Registry, versions: dict[str, AdapterVersion], tmp_path: Path, tiny_shape: BaseShape,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    server = await opened(registry, tmp_path, tiny_shape)
    gate = hold_loads(server, monkeypatch)
    before = server.engine.load_calls.count(versions["acme"].engine_name)
    asking = [asyncio.create_task(server.ask("acme")) for _ in range(3)]
    await eventually(lambda: server.activator.residency.waiting == 3)
    gate.set()
    assert {(await one).version for one in asking} == {versions["acme"].version}
    assert server.engine.load_calls.count(versions["acme"].engine_name) == before + 1


async def test_resident_tenants_are_answered_while_others_wait(small: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await small.ask("umbrella")  # so that it is not the one that gives way
    gate = hold_loads(small, monkeypatch)
    waiting = [asyncio.create_task(small.ask("acme")) for _ in range(4)]  # for one of the two places
    await eventually(lambda: small.activator.residency.waiting == 4)
    assert small.admission.running == 0, "who waits for a version takes nobody's turn"
    assert (await small.ask("umbrella")).version == 1
    gate.set()
    assert [answer.version for answer in await asyncio.gather(*waiting)] == [1] * 4


async def test_wait_ends_with_the_setting_the_deadline_or_the_caller(
    registry: Registry, versions: dict[str, AdapterVersion], tmp_path: Path, tiny_shape: BaseShape,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert versions
    server = await opened(registry, tmp_path, tiny_shape, adapter_wait_seconds=0.05)
    gate = hold_loads(server, monkeypatch)
    with pytest.raises(Unavailable) as refused:
        await server.ask("acme")
    assert (refused.value.reason, refused.value.retry_seconds > 0) == ("ADAPTER_LOADING", True)
    with pytest.raises(DeadlineExceeded):
        await server.ask("acme", deadline_seconds=0.02)
    monkeypatch.setattr(server.activator.residency, "_wait_seconds", 60)
    asking = asyncio.create_task(server.ask("acme"))
    await eventually(lambda: server.activator.residency.waiting == 1)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert server.activator.residency.waiting == 0
    gate.set()
    assert (await server.ask("acme")).version == 1, "it was loaded for whoever comes next"


async def test_only_so_many_calls_of_a_tenant_wait(small: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small.activator.residency, "_max_waiting_per_tenant", 2)
    gate = hold_loads(small, monkeypatch)
    waiting = [asyncio.create_task(small.ask("acme")) for _ in range(2)]
    await eventually(lambda: small.activator.residency.waiting == 2)
    with pytest.raises(QuotaExceeded):
        await small.ask("acme")
    gate.set()
    await asyncio.gather(*waiting)


async def test_version_in_use_never_gives_way_and_who_asks_waits_until_it_is_free(
    small: Server, versions: dict[str, AdapterVersion]
) -> None:
    async with aclosing(small.answers.stream("umbrella", HELLO, Sampling())) as first:
        async with aclosing(small.answers.stream("initech", HELLO, Sampling())) as second:
            assert [isinstance(await anext(one), Route) for one in (first, second)] == [True, True]
            asking = asyncio.create_task(small.ask("acme"))
            await eventually(lambda: small.activator.residency.waiting == 1)
            assert {versions[name].engine_name for name in ("umbrella", "initech")} <= await loaded(small)
            assert not asking.done()
        assert (await asking).version == 1
        assert versions["umbrella"].engine_name in await loaded(small)


async def test_tenants_that_never_leave_are_loaded_first_and_stay(
    registry: Registry, versions: dict[str, AdapterVersion], tmp_path: Path, tiny_shape: BaseShape
) -> None:
    assert versions
    server = await opened(registry, tmp_path, tiny_shape, resident_tenants=("acme", "nobody-yet"))
    assert "acme" in resident(server)
    for _ in range(2):
        for tenant in TENANTS[1:]:
            await server.ask(tenant)
        assert "acme" in resident(server)


async def test_bad_version_that_is_asked_for_is_quarantined_and_the_one_before_answers(
    registry: Registry, versions: dict[str, AdapterVersion], publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    bad = publisher.publish("acme", config={"r": 2})
    for tenant in TENANTS[1:]:
        publisher.publish(tenant)
    server = await opened(registry, tmp_path, tiny_shape)
    running = asyncio.create_task(server.activator.run())
    assert "acme" not in resident(server)
    answer = await server.ask("acme")
    assert answer.version == versions["acme"].version
    assert registry.versions.get("acme", bad.version).state is VersionState.QUARANTINED
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_base_model_never_answers_for_a_tenant_nobody_has_met(small: Server) -> None:
    with pytest.raises(Unavailable), small.table.pin("acme"):
        pass
    with pytest.raises(Unavailable), small.table.pin("never-made"):
        pass


async def test_rolled_back_version_that_is_not_loaded_answers_nobody(
    small: Server, registry: Registry, publisher: Publisher
) -> None:
    assert (await small.ask("acme")).version == 1
    publisher.publish("acme")
    await small.activator.settle()
    assert (await small.ask("acme")).version == 2
    for tenant in ("globex", "hooli", "initech"):
        await small.ask(tenant)
    assert "acme" not in resident(small)
    publisher.rollback("acme")
    await small.activator.settle()
    assert [one.version for one in registry.versions.observed("acme")] == [1], "nothing newer can answer here"
    assert (await small.ask("acme")).version == 1
    publisher.rollback("acme")
    await small.activator.settle()
    assert (await small.ask("acme")).version == BASE_VERSION


async def test_promotion_of_a_tenant_that_is_not_loaded_is_observed_and_answers_the_next_request(
    small: Server, registry: Registry, publisher: Publisher
) -> None:
    await small.ask("acme")
    for tenant in ("globex", "hooli"):
        await small.ask(tenant)
    assert "acme" not in resident(small)
    newest = publisher.publish("acme")
    await small.activator.settle()
    assert "acme" not in resident(small), "nobody gives way to what nobody has asked for"
    (observed,) = registry.versions.observed("acme")
    assert (observed.version, observed.activation) == (newest.version, 2)
    assert (await small.ask("acme")).version == newest.version


@pytest.fixture
def registry_away(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Take the registry's database away, or bring it back."""
    reads = (
        (registry.versions, "get"), (registry.versions, "record_observed"), (registry.versions, "quarantine"),
        (registry.rollouts, "standby"), (registry.desired, "since"), (registry.desired, "of"),
        (registry.desired, "newest"),
    )  # fmt: skip

    def fail(*arguments: object, **options: object) -> None:
        raise StorageFailed("the database cannot be reached")

    def switch(is_away: bool) -> None:
        if not is_away:
            monkeypatch.undo()
            return
        for part, name in reads:
            monkeypatch.setattr(part, name, fail)

    return switch


async def test_version_that_was_loaded_before_is_loaded_again_while_the_registry_is_away(
    small: Server, versions: dict[str, AdapterVersion], registry_away: Callable[[bool], None]
) -> None:
    for tenant in TENANTS:
        await small.ask(tenant)
    registry_away(True)
    texts = set()
    for _ in range(2):
        for tenant in TENANTS:
            answer = await small.ask(tenant)
            assert answer.version == versions[tenant].version
            texts.add(answer.text)
    assert len(texts) == len(TENANTS)


async def test_damaged_files_are_not_loaded_while_the_registry_is_away(
    small: Server, versions: dict[str, AdapterVersion], registry: Registry, registry_away: Callable[[bool], None]
) -> None:
    for tenant in TENANTS:
        await small.ask(tenant)
    assert "acme" not in resident(small)
    (weights,) = registry.artifacts.directory(versions["acme"].artifact).glob("*.safetensors")
    weights.chmod(0o600)
    weights.write_bytes(weights.read_bytes()[:-4])
    registry_away(True)
    with pytest.raises(Unavailable):
        await small.ask("acme")
    assert "acme" not in resident(small)


async def test_call_for_a_version_that_was_never_loaded_is_told_that_the_registry_is_away(
    registry: Registry, versions: dict[str, AdapterVersion], tmp_path: Path, tiny_shape: BaseShape,
    registry_away: Callable[[bool], None],
) -> None:  # fmt: skip
    assert versions
    server = await opened(registry, tmp_path, tiny_shape)
    registry_away(True)
    for _ in range(2):
        with pytest.raises(Unavailable) as refused:
            await server.ask("acme")
        assert refused.value.reason == "STORAGE_FAILED"
        assert refused.value.retry_seconds > 0
    assert server.activator.residency.waiting == 0
    assert (await server.ask("umbrella")).version == 1, "loaded ones answer"
    registry_away(False)
    await server.activator.settle()
    assert (await server.ask("acme")).version == 1


async def test_look_costs_what_changed_however_many_tenants_there_are(
    small: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    since = registry.desired.since

    def counted(number: int, *, limit: int) -> tuple[Desired, ...]:
        found = since(number, limit=limit)
        read.extend(one.tenant for one in found)
        return found

    monkeypatch.setattr(registry.desired, "since", counted)
    for _ in range(3):
        await small.activator._begin()
    assert read == []
    publisher.publish("globex")
    await small.activator.settle()
    assert set(read) == {"globex"}


async def test_tenants_are_read_again_now_and_then_and_what_was_missed_is_noticed(
    small: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await small.ask("acme")
    monkeypatch.setattr(registry.desired, "since", lambda number, limit: ())
    newest = publisher.publish("acme")
    await small.activator.settle()
    assert (await small.ask("acme")).version == 1
    small.activator._states.knowledge._rechecked_seconds = float("-inf")
    await small.activator.settle()
    assert (await small.ask("acme")).version == newest.version


async def test_cold_answer_is_told_apart_from_others(small: Server) -> None:
    waits = []

    class Seen:
        def adapter_waited(self, seconds: float, *, first_token_seconds: float | None) -> None:
            waits.append((seconds > 0, first_token_seconds is not None and first_token_seconds >= seconds))

    small.answers._telemetry.metrics.adapter_waited = Seen().adapter_waited  # type: ignore[method-assign]
    await small.ask("umbrella")
    assert waits == []
    await small.ask("acme")
    assert waits == [(True, True)]


async def test_no_alarm_is_raised_for_tenants_that_wait_to_be_asked_for(
    registry: Registry, versions: dict[str, AdapterVersion], tmp_path: Path, tiny_shape: BaseShape
) -> None:
    assert versions
    with capture_logs() as logs:
        server = await opened(registry, tmp_path, tiny_shape)
        await server.ask("acme")
    assert [line["event"] for line in logs if line["log_level"] != "info"] == []
