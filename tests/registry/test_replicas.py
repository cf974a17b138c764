"""Replicas are alive by their heartbeat; what a dead one observed does not count."""

from sealserve.records.versions import Observed
from sealserve.registry.replicas import ALIVE_SECONDS
from tests.registry.world import World


def _announce(world: World, name: str, identity: str = "p1", *, instead_of: str = "") -> bool:
    found = world.registry.replicas.announce(name, identity=identity, address="host:1", instead_of=instead_of)
    return found is None


def _observe(world: World, replica: str) -> None:
    world.registry.versions.record_observed(
        Observed(replica=replica, tenant="acme", version=0, activation=0, observed_at=world.clock())
    )


def _observing(world: World) -> list[str]:
    return [one.replica for one in world.registry.versions.observed("acme")]


def test_observed_counts_only_replicas_that_are_alive(world: World) -> None:
    for name in ("east", "west"):
        assert _announce(world, name)
        _observe(world, name)
    _observe(world, "never-announced")
    assert _observing(world) == ["east", "west"]
    world.clock.advance(ALIVE_SECONDS / 2)
    assert world.registry.replicas.renew("west", identity="p1")
    world.clock.advance(ALIVE_SECONDS / 2 + 1)
    assert _observing(world) == ["west"]
    assert [one.replica for one in world.registry.replicas.alive()] == ["west"]
    assert world.registry.replicas.renew("east", identity="p1"), "it was only slow"
    assert _observing(world) == ["east", "west"]


def test_replica_that_leaves_is_gone_with_what_it_observed(world: World) -> None:
    _announce(world, "east")
    _observe(world, "east")
    world.registry.replicas.leave("east", identity="another process")
    assert _observing(world) == ["east"]
    world.registry.replicas.leave("east", identity="p1")
    assert world.registry.replicas.alive() == ()
    _announce(world, "east")
    assert _observing(world) == []


def test_name_of_a_live_replica_is_refused_and_nothing_changes(world: World) -> None:
    _announce(world, "east", "p1")
    _observe(world, "east")
    before = world.registry.replicas.alive()
    found = world.registry.replicas.announce("east", identity="p2", address="other:1")
    assert (found,) == before
    assert world.registry.replicas.alive() == before
    assert _observing(world) == ["east"]
    assert not world.registry.replicas.renew("east", identity="p2")


def test_name_is_free_for_its_own_process_for_one_that_ended_and_after_silence(world: World) -> None:
    assert _announce(world, "east", "p1")
    assert _announce(world, "east", "p1")
    assert _announce(world, "east", "p2", instead_of="p1")
    world.clock.advance(ALIVE_SECONDS + 1)
    assert _announce(world, "east", "p3")
    assert not world.registry.replicas.renew("east", identity="p2")


def test_restarted_replica_has_observed_nothing_yet(world: World) -> None:
    _announce(world, "east", "p1")
    _observe(world, "east")
    _announce(world, "east", "p2", instead_of="p1")
    assert _observing(world) == []


def test_replicas_long_silent_are_removed(world: World) -> None:
    for name in ("pod-1", "pod-2"):
        _announce(world, name)
        _observe(world, name)
    world.clock.advance(3600)
    _announce(world, "pod-3")
    assert [one.replica for one in world.registry.replicas.alive()] == ["pod-3"]
    assert not world.registry.replicas.renew("pod-1", identity="p1")
    _announce(world, "pod-1")
    assert _observing(world) == []
