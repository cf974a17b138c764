"""A replica killed at each commit of a watch: the next one takes the watch up, and it ends once, as it would have."""

import signal
from pathlib import Path

import pytest

from sealserve.fault_injection import FAULT_POINTS
from sealserve.records.rollouts import WATCH_ACTOR, Count, WatchState
from sealserve.registry.registry import Registry
from tests.forking import run_child
from tests.rollout import crashing
from tests.rollout.conftest import ITEMS
from tests.serving.conftest import Publisher

pytestmark = pytest.mark.slow  # each test kills a process

POINTS = [point for point in FAULT_POINTS if point.startswith("registry.rollouts.")]


@pytest.mark.parametrize("point", POINTS)
async def test_replica_killed_in_a_watch_is_followed_by_one_that_ends_it_once(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_base: Path, point: str
) -> None:
    registry.question_sets.add("acme", "days", ITEMS, actor="ann")
    good, new = publisher.publish("acme"), publisher.publish("acme")
    is_wrong = "roll_back" in point
    killed = run_child(crashing.run, tmp_path, tiny_base, is_wrong, fault=f"{point}:kill", directory=tmp_path)
    assert killed.code == -signal.SIGKILL, killed.stderr
    assert registry.audit.verify() == registry.audit.head()[0]
    next_one = await crashing.main(tmp_path, tiny_base, wrong=is_wrong)
    (watch,) = registry.rollouts.page("acme").items
    assert watch.state is (WatchState.ROLLED_BACK if is_wrong else WatchState.PASSED)
    assert watch.counts[Count.PAIRS] >= crashing.RULE.stages[0].until_pairs
    moves = [(move.kind, move.version) for move in reversed(registry.versions.activations("acme").items)][2:]
    last = ("rollback", good.version) if is_wrong else ("traffic", new.version)
    assert moves == [("traffic", new.version), last]
    assert [row.actor for row in registry.audit.rows(tenant="acme")].count(WATCH_ACTOR) == len(moves)
    assert registry.rollouts.standby("acme") is None
    assert await next_one.ask("Who are you?") == registry.tenants.get("acme").desired_version == last[1]
    assert next_one.failed == 0
    assert registry.audit.verify() == registry.audit.head()[0]
    next_one.registry.close()
