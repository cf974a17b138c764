"""Watches and traffic in the registry: opened once, counted by replica, ended once, the pointer where it belongs."""

import pytest

from sealserve.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.rollouts import Count, Standby, Trigger, Watch, WatchState
from tests.registry.world import World


def opened(world: World, *, share: float = 0.0) -> Watch:
    world.version()
    world.version()
    watch = world.registry.rollouts.open("acme", share=share)
    assert watch is not None
    return watch


def state(world: World) -> tuple[object, ...]:
    registry = world.registry
    return (
        registry.tenants.get("acme"),
        registry.versions.activations("acme").items,
        registry.rollouts.standby("acme"),
        registry.rollouts.page("acme"),
    )


def test_promotion_is_watched_once_and_the_version_before_stands_by(world: World) -> None:
    watch = opened(world)
    assert (watch.version, watch.incumbent, watch.stage, watch.state) == (2, 1, 0, WatchState.OPEN)
    before = state(world)
    assert world.registry.rollouts.open("acme", share=0.5) == watch
    assert state(world) == before
    assert world.registry.rollouts.standby("acme") == Standby(activation=2, version=1, share=0.0)
    assert world.registry.rollouts.open_watches() == (watch,)


def test_rollbacks_and_tenants_without_a_version_are_not_watched(world: World) -> None:
    assert world.registry.rollouts.open("acme", share=0.0) is None
    opened(world)
    world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="")
    assert world.registry.rollouts.open("acme", share=0.0) is None
    assert world.registry.rollouts.standby("acme") is None
    assert world.registry.rollouts.page("acme").items[0].state is WatchState.SUPERSEDED


def test_first_stage_with_less_than_all_traffic_is_an_activation_of_its_own(world: World) -> None:
    watch = opened(world, share=0.9)
    assert world.registry.rollouts.standby("acme") == Standby(activation=3, version=1, share=0.9)
    newest = world.registry.versions.activations("acme").items[0]
    assert (newest.kind, newest.version, newest.actor) == ("traffic", 2, "watch")
    assert world.registry.rollouts.move_stage(watch, 1, share=0.0)
    assert not world.registry.rollouts.move_stage(watch, 1, share=0.0)
    assert world.registry.rollouts.standby("acme") == Standby(activation=4, version=1, share=0.0)


def test_counts_add_up_over_replicas_but_the_slowest_says_how_slow(world: World) -> None:
    watch = opened(world)
    key = (watch.tenant, watch.activation)
    for replica, pairs, slow in (("one", 3, 2), ("two", 4, 1), ("one", 5, 0)):
        world.registry.rollouts.add_counts(
            replica, {key: {Count.PAIRS: pairs, Count.SLOW_WINDOWS: slow}, ("acme", 99): {}}
        )
    found = world.registry.rollouts.get("acme", watch.activation).counts
    assert (found[Count.PAIRS], found[Count.SLOW_WINDOWS], found[Count.WORSE]) == (12, 1, 0)
    assert world.registry.rollouts.open_watches()[0].counts == found


def test_watch_rolls_back_once_and_from_any_stage_to_the_version_before(world: World) -> None:
    watch = opened(world, share=0.5)
    moved = world.registry.rollouts.roll_back(watch, trigger=Trigger.QUALITY, reason="7 of 7", decided_at=world.clock())
    assert moved is not None
    assert (moved.kind, moved.version, moved.actor) == ("rollback", 1, "watch")
    before = state(world)
    again = world.registry.rollouts.roll_back(watch, trigger=Trigger.ERRORS, reason="", decided_at=world.clock())
    assert again is None
    assert not world.registry.rollouts.end(watch, WatchState.PASSED)
    assert state(world) == before
    ended = world.registry.rollouts.get("acme", watch.activation)
    assert (ended.state, ended.trigger) == (WatchState.ROLLED_BACK, Trigger.QUALITY)


def test_watch_that_ended_by_another_hand_moves_nothing(world: World) -> None:
    watch = opened(world)
    world.version()
    before = state(world)
    found = world.registry.rollouts.roll_back(watch, trigger=Trigger.QUALITY, reason="", decided_at=world.clock())
    assert found is None
    assert state(world) == before


def test_passed_watch_lets_the_version_before_go(world: World) -> None:
    watch = opened(world)
    assert world.registry.rollouts.end(watch, WatchState.PASSED)
    assert world.registry.rollouts.standby("acme") is None
    assert world.registry.rollouts.open("acme", share=0.0) is None


def test_person_sets_traffic_with_audit_row_and_the_policy_moves_it_no_more(world: World) -> None:
    opened(world)
    etag = world.registry.tenants.get("acme").etag
    set_to = world.registry.rollouts.set_traffic(
        "acme", {2: 0.75, 1: 0.25}, expected_etag=etag, actor="ann", reason="careful"
    )
    assert (set_to.shares, set_to.activation) == ({2: 0.75, 1: 0.25}, 3)
    assert world.registry.rollouts.traffic("acme") == set_to
    assert world.registry.rollouts.open_watches()[0].stage is None
    moved = world.registry.versions.activations("acme").items[0]
    assert (moved.kind, moved.version, moved.actor, moved.reason) == ("traffic", 2, "ann", "careful")
    row = world.registry.audit.rows(tenant="acme")[-1]
    assert (row.action, row.details["other"], row.details["share"]) == ("adapter.traffic", 1, 0.25)
    back = world.registry.versions.rollback("acme", expected_etag=None, actor="ann", reason="")
    assert (back.version, world.registry.rollouts.standby("acme")) == (1, None)


def test_active_version_alone_ends_the_sharing(world: World) -> None:
    opened(world)
    world.registry.rollouts.set_traffic("acme", {2: 0.5, 1: 0.5}, expected_etag=None, actor="ann")
    assert world.registry.rollouts.set_traffic("acme", {2: 1.0}, expected_etag=None, actor="ann").shares == {
        2: 1.0,
        1: 0.0,
    }


def test_same_request_id_sets_traffic_once(world: World) -> None:
    opened(world)
    shares = {2: 0.8, 1: 0.2}
    first = world.registry.rollouts.set_traffic("acme", shares, expected_etag=None, actor="ann", request_id="once")
    assert (
        world.registry.rollouts.set_traffic("acme", shares, expected_etag=None, actor="ann", request_id="once") == first
    )
    with pytest.raises(InvalidArgument):
        world.registry.rollouts.set_traffic(
            "acme", {2: 0.7, 1: 0.3}, expected_etag=None, actor="ann", request_id="once"
        )
    assert world.registry.tenants.get("acme").activation == first.activation


def test_refused_traffic_changes_nothing(world: World) -> None:
    opened(world)
    stale = world.registry.tenants.get("acme").etag
    world.registry.rollouts.set_traffic("acme", {2: 0.8, 1: 0.2}, expected_etag=stale, actor="ann")
    never = world.version(promote=False).version
    before = state(world)
    cases: list[tuple[dict[int, float], str | None, type[Exception]]] = [
        ({2: 0.7, 1: 0.3}, stale, Conflict),
        ({2: -0.5, 1: 1.5}, None, InvalidArgument),
        ({2: 0.5, 1: 0.4}, None, InvalidArgument),
        ({2: 0.5, 1: float("nan")}, None, InvalidArgument),
        ({}, None, InvalidArgument),
        ({2: 0.4, 1: 0.3, 0: 0.3}, None, InvalidArgument),
        ({1: 1.0}, None, FailedPrecondition),  # without the active one
        ({2: 0.5, never: 0.5}, None, FailedPrecondition),  # never active
        ({2: 0.5, 99: 0.5}, None, NotFound),
    ]
    for shares, etag, error in cases:
        with pytest.raises(error):
            world.registry.rollouts.set_traffic("acme", shares, expected_etag=etag, actor="ann")
    with pytest.raises(NotFound):
        world.registry.rollouts.set_traffic("nobody", {2: 0.7, 1: 0.3}, expected_etag=None, actor="ann")
    assert state(world) == before


def test_quarantined_version_gets_no_traffic(world: World) -> None:
    opened(world)
    world.registry.versions.quarantine("acme", 1, actor="ann", reason="bad")
    before = state(world)
    with pytest.raises(FailedPrecondition):
        world.registry.rollouts.set_traffic("acme", {2: 0.7, 1: 0.3}, expected_etag=None, actor="ann")
    assert state(world) == before


def test_version_that_is_quarantined_while_it_shares_traffic_stands_by_no_more(world: World) -> None:
    opened(world, share=0.5)
    world.registry.versions.quarantine("acme", 1, actor="ann", reason="it learned what was forgotten")
    assert world.registry.rollouts.standby("acme") is None
    assert world.registry.rollouts.standbys() == {}
    assert world.registry.rollouts.traffic("acme").shares == {2: 1.0}


def test_traffic_may_go_to_the_base_model_where_it_answered_before(world: World) -> None:
    world.version()
    world.registry.rollouts.set_traffic("acme", {1: 0.5, 0: 0.5}, expected_etag=None, actor="ann")
    assert world.registry.rollouts.standby("acme") == Standby(activation=2, version=0, share=0.5)
    with pytest.raises(FailedPrecondition):
        world.registry.rollouts.set_traffic("globex", {0: 1.0}, expected_etag=None, actor="ann")
