"""Which versions may not answer any more: quarantined ones, and those a tenant was rolled back from."""

import pytest

from sealserve.errors import FailedPrecondition, NotFound
from sealserve.records.versions import Answering
from tests.registry.world import World


def _revoked(world: World, *versions: int, activation: int) -> frozenset[int]:
    answering = Answering(tenant="acme", activation=activation, versions=frozenset(versions))
    return world.registry.versions.revoked([answering]).get("acme", frozenset())


def _rollback(world: World, to_version: int | None = None) -> None:
    world.registry.versions.rollback("acme", to_version=to_version, expected_etag=None, actor="ann", reason="bad")


def _promote(world: World, version: int) -> None:
    world.registry.versions.promote("acme", version, expected_etag=None, actor="ann", reason="by hand")


def test_promotion_revokes_nothing(world: World) -> None:
    for _ in range(3):
        world.version()
    assert _revoked(world, 1, activation=1) == frozenset()
    assert _revoked(world, 2, 1, activation=2) == frozenset()


def test_version_that_was_rolled_back_from_is_revoked_also_when_another_was_promoted_since(world: World) -> None:
    world.version()
    world.version()
    _rollback(world)
    assert _revoked(world, 2, activation=2) == {2}
    world.version()
    assert _revoked(world, 2, activation=2) == {2}
    assert _revoked(world, 1, activation=3) == frozenset()


def test_rollback_past_a_version_revokes_it_too_and_what_shared_its_traffic(world: World) -> None:
    for _ in range(3):
        world.version()
    _rollback(world, 1)
    assert _revoked(world, 2, activation=2) == {2}
    assert _revoked(world, 3, 2, activation=3) == {3, 2}
    assert _revoked(world, 3, 1, activation=3) == {3}, "the desired version is never revoked"


def test_version_promoted_again_after_a_rollback_may_answer(world: World) -> None:
    world.version()
    world.version()
    _rollback(world)
    _promote(world, 2)
    world.version()
    assert _revoked(world, 2, activation=2) == frozenset()
    assert _revoked(world, 1, activation=1) == frozenset()


def test_version_under_a_version_that_was_rolled_back_is_revoked_where_it_was_promoted_over_the_present_one(
    world: World,
) -> None:
    world.version()
    world.version()
    _promote(world, 1)
    _rollback(world)
    assert world.registry.tenants.get("acme").desired_version == 2
    assert _revoked(world, 1, activation=3) == {1}


def test_share_of_traffic_given_to_an_earlier_version_revokes_nothing(world: World) -> None:
    world.version()
    world.version()
    world.registry.rollouts.set_traffic("acme", {2: 0.5, 1: 0.5}, expected_etag=None, actor="ann")
    world.version()
    assert _revoked(world, 2, activation=2) == frozenset()
    assert _revoked(world, 2, 1, activation=3) == frozenset()


def test_quarantined_version_is_revoked_whether_desired_or_not(world: World) -> None:
    world.version()
    world.version()
    world.registry.versions.quarantine("acme", 1, actor="serve", reason="bad")
    assert _revoked(world, 1, activation=1) == {1}
    world.registry.versions.quarantine("acme", 2, actor="serve", reason="bad")
    assert _revoked(world, 2, activation=2) == {2}


def test_version_that_learned_an_unlearned_document_is_revoked(world: World) -> None:
    world.version()
    newest = world.version()
    world.registry.unlearning.unlearn("acme", newest.documents[-1], actor="ann", reason="asked to")
    assert _revoked(world, 2, activation=2) == {2}
    assert world.registry.tenants.get("acme").desired_version == 1


def test_base_model_is_never_revoked(world: World) -> None:
    world.version()
    assert _revoked(world, 0, activation=0) == frozenset()


def test_request_may_name_a_version_that_is_ready_released_and_was_not_taken_back(world: World) -> None:
    for _ in range(4):
        world.version()
    world.registry.versions.quarantine("acme", 1, actor="serve", reason="bad")
    _rollback(world)
    held = world.version(held=True)
    spare = world.version(promote=False)
    assert world.registry.versions.answerable("acme", most=100) == (spare.version, 3, 2)
    assert world.registry.versions.require_answerable("acme", 2).version == 2
    for version, reason in ((1, "VERSION_QUARANTINED"), (4, "VERSION_REVOKED"), (held.version, "AWAITS_APPROVAL")):
        with pytest.raises(FailedPrecondition) as refused:
            world.registry.versions.require_answerable("acme", version)
        assert refused.value.reason == reason
    with pytest.raises(NotFound):
        world.registry.versions.require_answerable("acme", 99)


def test_version_that_was_promoted_again_may_be_named(world: World) -> None:
    world.version()
    world.version()
    _rollback(world)
    assert world.registry.versions.answerable("acme", most=100) == (1,)
    _promote(world, 2)
    assert world.registry.versions.answerable("acme", most=100) == (2, 1)
