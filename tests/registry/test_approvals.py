"""Held versions: released by people alone, once, in time, and with the pointer or not at all."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sealserve.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from sealserve.records.approvals import OPINIONS_MOVED, ApprovalRuling, ApprovalState
from sealserve.records.documents import DocumentState, NewDocument
from tests.registry.world import World


def state(world: World, tenant: str = "acme") -> Any:
    """Everything a decision could change."""
    return (
        world.registry.tenants.get(tenant),
        world.registry.approvals.page(tenant),
        world.document_states(tenant),
        world.registry.versions.activations(tenant).items,
        world.registry.audit.head(),
    )


def expect_refusal(world: World, decide: Callable[[], object], kind: type[Exception]) -> Any:
    """Return the refusal, after checking that nothing changed."""
    before = state(world)
    with pytest.raises(kind) as error:
        decide()
    assert state(world) == before
    return error.value


def test_held_version_waits_and_tells_who_stands_behind_it(world: World) -> None:
    version = world.version(held=True)
    (waiting,) = world.registry.approvals.page("acme")
    assert (waiting.version, waiting.state, waiting.reason) == (1, ApprovalState.WAITING, "because")
    assert waiting.cycle == version.cycle
    assert waiting.authors == ("ann",)
    assert world.registry.approvals.page("globex") == ()


def test_authors_are_who_started_the_cycle_and_who_handed_its_documents_in(world: World) -> None:
    for number, actor in enumerate(["bob", "cid", "bob"]):
        world.registry.documents.add(
            "acme",
            NewDocument(title="t", text=f"Article {number}.", source="rpc", media_type="text/plain"),
            actor=actor,
        )
    world.version(held=True)
    assert world.registry.approvals.get("acme", 1).authors == ("ann", "bob", "cid")


def test_who_handed_in_what_another_let_pass_is_the_author_and_the_other_is_not(world: World) -> None:
    registry = world.registry
    held = world.held_document(actor="eve")
    flooded = world.document().document
    registry.documents.hold("acme", [flooded], reason="ingest.flood", actor="fay")
    for document in (held.document, flooded):
        registry.documents.release("acme", document, actor="bea", reason="read it")
    world.version(held=True)
    assert registry.approvals.get("acme", 1).authors == ("ann", "eve")


def test_approval_moves_the_pointer_and_its_documents_in_one_step(world: World) -> None:
    world.version(held=True)
    approval, moved = world.registry.approvals.approve("acme", 1, actor="bea", reason="read it")
    assert moved is not None
    assert (moved.version, moved.actor, moved.reason, moved.kind) == (1, "bea", "read it", "promote")
    assert approval.state is ApprovalState.APPROVED
    assert [(one.actor, one.approves) for one in approval.opinions] == [("bea", True)]
    assert world.registry.tenants.get("acme").desired_version == 1
    assert set(world.document_states().values()) == {DocumentState.LEARNED}
    actions = [row.action for row in world.registry.audit.rows(tenant="acme")]
    assert actions[-2:] == ["approval.approve", "adapter.promote"]
    world.registry.audit.verify()


def test_second_approval_is_refused(world: World) -> None:
    world.version(held=True)
    world.registry.approvals.approve("acme", 1, actor="bea", reason="")
    again = expect_refusal(
        world, lambda: world.registry.approvals.approve("acme", 1, actor="cid", reason=""), FailedPrecondition
    )
    assert again.reason == "ALREADY_DECIDED"
    assert "bea" in again.message
    late = expect_refusal(
        world, lambda: world.registry.approvals.reject("acme", 1, actor="cid", reason="no"), FailedPrecondition
    )
    assert late.reason == "ALREADY_DECIDED"


def test_same_request_again_is_the_same_approval(world: World) -> None:
    world.version(held=True)
    first = world.registry.approvals.approve("acme", 1, actor="bea", reason="", request_id="r1")
    before = state(world)
    assert world.registry.approvals.approve("acme", 1, actor="bea", reason="", request_id="r1") == first
    assert state(world) == before


def test_approval_is_late_once_the_incumbent_moved_on(world: World) -> None:
    world.version(held=True)
    world.version()
    assert world.registry.approvals.get("acme", 1).state is ApprovalState.LATE
    late = expect_refusal(
        world, lambda: world.registry.approvals.approve("acme", 1, actor="bea", reason=""), FailedPrecondition
    )
    assert late.reason == "INCUMBENT_MOVED"
    assert world.registry.approvals.reject("acme", 1, actor="bea", reason="late").state is ApprovalState.REJECTED


def test_approval_of_another_state_than_the_one_read_is_a_conflict(world: World) -> None:
    world.version(held=True)
    expect_refusal(
        world,
        lambda: world.registry.approvals.approve("acme", 1, actor="bea", reason="", expected_etag="0" * 16),
        Conflict,
    )
    etag = world.registry.tenants.get("acme").etag
    assert world.registry.approvals.approve("acme", 1, actor="bea", reason="", expected_etag=etag)[1] is not None


def test_quarantined_version_cannot_be_approved(world: World) -> None:
    world.version(held=True)
    world.registry.versions.quarantine("acme", 1, actor="serve", reason="killed the engine")
    late = expect_refusal(
        world, lambda: world.registry.approvals.approve("acme", 1, actor="bea", reason=""), FailedPrecondition
    )
    assert late.reason == "INCUMBENT_MOVED"


def test_rejection_keeps_its_reason_and_is_final(world: World) -> None:
    world.version(held=True)
    rejected = world.registry.approvals.reject("acme", 1, actor="bea", reason="answers lack units")
    assert rejected.state is ApprovalState.REJECTED
    assert rejected.opinions[0].reason == "answers lack units"
    assert world.registry.tenants.get("acme").desired_version == 0
    for decide in (
        lambda: world.registry.approvals.approve("acme", 1, actor="cid", reason=""),
        lambda: world.registry.versions.promote("acme", 1, expected_etag=None, actor="cid", reason=""),
    ):
        expect_refusal(world, decide, FailedPrecondition)


@pytest.mark.parametrize("reason", ["", "  \n", "x" * 1025])
def test_rejection_without_a_fitting_reason_is_refused(world: World, reason: str) -> None:
    world.version(held=True)
    expect_refusal(
        world, lambda: world.registry.approvals.reject("acme", 1, actor="bea", reason=reason), InvalidArgument
    )


def test_nobody_promotes_a_held_version_around_the_approval(world: World) -> None:
    world.version(held=True)
    around = expect_refusal(
        world,
        lambda: world.registry.versions.promote("acme", 1, expected_etag=None, actor="ops", reason=""),
        FailedPrecondition,
    )
    assert around.reason == "AWAITS_APPROVAL"


def test_released_version_may_be_left_and_promoted_again(world: World) -> None:
    world.version(held=True)
    world.registry.approvals.approve("acme", 1, actor="bea", reason="")
    world.registry.versions.rollback("acme", expected_etag=None, actor="ops", reason="")
    assert world.registry.versions.promote("acme", 1, expected_etag=None, actor="ops", reason="").version == 1
    assert world.registry.approvals.get("acme", 1).state is ApprovalState.APPROVED


def test_where_several_must_approve_the_last_one_releases(world: World) -> None:
    world.version(held=True)
    first, moved = world.registry.approvals.approve(
        "acme", 1, actor="bea", reason="", ruling=ApprovalRuling(releases=False)
    )
    assert (first.state, moved) == (ApprovalState.WAITING, None)
    assert world.registry.tenants.get("acme").desired_version == 0
    twice = expect_refusal(
        world, lambda: world.registry.approvals.approve("acme", 1, actor="bea", reason=""), FailedPrecondition
    )
    assert twice.reason == "ALREADY_APPROVED"
    second, moved = world.registry.approvals.approve("acme", 1, actor="cid", reason="")
    assert second.state is ApprovalState.APPROVED
    assert moved is not None


def test_approval_that_counted_other_opinions_than_there_are_is_a_conflict(world: World) -> None:
    world.version(held=True)
    read = world.registry.approvals.get("acme", 1).opinions
    waits = ApprovalRuling(releases=False, counted=read)
    world.registry.approvals.approve("acme", 1, actor="bea", reason="", ruling=waits)
    late = expect_refusal(
        world, lambda: world.registry.approvals.approve("acme", 1, actor="cid", reason="", ruling=waits), Conflict
    )
    assert late.reason == OPINIONS_MOVED
    read = world.registry.approvals.get("acme", 1).opinions
    releases = ApprovalRuling(counted=read)
    assert world.registry.approvals.approve("acme", 1, actor="cid", reason="", ruling=releases)[1] is not None


def test_what_was_never_held_has_nothing_to_approve(world: World) -> None:
    world.version()
    for tenant, version in (("acme", 1), ("acme", 9), ("globex", 1), ("nobody", 1)):
        approve, reject = world.registry.approvals.approve, world.registry.approvals.reject
        expect_refusal(world, partial(approve, tenant, version, actor="b", reason=""), NotFound)
        expect_refusal(world, partial(reject, tenant, version, actor="b", reason="x"), NotFound)
