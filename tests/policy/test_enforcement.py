"""Rules are asked before anything happens, and what they stop changes nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sealserve.canonical import Json
from sealserve.errors import FailedPrecondition
from sealserve.gate.statistics import compare
from sealserve.intake.inbox import Inbox
from sealserve.packaged_policies import policy_directory
from sealserve.policy.enforcement import PolicyEnforcer, ruled
from sealserve.policy.rulebook import open_rules
from sealserve.records.cycles import CycleState, Step
from sealserve.records.documents import DocumentState
from sealserve.records.policy_decisions import RuleEffect
from sealserve.records.score_json import scorecard_json
from sealserve.records.scores import Decision, NotApplicable, Scorecard, Verdict
from sealserve.records.versions import Lineage
from sealserve.registry.registry import Registry
from sealserve.settings.settings import IntakeSettings
from tests.registry.world import FakeClock, World, finish

KEPT = compare([True] * 300, [True] * 300, confidence=0.95)
CARD = Scorecard(
    confirm=compare([True] * 20, [False] * 20, confidence=0.95),
    replay=NotApplicable(because="nothing learned earlier"),
    canary=KEPT,
    unknown=KEPT,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    clock = FakeClock()
    url = f"sqlite:///{tmp_path}/registry.db"
    registry = Registry.open(url, tmp_path / "artifacts", clock=clock)
    registry.tenants.create("acme", actor="ann")
    return World(registry=registry, clock=clock, directory=tmp_path, url=url)


@pytest.fixture
def enforcer(world: World) -> PolicyEnforcer:
    return PolicyEnforcer(world.registry, open_rules())


def published(world: World, **lineage: Json) -> int:
    """Publish a held version with that lineage; return its number."""
    world.document()
    claim = world.claim()
    publish = replace(world.publish_effect(claim, promote=False), lineage=Lineage.from_json(lineage))
    world.registry.cycles.record_step(claim, Step.PUBLISH, {}, seconds=1, effects=[publish, finish(CycleState.HELD)])
    return world.registry.versions.page("acme", page_size=1).items[0].version


def verdict(decision: Decision) -> Json:
    return {"decision": decision.value, "reasons": [], "policy": "default", "policy_digest": "d" * 64}


def test_a_person_promotes_what_the_gate_held_and_the_ruling_is_kept(world: World, enforcer: PolicyEnforcer) -> None:
    version = published(world, verdict=verdict(Decision.HOLD), scores=scorecard_json(CARD))
    enforcer.require_promote("acme", version, actor="bea")
    [ruling] = world.registry.policy_decisions.page(tenant="acme")
    assert (ruling.effect, ruling.subject) == (RuleEffect.ALLOW, f"tenants/acme/adapters/v{version}")
    assert ruling.input["author"] == "ann"
    assert ruling.input["approvals"] == ["bea"]


@pytest.mark.parametrize(
    ("lineage", "reason", "rule"),
    [
        ({}, "POLICY_DENIED", "promote.verdict"),
        ({"verdict": verdict(Decision.HOLD)}, "POLICY_DENIED", "promote.measured"),
        (
            {"verdict": verdict(Decision.HOLD), "scores": {}, "imported": {"from": "elsewhere"}},
            "POLICY_DENIED",
            "promote.imported",
        ),
        (
            {"verdict": verdict(Decision.HOLD), "scores": {"confirm": {"why": "the engine was away"}}},
            "POLICY_DENIED",
            "promote.measured",
        ),
    ],
)
def test_what_the_rules_stop_is_said_and_nothing_moves(
    world: World, enforcer: PolicyEnforcer, lineage: Json, reason: str, rule: str
) -> None:
    version = published(world, **lineage)
    before = world.registry.tenants.get("acme")
    with pytest.raises(FailedPrecondition, match=rule) as stopped:
        enforcer.require_promote("acme", version, actor="bea")
    assert stopped.value.reason == reason
    assert world.registry.tenants.get("acme") == before
    assert world.registry.audit.rows()[-1].action.startswith("policy.")


def test_a_refused_document_waits_in_quarantine_with_the_rules_reason(world: World, tmp_path: Path) -> None:
    for name in ("rules", "tests/rules"):
        shutil.copytree(policy_directory() / name, tmp_path / "own" / name)
    overlay = tmp_path / "own/rules/tenants/acme.yaml"
    overlay.parent.mkdir(exist_ok=True)
    overlay.write_text('document.ingest: {vars: {refused_sources: ["http://"]}}')
    enforcer = PolicyEnforcer(world.registry, open_rules(tmp_path / "own"))
    inbox = Inbox(world.registry, IntakeSettings(), refuse=enforcer.refuse_document)
    text = b"The office closes at five."
    refused, _ = inbox.receive("acme", text, media_type="text/plain", source="http://evil.example/x", actor="ann")
    assert (refused.state, "ingest.source" in refused.reason) == (DocumentState.QUARANTINED, True)
    taken, _ = inbox.receive("acme", b"It opens at nine.", media_type="text/plain", source="rpc", actor="ann")
    assert taken.state is DocumentState.ADMITTED


def test_a_list_of_allowed_sources_refuses_all_others(world: World, tmp_path: Path) -> None:
    for name in ("rules", "tests/rules"):
        shutil.copytree(policy_directory() / name, tmp_path / "own" / name)
    overlay = tmp_path / "own/rules/tenants/acme.yaml"
    overlay.parent.mkdir(exist_ok=True)
    overlay.write_text('document.ingest: {vars: {allowed_sources: ["https://acme.example/"]}}')
    enforcer = PolicyEnforcer(world.registry, open_rules(tmp_path / "own"))
    inbox = Inbox(world.registry, IntakeSettings(), refuse=enforcer.refuse_document)
    found = [
        inbox.receive("acme", text, media_type="text/plain", source=source, actor="ann")[0]
        for text, source in ((b"It opens at nine.", "https://acme.example/a"), (b"It closes at five.", "rpc"))
    ]
    assert [one.state for one in found] == [DocumentState.ADMITTED, DocumentState.QUARANTINED]
    assert found[1].reason.startswith("DENIED: ingest.allowed")


def test_a_rollback_is_allowed_and_one_without_a_reason_noted(world: World, enforcer: PolicyEnforcer) -> None:
    world.version()
    enforcer.require_rollback("acme", None, actor="ann", reason="")
    [ruling] = world.registry.policy_decisions.page(tenant="acme")
    assert (ruling.effect, ruling.input["version"]) == (RuleEffect.WARN, {"now": 1, "to": 0})


def test_rulings_only_ever_make_a_verdict_stricter(world: World) -> None:
    rules = open_rules()
    said = Verdict(decision=Decision.PROMOTE, reasons=("gain",), policy="default", policy_digest="d" * 64)
    rulings = {
        effect: replace(rules.rule(rules.bundle().rules[0].event, {}, tenant="acme", subject="c"), effect=effect)
        for effect in RuleEffect
    }
    found = {effect: ruled(said, [ruling]).decision for effect, ruling in rulings.items()}
    assert found[RuleEffect.DENY] is Decision.REJECT
    assert found[RuleEffect.HOLD] is Decision.HOLD
    assert found[RuleEffect.ALLOW] is found[RuleEffect.WARN] is Decision.PROMOTE
    for decision in (Decision.REJECT, Decision.INCONCLUSIVE):
        bad = replace(said, decision=decision)
        assert ruled(bad, list(rulings.values())) == bad
