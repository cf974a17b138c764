"""Silence is calls that have ended and of which nothing is recorded: neither no traffic nor a long answer."""

from contextlib import aclosing

import pytest

from sealserve.errors import StorageFailed
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.records.rollouts import Count, Trigger, WatchState
from tests.rollout.conftest import Watched


def refused(*_: object) -> None:
    raise StorageFailed("the disk is full")


async def test_no_traffic_takes_nothing_back(watched: Watched) -> None:
    await watched.promote()
    watched.time.seconds += 10_000
    await watched.settle()
    assert watched.watch().state is WatchState.OPEN


async def test_silence_after_answers_takes_the_version_back(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    await watched.promote()
    second = await watched.promote()
    monkeypatch.setattr(watched.registry.rollouts, "add_counts", refused)
    assert await watched.ask("Who are you?") == second.version
    watched.time.seconds += 119
    await watched.settle()
    assert watched.watch().state is WatchState.OPEN
    watched.time.seconds += 1
    await watched.settle()
    assert watched.watch().trigger is Trigger.SILENCE
    assert await watched.ask("Who are you?") == second.version - 1


async def test_answer_that_streams_for_long_is_no_silence(watched: Watched) -> None:
    await watched.promote()
    second = await watched.promote()
    turns = (ChatTurn(role="user", content="Tell me all."),)
    async with aclosing(watched.answers.stream("acme", turns, Sampling(), deadline_seconds=600)) as events:
        await anext(events)
        watched.time.seconds += 121
        await watched.settle()
        assert watched.watch().state is WatchState.OPEN
        _ = [event async for event in events]
    await watched.settle()
    watched.time.seconds += 1000
    await watched.settle()
    assert watched.watch().state is WatchState.OPEN
    assert await watched.ask("Who are you?") == second.version


async def test_registry_that_is_away_for_a_moment_loses_no_count(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched.promote()
    await watched.promote()

    with monkeypatch.context() as patched:
        patched.setattr(watched.registry.rollouts, "add_counts", refused)
        await watched.ask_all(n=5)
    assert watched.watch().counts[Count.PAIRS] == 0
    watched.time.seconds += 1000
    await watched.controller.look()
    assert watched.watch().counts[Count.PAIRS] == 5
    assert watched.watch().state is WatchState.OPEN
