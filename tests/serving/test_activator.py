"""What answers follows what should answer, one bad version or tenant harms nobody, and rollback needs no load."""

import asyncio
import shutil
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from structlog.testing import capture_logs

from sealserve.engine.base_model import BaseShape
from sealserve.engine.engine import Delta
from sealserve.errors import EngineFailed, StorageFailed, Unavailable, UnknownSigner
from sealserve.proof.keys import KeyRing
from sealserve.proof.manifest import Seals
from sealserve.records.documents import DocumentState
from sealserve.records.inference import Sampling
from sealserve.records.versions import BASE_VERSION, AdapterVersion, Observed, VersionState
from sealserve.registry.registry import Registry
from sealserve.serving.adapter_table import Route
from tests.fakes import FakeEngine
from tests.serving.conftest import HELLO, Publisher, Server, eventually, make_server


def observed_version(registry: Registry, tenant: str) -> int:
    return registry.versions.observed(tenant)[0].version


async def test_promoted_version_answers_and_is_recorded_as_observed(
    server: Server, registry: Registry, publisher: Publisher
) -> None:
    before = await server.ask()
    version = publisher.publish("acme")
    await server.activator.settle()
    after = await server.ask()
    assert (before.version, after.version) == (BASE_VERSION, version.version)
    assert after.text != before.text
    assert after.activation == 1
    assert observed_version(registry, "acme") == version.version


async def test_observed_is_recorded_only_after_the_new_version_answers(
    server: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    routed: list[int] = []
    real = registry.versions.record_observed

    def record(observed: Observed) -> None:
        route = server.table.route(observed.tenant)
        routed.append(route.version if route else BASE_VERSION)
        real(observed)

    monkeypatch.setattr(registry.versions, "record_observed", record)
    version = publisher.publish("acme")
    await server.activator.settle()
    assert routed == [version.version]


async def test_promotion_of_one_tenant_changes_no_other(server: Server, publisher: Publisher) -> None:
    before = await server.ask("globex")
    publisher.publish("acme")
    await server.activator.settle()
    after = await server.ask("globex")
    assert (after.version, after.text) == (BASE_VERSION, before.text)


async def test_running_answer_keeps_its_version_through_a_swap(server: Server, publisher: Publisher) -> None:
    first = publisher.publish("acme")
    await server.activator.settle()
    whole = await server.ask()
    server.engine.gate.clear()
    async with aclosing(server.answers.stream("acme", HELLO, Sampling())) as events:
        running = asyncio.create_task(anext(events))
        publisher.publish("acme")
        server.engine.gate.set()
        route = await running
        await server.activator.settle()
        text = "".join([event.text async for event in events if isinstance(event, Delta)])
    assert isinstance(route, Route)
    assert route.version == first.version
    assert text == whole.text
    assert (await server.ask()).version == first.version + 1


async def test_rollback_answers_with_the_earlier_version_without_a_load(server: Server, publisher: Publisher) -> None:
    publisher.publish("acme")
    await server.activator.settle()
    first = await server.ask()
    publisher.publish("acme")
    await server.activator.settle()
    loads = len(set(server.engine.load_calls))
    publisher.rollback("acme")
    await server.activator.settle()
    back = await server.ask()
    assert (back.version, back.text) == (first.version, first.text)
    assert len(set(server.engine.load_calls)) == loads
    assert back.activation == 3


async def test_rollback_of_the_first_version_goes_back_to_the_base(server: Server, publisher: Publisher) -> None:
    publisher.publish("acme")
    await server.activator.settle()
    publisher.rollback("acme")
    await server.activator.settle()
    assert (await server.ask()).version == BASE_VERSION


async def test_bad_adapter_is_quarantined_and_the_old_version_goes_on(
    server: Server, registry: Registry, publisher: Publisher
) -> None:
    good = publisher.publish("acme")
    await server.activator.settle()
    bad = publisher.publish("acme", config={"r": 2})
    await server.activator.settle()
    assert (await server.ask()).version == good.version
    kept = registry.versions.get("acme", bad.version)
    assert kept.state is VersionState.QUARANTINED
    assert kept.reason.startswith("lying_rank")
    assert registry.tenants.get("acme").desired_version == good.version
    await server.activator.settle()
    assert (await server.ask()).version == good.version
    assert observed_version(registry, "acme") == good.version


async def test_damaged_artifact_is_never_loaded(server: Server, registry: Registry, publisher: Publisher) -> None:
    version = publisher.publish("acme")
    weights = registry.artifacts.directory(version.artifact) / "adapter_model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    await server.activator.settle()
    assert (await server.ask()).version == BASE_VERSION
    assert server.engine.load_calls == []
    assert registry.versions.get("acme", version.version).state is VersionState.QUARANTINED


async def test_bad_tenant_does_not_hold_up_another(server: Server, publisher: Publisher, registry: Registry) -> None:
    broken = publisher.publish("acme")
    shutil.rmtree(registry.artifacts.directory(broken.artifact).parent)
    fine = publisher.publish("globex")
    await server.activator.settle()
    assert (await server.ask("globex")).version == fine.version
    assert (await server.ask("acme")).version == BASE_VERSION


async def test_observed_that_could_not_be_recorded_is_recorded_at_the_next_look(
    server: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = publisher.publish("acme")

    def full_disk(_: Observed) -> None:
        raise StorageFailed("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(registry.versions, "record_observed", full_disk)
        await server.activator.settle()
    assert (await server.ask()).version == version.version
    assert registry.versions.observed("acme") == ()
    await server.activator.settle()
    assert observed_version(registry, "acme") == version.version


async def test_restarted_server_does_not_answer_with_the_base_before_the_version_is_loaded(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    version = publisher.publish("acme")
    engine = FakeEngine(base=tiny_shape)
    restarted = make_server(registry, engine, tmp_path)
    await restarted.activator.settle()
    await engine.start()
    with pytest.raises(Unavailable) as refused:
        await restarted.ask()
    assert refused.value.reason == "ADAPTER_LOADING"
    await restarted.activator.settle()
    assert (await restarted.ask()).version == version.version


async def test_replica_is_settled_once_every_version_was_loaded_or_found_impossible_to(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    broken = publisher.publish("acme")
    shutil.rmtree(registry.artifacts.directory(broken.artifact).parent)
    publisher.publish("globex")
    engine = FakeEngine(base=tiny_shape)
    restarted = make_server(registry, engine, tmp_path)
    await restarted.activator.settle()
    assert not restarted.activator.is_settled(await engine.info()), "the engine is not started"
    await engine.start()
    await restarted.activator._begin()
    assert not restarted.activator.is_settled(await engine.info())
    await restarted.activator.settle()
    info = await engine.info()
    assert restarted.activator.is_settled(info)
    assert not restarted.activator.is_settled(replace(info, rebuilds=1)), "a new engine has to be looked at"


async def test_tenants_that_find_no_place_do_not_keep_a_replica_from_being_settled(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    publisher.publish("acme")
    publisher.publish("globex")
    engine = FakeEngine(base=tiny_shape)
    await engine.start()
    small = make_server(registry, engine, tmp_path, places=3)
    await small.activator.settle()
    info = await engine.info()
    assert len(info.loaded) == 1
    assert small.activator.is_settled(info)


async def test_adapter_that_the_engine_lost_is_loaded_again(server: Server, publisher: Publisher) -> None:
    version = publisher.publish("acme")
    await server.activator.settle()
    await server.engine.unload(version.engine_name)
    with pytest.raises(Unavailable):
        await server.ask()
    await server.activator.settle()
    assert (await server.ask()).version == version.version


async def test_old_versions_are_unloaded_when_nobody_can_need_them(server: Server, publisher: Publisher) -> None:
    versions = []
    for _ in range(5):
        versions.append(publisher.publish("acme"))
        await server.activator.settle()
    await server.activator.settle()
    loaded = (await server.engine.info()).loaded
    assert set(loaded) == {version.engine_name for version in versions[-3:]}


async def test_closed_window_unloads_the_version_before(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    engine = FakeEngine(base=tiny_shape)
    await engine.start()
    server = make_server(registry, engine, tmp_path, window_seconds=0)
    publisher.publish("acme")
    await server.activator.settle()
    newest = publisher.publish("acme")
    await server.activator.settle()
    await server.activator.settle()
    assert (await engine.info()).loaded == (newest.engine_name,)


async def test_version_in_use_is_not_unloaded(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    engine = FakeEngine(base=tiny_shape)
    await engine.start()
    server = make_server(registry, engine, tmp_path, window_seconds=0)
    used = publisher.publish("acme")
    await server.activator.settle()
    async with aclosing(server.answers.stream("acme", HELLO, Sampling())) as events:
        await anext(events)
        publisher.publish("acme")
        await server.activator.settle()
        await server.activator.settle()
        assert used.engine_name in (await engine.info()).loaded
        assert len([event async for event in events]) > 0
    await server.activator.settle()
    assert used.engine_name not in (await engine.info()).loaded


async def test_loop_notices_a_promotion_at_once_when_woken(
    server: Server, registry: Registry, publisher: Publisher
) -> None:
    loop = asyncio.create_task(server.activator.run())
    version = publisher.publish("acme")
    server.activator.wake()
    await eventually(lambda: registry.versions.observed("acme"))
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)
    assert observed_version(registry, "acme") == version.version


async def test_version_in_flight_at_the_engines_death_can_be_quarantined_by_its_engine_name(
    server: Server, registry: Registry, publisher: Publisher
) -> None:
    version = publisher.publish("acme")
    await server.activator.settle()
    await server.activator.quarantine([version.engine_name, "a-candidate@c1"], reason="engine died twice under it")
    assert registry.versions.get("acme", version.version).state is VersionState.QUARANTINED
    await server.activator.settle()
    assert (await server.ask()).version == BASE_VERSION


async def test_suspected_version_is_out_of_service_until_it_is_cleared(
    server: Server, registry: Registry, publisher: Publisher
) -> None:
    first, second = publisher.publish("acme"), publisher.publish("acme")
    await server.activator.settle()
    await server.activator.suspend([second.engine_name, "a-candidate@c1"], reason="in use at two deaths of the engine")
    await server.activator.settle()
    assert (await server.ask()).version == first.version
    assert registry.versions.get("acme", second.version).state is VersionState.READY
    await server.activator.resume([second.engine_name], reason="the engine lived when it was tried alone")
    await server.activator.settle()
    assert (await server.ask()).version == second.version


async def test_adapter_under_which_the_engine_keeps_failing_is_quarantined(
    server: Server, registry: Registry, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(adapter: str | None, question: str) -> str | None:
        if adapter is not None:
            raise EngineFailed("out of memory")
        return None

    monkeypatch.setattr(server.engine, "_answerer", fail)
    version = publisher.publish("acme")
    states = []
    for _ in range(3):
        await server.activator.settle()
        states.append(registry.versions.get("acme", version.version).state)
    assert states == [VersionState.READY, VersionState.READY, VersionState.QUARANTINED]


async def test_version_that_is_not_as_it_was_signed_is_never_loaded(
    server: Server, registry: Registry, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = publisher.publish("acme")
    await server.activator.settle()
    seals = Seals.open(tmp_path, registry)
    monkeypatch.setattr(
        server.activator._loader, "_require_seal", lambda version: None if version == good else seals.require(version)
    )
    forged = publisher.publish("acme")
    await server.activator.settle()
    assert registry.versions.get("acme", forged.version).reason.startswith("not_sealed")
    assert forged.engine_name not in (await server.engine.info()).loaded
    assert (await server.ask()).version == good.version


async def test_version_of_an_unknown_signer_waits_for_its_key_and_nothing_is_condemned(
    server: Server, registry: Registry, publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = publisher.publish("acme")
    await server.activator.settle()
    before = await server.ask()
    learner = KeyRing(tmp_path / "learner" / "keys", registry)
    registry.trusted_keys.remove(learner.own_key(), actor="ann")

    def require(version: AdapterVersion) -> None:
        if version != good and not registry.trusted_keys.find([learner.own_key()]):
            raise UnknownSigner(f"signed by {learner.own_key()}")

    monkeypatch.setattr(server.activator._loader, "_require_seal", require)
    waiting = publisher.publish("acme")
    document = waiting.documents[0]
    rows = len(registry.audit.rows())
    with capture_logs() as logs:
        for _ in range(3):
            await server.activator.settle()
    assert (await server.ask()).text == before.text, "the version before goes on"
    assert registry.versions.get("acme", waiting.version).state is VersionState.READY
    assert registry.tenants.get("acme").desired_version == waiting.version
    assert registry.documents.get("acme", document).state is DocumentState.LEARNED
    assert len(registry.audit.rows()) == rows
    assert [line["event"] for line in logs] == ["version.not_loaded"], "one alarm, not one a look"

    engine = FakeEngine()
    await engine.start()
    restarted = make_server(registry, engine, tmp_path)
    monkeypatch.setattr(restarted.activator._loader, "_require_seal", require)
    await restarted.activator.settle()
    with pytest.raises(Unavailable, match="operator") as refused:
        await restarted.ask()
    assert refused.value.reason == "UNKNOWN_SIGNER"

    learner.trust(Ed25519PublicKey.from_public_bytes(registry.trusted_keys.get(learner.own_key()).public_key))
    for one in (server, restarted):
        await one.activator.settle()
        assert (await one.ask()).version == waiting.version


async def test_version_of_another_base_model_waits_for_the_right_setting(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    version = publisher.publish("acme")
    other = FakeEngine(base=tiny_shape, max_rank=2)
    await other.start()
    server = make_server(registry, other, tmp_path)
    await server.activator.settle()
    with pytest.raises(Unavailable) as refused:
        await server.ask()
    assert refused.value.reason == "UNFIT_SETTINGS"
    assert registry.versions.get("acme", version.version).state is VersionState.READY
    assert registry.tenants.get("acme").desired_version == version.version
    right = FakeEngine(base=tiny_shape)
    await right.start()
    again = make_server(registry, right, tmp_path)
    await again.activator.settle()
    assert (await again.ask()).version == version.version
