"""A replica killed at each commit of a watch: the next one takes the watch up, and it ends once, as it would have."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sealserve.fault_injection import FAULT_POINTS
from sealserve.records.rollouts import WATCH_ACTOR, Count, WatchState
from sealserve.registry.registry import Registry
from tests.rollout import crashing
from tests.rollout.conftest import ITEMS
from tests.serving.conftest import Publisher

pytestmark = pytest.mark.slow  # each test kills a process

ROOT = Path(__file__).parents[2]
POINTS = [point for point in FAULT_POINTS if point.startswith("registry.rollouts.")]


def _run(directory: Path, base: Path, *, fault: str, wrong: bool) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.rollout.crashing", directory, base, *(["wrong"] if wrong else [])],
        env={**os.environ, "SEALSERVE_FAULT": fault},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("point", POINTS)
async def test_replica_killed_in_a_watch_is_followed_by_one_that_ends_it_once(
    registry: Registry, publisher: Publisher, tmp_path: Path, tiny_base: Path, point: str
) -> None:
    registry.question_sets.add("acme", "days", ITEMS, actor="ann")
    good, new = publisher.publish("acme"), publisher.publish("acme")
    is_wrong = "roll_back" in point
    killed = _run(tmp_path, tiny_base, fault=f"{point}:kill", wrong=is_wrong)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
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
