"""The second version in the engine: loaded with the first, gone when it may not answer, and in nobody's way."""

import asyncio

import pytest

from sealserve.engine.engine import AdapterFiles
from sealserve.errors import Unavailable
from sealserve.records.rollouts import Count, WatchState
from tests.rollout.conftest import ITEMS, Watched
from tests.serving.conftest import eventually


async def test_version_quarantined_while_it_shares_traffic_answers_nobody_any_more(watched: Watched) -> None:
    first = await watched.promote()
    second = await watched.promote()
    watched.registry.rollouts.set_traffic("acme", {2: 0.5, 1: 0.5}, expected_etag=None, actor="ann")
    await watched.settle()
    keys = [str(number) for number in range(30)]
    assert {await watched.ask("Who?", key=key) for key in keys} == {first.version, second.version}
    watched.registry.versions.quarantine("acme", first.version, actor="ann", reason="forgotten")
    await watched.settle()
    assert {await watched.ask("Who?", key=key) for key in keys} == {second.version}


async def test_every_answer_of_shared_traffic_names_the_version_that_gave_it(watched: Watched) -> None:
    first = await watched.promote()
    second = await watched.promote()
    for made in (first, second):
        watched.engine.answers[made.engine_name, "Who?"] = made.engine_name
    shared = watched.registry.rollouts.set_traffic("acme", {2: 0.5, 1: 0.5}, expected_etag=None, actor="ann")
    await watched.settle()
    seen = []
    for number in range(20):
        version = await watched.ask("Who?", key=str(number))
        request = watched.engine.requests[-1]
        seen.append(request.adapter == watched.registry.versions.get("acme", version).engine_name)
    assert all(seen)
    assert watched.registry.versions.observed("acme")[0].activation == shared.activation


async def test_full_engine_gives_up_an_idle_second_version_before_it_refuses_a_promotion(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched.promote()
    await watched.promote()
    real, room = watched.engine.load, 2

    async def load(adapter: AdapterFiles) -> None:
        loaded = (await watched.engine.info()).loaded
        if adapter.name not in loaded and len(loaded) >= room:
            raise Unavailable("full", reason="ADAPTERS_FULL")
        await real(adapter)

    monkeypatch.setattr(watched.engine, "load", load)
    other = watched.publisher.publish("globex")
    await watched.settle()
    route = watched.table.route("globex")
    assert route is not None
    assert route.version == other.version
    assert watched.table.standby("acme") is None
    assert await watched.ask("Who?") == 2


async def test_loop_rolls_back_by_itself_while_clients_ask(watched: Watched) -> None:
    good = await watched.promote()
    watched.controller.on_moved = watched.activator.wake
    loops = [asyncio.create_task(watched.activator.run()), asyncio.create_task(watched.controller.run())]
    await watched.promote(wrong=True)
    for item in ITEMS:
        await watched.ask(item.question)
    await eventually(lambda: watched.watch().state is WatchState.ROLLED_BACK)
    await eventually(lambda: (route := watched.table.route("acme")) is not None and route.version == good.version)
    for loop in loops:
        loop.cancel()
    await asyncio.gather(*loops, return_exceptions=True)
    assert watched.failed == 0
    assert await watched.ask("Who?") == good.version


async def test_slow_candidate_fails_several_windows_before_it_is_taken_back(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched.promote()
    await watched.promote()
    slow = iter([1, 1, 2, 3, 3])
    monkeypatch.setattr(watched.controller._latencies, "slow_windows", lambda watch: next(slow))
    for _ in range(3):
        await watched.controller.look()
    assert watched.watch().counts[Count.SLOW_WINDOWS] == 2
    assert watched.watch().state is WatchState.OPEN
    await watched.controller.look()
    assert watched.watch().reason.startswith("slower")
