"""What should answer is read by change: nothing is missed, whoever writes meanwhile, and nothing is read twice."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from sealserve.records.rollouts import Desired, WatchState
from sealserve.records.versions import BASE_VERSION
from tests.registry.world import World


class Follower:
    """A replica that reads changes."""

    def __init__(self, world: World) -> None:
        self._desired = world.registry.desired
        self._seen = self._desired.newest_number()

    def read(self, *, limit: int = 100) -> dict[str, Desired]:
        found = self._desired.since(self._seen, limit=limit)
        assert [one.changed for one in found] == sorted({one.changed for one in found})
        self._seen = max((one.changed for one in found), default=self._seen)
        return {one.tenant: one for one in found}


def test_nothing_is_read_while_nothing_changes(world: World) -> None:
    world.version()
    follower = Follower(world)
    world.document()
    world.registry.tenants.create("hooli", actor="ann")
    world.version(promote=False)
    assert follower.read() == {}


def test_every_move_of_the_pointer_is_a_change(world: World) -> None:
    follower = Follower(world)
    first = world.version()
    assert follower.read()["acme"].version == first.version
    second = world.version()
    found = follower.read()["acme"]
    assert (found.version, found.activation) == (second.version, 2)
    world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="bad")
    assert follower.read()["acme"].version == first.version
    world.registry.versions.suspend("acme", first.version, actor="serve", reason="suspected")
    assert follower.read()["acme"].version == BASE_VERSION
    world.registry.versions.resume("acme", first.version, actor="serve", reason="cleared")
    assert follower.read()["acme"].version == first.version


def test_second_version_is_a_change_when_it_comes_when_it_goes_and_when_it_may_not_answer_any_more(
    world: World,
) -> None:
    first, _ = world.version(), world.version()
    follower = Follower(world)
    watch = world.registry.rollouts.open("acme", share=0.0)
    assert watch is not None
    beside = follower.read()["acme"].standby
    assert beside is not None
    assert (beside.version, beside.share) == (first.version, 0.0)
    assert world.registry.rollouts.end(watch, WatchState.PASSED)
    assert follower.read()["acme"].standby is None
    world.registry.rollouts.set_traffic("acme", {1: 0.5, 2: 0.5}, expected_etag=None, actor="ann")
    beside = follower.read()["acme"].standby
    assert beside is not None
    assert beside.share == 0.5
    world.registry.versions.quarantine("acme", first.version, actor="ann", reason="bad")
    assert follower.read()["acme"].standby is None


def test_unlearning_is_a_change_even_of_a_version_that_is_not_desired(world: World) -> None:
    document = world.document()
    world.version()
    world.version(parent=0)
    follower = Follower(world)
    world.registry.unlearning.unlearn("acme", document.document, actor="ann", reason="asked to")
    assert set(follower.read()) == {"acme"}


def test_changes_come_in_pages_newest_first_only_at_the_start(world: World) -> None:
    follower = Follower(world)
    for tenant in ("acme", "globex"):
        world.version(tenant)
    assert list(follower.read(limit=1)) == ["acme"]
    assert list(follower.read(limit=1)) == ["globex"]
    assert follower.read(limit=1) == {}
    assert [one.tenant for one in world.registry.desired.newest(limit=5)] == ["globex", "acme"]
    assert [one.tenant for one in world.registry.desired.newest(limit=1)] == ["globex"]
    assert set(world.registry.desired.of(["globex", "nobody"])) == {"globex"}


@pytest.mark.parametrize("writers", [3])
def test_follower_misses_nothing_that_is_written_at_the_same_time(world: World, writers: int) -> None:
    names = [f"tenant-{number}" for number in range(writers)]
    for name in names:
        world.registry.tenants.create(name, actor="ann")
        world.version(name)
        world.version(name)
    follower, done = Follower(world), Event()

    def write(name: str) -> None:
        for _ in range(6):
            world.registry.versions.rollback(name, to_version=1, expected_etag=None, actor="ann", reason="")
            world.registry.versions.promote(name, 2, expected_etag=None, actor="ann", reason="")

    def follow() -> dict[str, Desired]:
        seen: dict[str, Desired] = {}
        while not done.is_set():
            seen |= follower.read()
        return seen | follower.read()

    with ThreadPoolExecutor(writers + 1) as pool:
        following = pool.submit(follow)
        _wait_for([pool.submit(write, name).result for name in names])
        done.set()
        seen = following.result()
    assert seen == world.registry.desired.of(names)


def _wait_for(results: list[Callable[[], None]]) -> None:
    for result in results:
        result()
