"""Held versions over the wire: by the right person, once, in time, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from typing import Any

import pytest

from sealserve.client import AsyncClient
from sealserve.errors import BadConfig, Conflict, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.records.approvals import Approval, ApprovalState
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState
from sealserve.records.principals import Principal, Role
from sealserve.records.versions import Lineage
from sealserve.registry.step_effects import Effect
from tests.contract.tree import ROOT
from tests.registry.world import finish
from tests.rpc.harness import Served, served

SCORES = {
    "confirm": {"n": 24, "candidate": 0.9, "incumbent": 0.0, "gain": 0.9, "gain_low": 0.7, "gain_high": 0.97,
                "better": 22, "worse": 0},
}  # fmt: skip


def client_of(here: Served, name: str, role: Role, *tenants: str) -> AsyncClient:
    principal = Principal(name=name, role=role, tenants=tenants or None)
    return AsyncClient(here.address, token=here.registry.tokens.create(principal, actor="test")[1], timeout_seconds=20)


def state(here: Served) -> Any:
    registry = here.registry
    return registry.tenants.get("acme"), registry.approvals.page("acme"), here.world.document_states()


async def hold(here: Served, author: AsyncClient) -> None:
    """The author hands a document in and starts a cycle; its version is held."""
    await author.add_document("acme", "An article about the pier. It is long.")
    await author.start_cycle("acme")
    claim = here.world.claim_open()
    publish = here.world.publish_effect(claim, promote=False)
    lineage = Lineage(verdict={"decision": "hold", "policy": "default"}, scores=SCORES)
    effects: list[Effect] = [
        replace(publish, lineage=lineage),
        finish(CycleState.HELD, reason="the gate leaves this to a human"),
    ]
    here.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=effects)


def rules(overlay: str = "") -> Path:
    """The shipped rules, and `overlay` for the tenant acme: the same files for every test, so they are proven once."""
    return Path(_written_rules(overlay).name) / "policies"


@cache
def _written_rules(overlay: str) -> TemporaryDirectory[str]:
    written = TemporaryDirectory(prefix="sealserve-rules-")
    directory = Path(written.name)
    tenants = directory / "policies/rules/tenants"
    tenants.mkdir(parents=True)
    shipped = (ROOT / "policies/rules/default.yaml").read_text()
    (directory / "policies/rules/default.yaml").write_text(shipped)
    cases = directory / "policies/tests/rules"
    cases.mkdir(parents=True)
    (cases / "default.yaml").write_text((ROOT / "policies/tests/rules/default.yaml").read_text())
    if overlay:
        (tenants / "acme.yaml").write_text(overlay)
    return written


FOUR_EYES = "approval.grant:\n  vars: {four_eyes: true}\n"
TWO_PEOPLE = "adapter.promote:\n  vars: {approvals: 2}\n"


@asynccontextmanager
async def under(directory: Path, overlay: str) -> AsyncIterator[Served]:
    """A server under the shipped rules and those of `overlay`."""
    async with served(directory, rules=rules(overlay)) as here:
        yield here


async def test_approver_sees_what_waits_and_releases_it(here: Served) -> None:
    async with (
        client_of(here, "ann", Role.OPERATOR, "acme") as ann,
        client_of(here, "bea", Role.APPROVER, "acme") as bea,
    ):
        await hold(here, ann)
        (waiting,) = [one async for one in bea.approvals("acme", state=ApprovalState.WAITING)]
        assert (waiting.version, waiting.authors, waiting.reason) == (1, ("ann",), "the gate leaves this to a human")
        assert await bea.approval("acme", 1) == waiting
        etag = (await bea.tenant("acme")).etag
        approval, moved = await bea.approve("acme", 1, etag=etag, reason="read it")
        assert moved is not None
        assert (moved.version, moved.actor) == (1, "bea")
        assert approval.state is ApprovalState.APPROVED
        assert [one async for one in bea.approvals("acme", state=ApprovalState.WAITING)] == []
        assert [one async for one in bea.approvals("acme")] == [approval]


@pytest.mark.parametrize(
    ("role", "tenants", "kind"),
    [
        (Role.VIEWER, ("acme",), PermissionDenied),
        (Role.OPERATOR, ("acme",), PermissionDenied),
        (Role.ENGINE, (), PermissionDenied),
        (Role.APPROVER, ("globex",), NotFound),
    ],
)
async def test_wrong_person_changes_nothing(
    here: Served, role: Role, tenants: tuple[str, ...], kind: type[Exception]
) -> None:
    await hold(here, here.client)
    before = state(here)
    async with client_of(here, "eve", role, *tenants) as eve:
        for decision in (eve.approve("acme", 1), eve.reject("acme", 1, reason="no")):
            with pytest.raises(kind):
                await decision
    assert state(here) == before


async def test_twice_late_and_elsewhere_have_their_own_errors(here: Served) -> None:
    await hold(here, here.client)
    with pytest.raises(Conflict):
        await here.client.approve("acme", 1, etag="0" * 16)
    with pytest.raises(InvalidArgument) as silent:
        await here.client.reject("acme", 1, reason=" ")
    assert silent.value.field == "reason"
    with pytest.raises(FailedPrecondition) as around:
        await here.client.promote("acme", 1)
    assert around.value.reason == "AWAITS_APPROVAL"
    here.world.version()  # the incumbent moves on
    with pytest.raises(FailedPrecondition) as late:
        await here.client.approve("acme", 1)
    assert late.value.reason == "INCUMBENT_MOVED"
    assert (await here.client.reject("acme", 1, reason="late")).state is ApprovalState.REJECTED
    with pytest.raises(FailedPrecondition) as twice:
        await here.client.approve("acme", 1)
    assert twice.value.reason == "ALREADY_DECIDED"
    with pytest.raises(NotFound):
        await here.client.approve("acme", 2)
    with pytest.raises(NotFound):
        await here.client.approval("globex", 1)


async def test_same_request_again_is_the_same_approval(here: Served) -> None:
    await hold(here, here.client)
    first = await here.client.approve("acme", 1, request_id="r1")
    assert await here.client.approve("acme", 1, request_id="r1") == first
    assert here.registry.tenants.get("acme").activation == 1


async def test_where_policy_asks_for_four_eyes_no_author_approves(tmp_path: Path) -> None:
    async with under(tmp_path, FOUR_EYES) as here:
        async with (
            client_of(here, "ann", Role.TENANT_ADMIN, "acme") as ann,
            client_of(here, "bea", Role.APPROVER) as bea,
        ):
            await hold(here, ann)
            before = state(here)
            with pytest.raises(PermissionDenied) as denied:
                await ann.approve("acme", 1)
            assert "approval.four_eyes" in denied.value.message
            assert state(here) == before
            decisions = here.registry.policy_decisions.page(tenant="acme", last=10)
            (ruling,) = [decision for decision in decisions if decision.event != "document.ingest"]
            assert (ruling.event, ruling.effect.value, ruling.input["actor"]) == ("approval.grant", "deny", "ann")
            assert (await bea.approve("acme", 1))[1] is not None


async def test_who_handed_a_document_in_is_an_author_too(tmp_path: Path) -> None:
    async with under(tmp_path, FOUR_EYES) as here:
        async with client_of(here, "ann", Role.TENANT_ADMIN, "acme") as ann:
            await ann.add_document("acme", "Ann's own article.")
            await hold(here, here.client)
            with pytest.raises(PermissionDenied):
                await ann.approve("acme", 1)


async def minted(here: Served, maker: AsyncClient, name: str, role: Role) -> AsyncClient:
    """Whoever holds the token that `maker` makes."""
    _, secret = await maker.create_token(Principal(name=name, role=role, tenants=("acme",)))
    return AsyncClient(here.address, token=secret, timeout_seconds=20)


async def test_an_author_gets_past_four_eyes_by_no_token_of_his_own_making(tmp_path: Path) -> None:
    async with under(tmp_path, FOUR_EYES) as here:
        async with (
            client_of(here, "ann", Role.TENANT_ADMIN, "acme") as ann,
            client_of(here, "boss", Role.TENANT_ADMIN, "acme") as boss,
            await minted(here, ann, "acme/second", Role.TENANT_ADMIN) as second,
            await minted(here, second, "acme/third", Role.APPROVER) as third,
            await minted(here, boss, "acme/bea", Role.APPROVER) as bea,
        ):
            held = here.world.held_document(actor="ann").document
            await hold(here, ann)
            before = state(here)
            for mask in (second, third):
                with pytest.raises(PermissionDenied, match=r"approval\.four_eyes"):
                    await mask.approve("acme", 1)
                with pytest.raises(PermissionDenied, match=r"approval\.four_eyes"):
                    await mask.release_document("acme", held)
            assert state(here) == before
            assert (await bea.approve("acme", 1))[1] is not None


async def test_who_has_a_token_from_an_author_does_not_count_among_the_two(tmp_path: Path) -> None:
    async with under(tmp_path, TWO_PEOPLE) as here:
        async with (
            client_of(here, "ann", Role.TENANT_ADMIN, "acme") as ann,
            client_of(here, "bea", Role.APPROVER) as bea,
            client_of(here, "cid", Role.APPROVER) as cid,
            await minted(here, ann, "acme/mask", Role.APPROVER) as mask,
        ):
            await hold(here, ann)
            for one in (mask, bea):
                assert (await one.approve("acme", 1))[1] is None
            assert (await cid.approve("acme", 1))[1] is not None


async def test_nobody_lets_in_a_held_document_of_his_own_where_policy_asks_for_four_eyes(tmp_path: Path) -> None:
    async with under(tmp_path, FOUR_EYES) as here:
        held = here.world.held_document(actor="ann").document
        async with (
            client_of(here, "ann", Role.TENANT_ADMIN, "acme") as ann,
            client_of(here, "bea", Role.APPROVER) as bea,
        ):
            with pytest.raises(PermissionDenied, match=r"approval\.four_eyes"):
                await ann.release_document("acme", held)
            assert here.registry.documents.get("acme", held).state is DocumentState.HELD
            assert (await bea.release_document("acme", held)).state is DocumentState.ADMITTED
        effects = [ruling.effect.value for ruling in here.registry.policy_decisions.page(tenant="acme", last=10)]
        assert sorted(effects) == ["allow", "deny"]


async def test_without_four_eyes_an_author_may_approve(tmp_path: Path) -> None:
    async with under(tmp_path, "") as here:
        await hold(here, here.client)
        assert (await here.client.approve("acme", 1))[1] is not None
        kept = {
            ruling.event: ruling.effect.value for ruling in here.registry.policy_decisions.page(tenant="acme", last=10)
        }
        assert kept == dict.fromkeys(("document.ingest", "approval.grant", "adapter.promote"), "allow")


async def test_where_policy_wants_two_people_the_second_releases(tmp_path: Path) -> None:
    async with under(tmp_path, TWO_PEOPLE) as here:
        async with client_of(here, "bea", Role.APPROVER) as bea, client_of(here, "cid", Role.APPROVER) as cid:
            await hold(here, here.client)
            first, moved = await bea.approve("acme", 1)
            assert (first.state, moved) == (ApprovalState.WAITING, None)
            with pytest.raises(FailedPrecondition) as twice:
                await bea.approve("acme", 1)
            assert twice.value.reason == "ALREADY_APPROVED"
            second, moved = await cid.approve("acme", 1)
            assert second.state is ApprovalState.APPROVED
            assert moved is not None


async def test_two_who_approve_at_once_release_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, both = PolicyEnforcer.approve, Barrier(2)
    turns = iter((True, True))

    def ask_at_once(self: PolicyEnforcer, held: Approval, *, actor: str) -> Any:
        answer = asked(self, held, actor=actor)
        if next(turns, False):
            both.wait(timeout=10)
        return answer

    monkeypatch.setattr(PolicyEnforcer, "approve", ask_at_once)
    async with under(tmp_path, TWO_PEOPLE) as here:
        async with client_of(here, "bea", Role.APPROVER) as bea, client_of(here, "cid", Role.APPROVER) as cid:
            await hold(here, here.client)
            moves = [moved for _, moved in await asyncio.gather(bea.approve("acme", 1), cid.approve("acme", 1))]
            assert [move is None for move in moves].count(False) == 1
            assert here.registry.approvals.get("acme", 1).state is ApprovalState.APPROVED


async def test_approval_that_cannot_be_endorsed_has_moved_the_pointer_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endorsed: list[int] = []

    def countersign(self: PolicyEnforcer, tenant: str, version: int, *, actor: str) -> None:
        if not endorsed:
            endorsed.append(0)
            raise BadConfig("the signing key cannot be read")
        endorsed.append(version)

    monkeypatch.setattr(PolicyEnforcer, "countersign", countersign)
    async with under(tmp_path, "") as here:
        await hold(here, here.client)
        approval, moved = await here.client.approve("acme", 1)
        assert (approval.state, moved is None) == (ApprovalState.APPROVED, False)
        assert endorsed == [0]
        await here.client.approval("acme", 1)
        assert endorsed == [0, 1]


async def test_who_approves_as_author_does_not_count_among_the_two(tmp_path: Path) -> None:
    async with under(tmp_path, TWO_PEOPLE) as here:
        async with client_of(here, "bea", Role.APPROVER) as bea, client_of(here, "cid", Role.APPROVER) as cid:
            await hold(here, here.client)
            assert (await here.client.approve("acme", 1))[1] is None
            assert (await bea.approve("acme", 1))[1] is None
            assert (await cid.approve("acme", 1))[1] is not None


async def test_who_handed_a_document_in_does_not_count_among_the_two_either(tmp_path: Path) -> None:
    async with under(tmp_path, TWO_PEOPLE) as here:
        async with (
            client_of(here, "dan", Role.TENANT_ADMIN, "acme") as dan,
            client_of(here, "bea", Role.APPROVER) as bea,
            client_of(here, "cid", Role.APPROVER) as cid,
        ):
            await dan.add_document("acme", "Dan's own article.")
            await hold(here, here.client)
            assert (await bea.approve("acme", 1))[1] is None
            waiting, moved = await dan.approve("acme", 1)
            assert (waiting.state, moved) == (ApprovalState.WAITING, None)
            before = state(here)
            with pytest.raises(FailedPrecondition) as twice:
                await dan.approve("acme", 1)
            assert twice.value.reason == "ALREADY_APPROVED"
            assert state(here) == before
            assert (await cid.approve("acme", 1))[1] is not None
            before = state(here)
            with pytest.raises(FailedPrecondition) as late:
                await dan.approve("acme", 1)
            assert late.value.reason == "ALREADY_DECIDED"
            assert state(here) == before


async def test_an_author_who_promotes_is_not_the_second_of_two_people(tmp_path: Path) -> None:
    async with under(tmp_path, TWO_PEOPLE) as here:
        async with client_of(here, "dan", Role.OPERATOR, "acme") as dan, client_of(here, "oda", Role.OPERATOR) as oda:
            await dan.add_document("acme", "Dan's own article.")
            await hold(here, here.client)
            here.registry.approvals.approve("acme", 1, actor="bea", reason="")
            await oda.rollback("acme", reason="try again")
            before = state(here)
            with pytest.raises(FailedPrecondition, match=r"promote\.approvals") as stopped:
                await dan.promote("acme", 1)
            assert stopped.value.reason == "POLICY_HELD"
            assert state(here) == before
            assert (await oda.promote("acme", 1)).version == 1


async def test_pages_of_held_versions_lead_on(tmp_path: Path) -> None:
    async with served(tmp_path) as here:
        for _ in range(3):
            here.world.version(held=True)
        assert [one.version async for one in here.client.approvals("acme")] == [3, 2, 1]
        assert [one.version async for one in here.client.approvals("acme", state=ApprovalState.REJECTED)] == []
