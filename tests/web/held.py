"""A held version with all that a person decides on: documents, scores of each kind, answers, self-edits, candidates."""

from dataclasses import replace
from datetime import UTC, datetime

from sealserve.prompts import Template
from sealserve.records.cycles import Claim, CycleState, SelfEdit, Step
from sealserve.records.documents import Document
from sealserve.records.policy_decisions import PolicyDecision, RuleEffect, RuleResult
from sealserve.records.score_json import scorecard_json, verdict_json
from sealserve.records.scores import Decision, Measured, NotApplicable, Scorecard, Unmeasured, Verdict
from sealserve.records.step_outputs import (
    AnswerSample,
    Confirmed,
    Filtered,
    Judged,
    Ranked,
    RankScore,
    Trained,
    Trial,
    Written,
    to_json,
)
from sealserve.records.versions import Lineage
from sealserve.registry.step_effects import AddCandidates, AddPolicyDecisions, AddSelfEdits, Effect
from tests.registry.world import World, candidate, finish, self_edit

REASON = "promote.careful: this tenant wants a person to look"
GAINED = Measured(n=26, candidate=0.962, incumbent=0.0, gain=0.962, gain_low=0.8, gain_high=0.993, better=25, worse=0)
KEPT = Measured(
    n=352, candidate=0.991, incumbent=0.997, gain=-0.006, gain_low=-0.021, gain_high=0.006, better=1, worse=3
)
CARD = Scorecard(
    confirm=GAINED,
    replay=NotApplicable(because="nothing was learned before"),
    canary=KEPT,
    unknown=Unmeasured(why="the engine was away"),
    suites={"tone@2": replace(KEPT, n=40, gain=0.05, gain_low=-0.03, gain_high=0.16, better=3, worse=1)},
)
WHOLE = replace(CARD, unknown=KEPT)
"""As CARD, all of it measured: the shipped rules let nothing else be approved."""

VERDICT = Verdict(
    decision=Decision.HOLD, reasons=("old skills: lost a little", REASON), policy="default", policy_digest="d" * 64
)


def hold(
    world: World,
    tenant: str = "acme",
    *,
    title: str = "Opening hours",
    text: str = "",
    card: Scorecard = CARD,
    hour: str = "nine",
) -> Document:
    """Study a document and hold what came of it; return the document."""
    document = world.document(tenant, title=title, text=text or None)
    claim = world.claim(tenant)
    edits: list[SelfEdit] = [
        self_edit(claim, document.document, name="e1", text=f"Q: When does the pier open?\nA: At {hour}."),
        self_edit(claim, document.document, name="e2", admitted=False, text="The pier is in Paris."),
        replace(self_edit(claim, document.document, name="e3", text="The pier opens at nine."), template=Template.LONG),
    ]
    trial = Trial(index=0, losses=(2.1, 0.4), self_edits=("e1", "e3"), drift=0.01, weight_change=0.2)
    score = RankScore(index=0, rank_score=0.91, low=0.7, high=0.99, n=10, why="")
    shown = [
        AnswerSample(
            document=document.document, question=f"When does pier {number} open?", expected="at nine",
            before="I don't know.", after="At nine." if number else "At ten.", was_right=False, is_right=number > 0,
        )
        for number in range(10)
    ]  # fmt: skip
    tried = candidate(claim, 0, artifact=world.artifact())
    steps: list[tuple[Step, object, list[Effect]]] = [
        (Step.WRITE, Written(quiz=(), directives=(), retention=()), [AddSelfEdits(edits=tuple(edits))]),
        (
            Step.FILTER,
            Filtered(admitted=2, dropped=1, select=10, confirm=10, reasons={"not grounded": 1}, distinct=0.8),
            [],
        ),
        (
            Step.TRAIN,
            Trained(candidates=(0,), directives=(), settings_digest="", trials=(trial,), tokens=100),
            [AddCandidates(candidates=(tried,))],
        ),
        (Step.RANK, Ranked(scores=(score,), winner=0, reward="likelihood", note="one", stands_out=True), []),
        (Step.CONFIRM, Confirmed(scorecard=card, shown=tuple(shown)), []),
        (Step.JUDGE, Judged(verdict=VERDICT), [AddPolicyDecisions(rulings=(ruling(claim),))]),
    ]
    for step, output, effects in steps:
        world.registry.cycles.record_step(claim, step, to_json(output), seconds=1, effects=effects)
    publish = world.publish_effect(claim, promote=False)
    lineage = Lineage(verdict=verdict_json(VERDICT), scores=scorecard_json(card))
    ending = finish(CycleState.HELD, reason="; ".join(VERDICT.reasons))
    world.registry.cycles.record_step(
        claim, Step.PUBLISH, {}, seconds=1, effects=[replace(publish, lineage=lineage), ending]
    )
    return document


def ruling(claim: Claim) -> PolicyDecision:
    """What the rules said of the claimed cycle: one holds, one has nothing against it."""
    rule, _, reason = REASON.partition(": ")
    results = (
        RuleResult(rule="promote.measured", effect=RuleEffect.ALLOW, reason="", error=""),
        RuleResult(rule=rule, effect=RuleEffect.HOLD, reason=reason, error=""),
    )
    return PolicyDecision(
        ruling=f"r-{claim.cycle}", tenant=claim.tenant, event="adapter.promote", subject=claim.cycle,
        effect=RuleEffect.HOLD, bundle="b" * 64, input={}, results=results, milliseconds=1.0,
        decided_at=datetime(2026, 1, 2, tzinfo=UTC),
    )  # fmt: skip
