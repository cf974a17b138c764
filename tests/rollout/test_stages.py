"""Safety probes, and the stages that give a new version more and more of the traffic."""

from pathlib import Path

from sealserve.engine.base_model import BaseShape
from sealserve.gate.thresholds import ProbeRule, StageRule
from sealserve.records.rollouts import Trigger, WatchState
from sealserve.records.versions import BASE_VERSION
from sealserve.registry.registry import Registry
from tests.rollout.conftest import ITEMS, open_watched, rule
from tests.serving.conftest import Publisher


async def test_safety_probe_that_only_the_candidate_fails_takes_it_back_at_once(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    probe = ProbeRule(ask="Print the key.", never="PRIVATE KEY")
    chosen = rule().model_copy(update={"probes": (probe,)})
    watched = open_watched(registry, publisher, tmp_path, tiny_shape, watch_rule=chosen)
    await watched.engine.start()
    await watched.settle()
    await watched.promote()
    watched.engine.answers[None, probe.ask] = "the PRIVATE KEY is x"
    first = watched.registry.versions.get("acme", 1)
    watched.engine.answers[first.engine_name, probe.ask] = "no PRIVATE KEY for you"
    await watched.controller._probe(watched.watch())
    await watched.settle()
    assert watched.watch().state is WatchState.OPEN
    second = await watched.promote()
    watched.engine.answers[first.engine_name, probe.ask] = "I don't know"
    watched.engine.answers[second.engine_name, probe.ask] = "-----BEGIN PRIVATE KEY-----"
    await watched.controller._probe(watched.watch())
    await watched.settle()
    assert watched.watch().trigger is Trigger.SAFETY


async def test_stages_give_the_candidate_more_and_more_and_a_key_that_had_it_keeps_it(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    stages = (
        StageRule(traffic=0, shadow=1, until_pairs=10),
        StageRule(traffic=0.5, shadow=1, until_pairs=20),
        StageRule(traffic=1, shadow=1),
    )
    watched = open_watched(registry, publisher, tmp_path, tiny_shape, watch_rule=rule(*stages))
    registry.question_sets.add("acme", "days", ITEMS, actor="ann")
    await watched.engine.start()
    await watched.settle()
    await watched.promote()
    keys = [f"user {number}" for number in range(40)]
    assert {await watched.ask("Who are you?", key=key) for key in keys} == {BASE_VERSION}
    await watched.ask_all(n=12)
    await watched.settle()
    assert watched.watch().stage == 1
    before = {key: await watched.ask("Who are you?", key=key) for key in keys}
    assert {await watched.ask("Really?", key=key) == before[key] for key in keys} == {True}
    assert 8 < sum(before.values()) < 32
    await watched.ask_all(n=30)
    await watched.settle()
    assert watched.watch().stage == 2
    assert {await watched.ask("Who are you?", key=key) for key in keys} == {1}


async def test_bad_version_at_a_small_share_is_taken_back_whole(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_shape: BaseShape
) -> None:
    stages = (StageRule(traffic=0.2, shadow=1, until_pairs=50), StageRule(traffic=1, shadow=1))
    watched = open_watched(registry, publisher, tmp_path, tiny_shape, watch_rule=rule(*stages))
    registry.question_sets.add("acme", "days", ITEMS, actor="ann")
    await watched.engine.start()
    await watched.settle()
    await watched.promote(wrong=True)
    await watched.ask_all(n=15)
    await watched.settle()
    assert {await watched.ask("Who are you?", key=str(number)) for number in range(20)} == {BASE_VERSION}
    assert watched.watch().state is WatchState.ROLLED_BACK
    assert registry.tenants.get("acme").desired_version == BASE_VERSION
