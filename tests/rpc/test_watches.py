"""Traffic and watches over the wire: shared by the right person, in the right parts, once; shown to its tenant."""

import pytest

from sealserve import errors
from sealserve.client import AsyncClient, calls
from sealserve.gate.statistics import e_value
from sealserve.gate.thresholds import load_policy
from sealserve.records.principals import Principal, Role
from sealserve.records.rollouts import Count, Trigger, WatchState
from sealserve.v1 import adapter_pb2
from tests.rpc.harness import Served


async def check_refused(
    here: Served, shares: dict[int, float], error: type[Exception], *, tenant: str = "acme"
) -> None:
    before = here.registry.tenants.get("acme")
    with pytest.raises(error):
        await here.client.set_traffic(tenant, shares)
    assert here.registry.tenants.get("acme") == before


async def test_traffic_is_shared_shown_and_given_back(here: Served) -> None:
    here.world.version()
    here.world.version()
    assert (await here.client.traffic("acme")).shares == {2: 1.0}
    shared = await here.client.set_traffic("acme", {2: 0.9, 1: 0.1}, reason="careful")
    assert shared.shares == {2: 0.9, 1: 0.1}
    assert shared.activation == 3
    assert await here.client.traffic("acme") == shared
    newest = here.registry.versions.activations("acme").items[0]
    assert (newest.kind, newest.version, newest.reason) == ("traffic", 2, "careful")
    whole = await here.client.set_traffic("acme", {2: 1.0}, etag=shared.etag)
    assert whole.shares == {2: 1.0, 1: 0.0}


async def test_bad_weights_are_refused_and_change_nothing(here: Served) -> None:
    here.world.version()
    here.world.version()
    for shares in ({2: 0.9}, {2: 0.9, 1: 0.2}, {2: 1.5, 1: -0.5}, {}, {2: 0.5, 1: 0.3, 0: 0.2}):
        await check_refused(here, shares, errors.InvalidArgument)
    await check_refused(here, {2: 0.9, 7: 0.1}, errors.NotFound)
    await check_refused(here, {1: 1.0}, errors.FailedPrecondition)
    await check_refused(here, {2: 0.5, 1: 0.5}, errors.NotFound, tenant="nobody")
    here.registry.versions.quarantine("acme", 1, actor="ann", reason="bad")
    await check_refused(here, {2: 0.9, 1: 0.1}, errors.FailedPrecondition)


async def test_stale_etag_and_a_version_named_twice_or_not_ones_own_are_refused(here: Served) -> None:
    here.world.version()
    here.world.version()
    stale = (await here.client.tenant("acme")).etag
    await here.client.set_traffic("acme", {2: 0.9, 1: 0.1}, etag=stale)
    with pytest.raises(errors.Conflict):
        await here.client.set_traffic("acme", {2: 0.8, 1: 0.2}, etag=stale)
    call = calls.rollouts.set_traffic("acme", {2: 0.5, 1: 0.5}, etag="", reason="", request_id="")
    assert isinstance(call.request, adapter_pb2.SetTrafficRequest)
    for name in ("tenants/acme/adapters/v2", "tenants/globex/adapters/v1", "v1"):
        call.request.shares[1].adapter = name
        with pytest.raises(errors.InvalidArgument) as found:
            await here.client._unary(call)
        assert found.value.field == "shares.adapter"
    assert (await here.client.traffic("acme")).shares == {2: 0.9, 1: 0.1}


async def test_same_request_id_shares_once(here: Served) -> None:
    here.world.version()
    here.world.version()
    first = await here.client.set_traffic("acme", {2: 0.9, 1: 0.1}, request_id="once")
    assert await here.client.set_traffic("acme", {2: 0.9, 1: 0.1}, request_id="once") == first
    with pytest.raises(errors.InvalidArgument):
        await here.client.set_traffic("acme", {2: 0.8, 1: 0.2}, request_id="once")


async def test_viewer_may_look_and_not_touch_and_a_stranger_sees_nothing(here: Served) -> None:
    here.world.version()
    here.world.version()
    watch = here.registry.rollouts.open("acme", share=0.0)
    assert watch is not None
    tenants = {"viewer": ("acme",), "stranger": ("globex",)}
    for name, seen in tenants.items():
        principal = Principal(name=name, role=Role.VIEWER, tenants=seen)
        here.registry.tokens.enrol(principal, f"{name}-{'s' * 40}", actor="ann")
    async with AsyncClient(here.address, token=f"viewer-{'s' * 40}") as viewer:
        assert (await viewer.watch("acme", watch.activation)).watch.version == 2
        with pytest.raises(errors.PermissionDenied):
            await viewer.set_traffic("acme", {2: 0.9, 1: 0.1})
    async with AsyncClient(here.address, token=f"stranger-{'s' * 40}") as stranger:
        for call in (stranger.watch("acme", watch.activation), stranger.traffic("acme")):
            with pytest.raises(errors.NotFound):
                await call
    assert here.registry.tenants.get("acme").activation == 2


async def test_watch_is_shown_with_its_signals_and_how_it_ended(here: Served) -> None:
    here.world.version()
    here.world.version()
    watch = here.registry.rollouts.open("acme", share=0.0)
    assert watch is not None
    here.registry.rollouts.add_counts("one", {("acme", 2): {Count.PAIRS: 40, Count.WORSE: 9, Count.BETTER: 1}})
    report = await here.client.watch("acme", 2)
    quality = {one.trigger: one for one in report.signals}[Trigger.QUALITY]
    assert (quality.bad, quality.n, quality.tolerated, report.limit) == (9, 10, 0.5, 20)
    assert quality.e_value == pytest.approx(load_policy().watch.quality.share * e_value(9, 1, tolerated=0.5))
    moved = here.registry.rollouts.roll_back(
        watch, trigger=Trigger.QUALITY, reason="9 of 10", decided_at=watch.opened_at
    )
    assert moved is not None
    found = [one.watch async for one in here.client.watches("acme")]
    assert [(one.state, one.trigger, one.reason) for one in found] == [
        (WatchState.ROLLED_BACK, Trigger.QUALITY, "9 of 10")
    ]
    assert found[0].counts[Count.PAIRS] == 40
    with pytest.raises(errors.NotFound):
        await here.client.watch("acme", 1)


async def test_sticky_key_reaches_the_answers_and_one_too_long_does_not(here: Served) -> None:
    await here.client.ask("acme", "Where?", sticky_key="bob")
    _ = [event async for event in here.client.stream("acme", "Where?", sticky_key="bob")]
    assert here.answers.keys == ["bob", "bob"]
    with pytest.raises(errors.InvalidArgument) as found:
        await here.client.ask("acme", "Where?", sticky_key="x" * 257)
    assert found.value.field == "sticky_key"
