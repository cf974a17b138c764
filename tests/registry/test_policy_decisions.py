"""Decisions by written rules are kept whole, once, and what they stopped stands in the audit trail."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sealserve.errors import NotFound
from sealserve.records.policy_decisions import PolicyDecision, RuleEffect, RuleResult
from tests.registry.world import World

HELD = PolicyDecision(
    ruling="r1",
    tenant="acme",
    event="adapter.promote",
    subject="c1",
    effect=RuleEffect.HOLD,
    bundle="b" * 64,
    input={"verdict": {"decision": "hold"}},
    results=(
        RuleResult(rule="promote.held", effect=RuleEffect.HOLD, reason="a human decides", error=""),
        RuleResult(rule="promote.verdict", effect=RuleEffect.ALLOW, reason="", error=""),
    ),
    milliseconds=0.2,
    decided_at=datetime(2026, 11, 21, tzinfo=UTC),
)


def test_a_decision_is_kept_whole_and_once(world: World) -> None:
    world.registry.policy_decisions.keep(HELD)
    world.registry.policy_decisions.keep(HELD)
    assert world.registry.policy_decisions.get("r1") == HELD
    assert world.registry.policy_decisions.page(tenant="acme", subject="c1") == (HELD,)
    assert HELD.reasons == ("promote.held: a human decides",)


def test_the_newest_come_first_and_other_tenants_are_left_out(world: World) -> None:
    others = [replace(HELD, ruling=f"r{n}", tenant="globex", effect=RuleEffect.ALLOW) for n in (2, 3)]
    for ruling in (HELD, *others):
        world.registry.policy_decisions.keep(ruling)
    assert [one.ruling for one in world.registry.policy_decisions.page(last=2)] == ["r3", "r2"]
    assert world.registry.policy_decisions.page(tenant="acme") == (HELD,)


def test_only_what_was_stopped_stands_in_the_audit_trail(world: World) -> None:
    before, _ = world.registry.audit.head()
    world.registry.policy_decisions.keep(replace(HELD, ruling="r2", effect=RuleEffect.ALLOW))
    assert world.registry.audit.head()[0] == before
    world.registry.policy_decisions.keep(HELD)
    [row] = world.registry.audit.rows(after=before)
    assert (row.action, row.subject, row.details["rules"]) == ("policy.hold", "c1", ["promote.held"])


def test_a_decision_that_never_was_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.registry.policy_decisions.get("r9")


def test_author_of_a_cycle_is_who_started_it(world: World) -> None:
    for tenant, actor in (("acme", "ann"), ("globex", "bea")):
        world.document(tenant)
        cycle = world.registry.cycles.start(tenant, trigger="rpc", actor=actor).cycle
        assert world.registry.policy_decisions.cycle_author(cycle) == actor
    assert world.registry.policy_decisions.cycle_author("nothing") == ""
