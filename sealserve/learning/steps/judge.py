"""JUDGE: the gate's word on a scorecard, made stricter by the written rules. Moves nothing."""

import asyncio
from dataclasses import asdict

from sealserve.canonical import Json
from sealserve.gate.verdict import judge
from sealserve.learning.context import LearnContext
from sealserve.learning.journal import Done
from sealserve.policy.enforcement import card_scores, edit_counts, promotion, ruled
from sealserve.policy.events import Event
from sealserve.records.cycles import IMPORT_TRIGGER, Claim
from sealserve.records.policy_decisions import PolicyDecision
from sealserve.records.score_json import verdict_json
from sealserve.records.step_outputs import Claimed, Confirmed, Judged
from sealserve.registry.registry import AddPolicyDecisions


async def judge_winner(context: LearnContext, claim: Claim, claimed: Claimed, confirmed: Confirmed) -> Done[Judged]:
    """Return the verdict, and the rulings to keep with it."""
    verdict = judge(confirmed.scorecard, context.policy)
    rulings = await asyncio.to_thread(_rulings, context, claim, claimed, confirmed, verdict_json(verdict))
    return Done(output=Judged(verdict=ruled(verdict, rulings)), effects=(AddPolicyDecisions(rulings=rulings),))


def _rulings(
    context: LearnContext, claim: Claim, claimed: Claimed, confirmed: Confirmed, verdict: Json
) -> tuple[PolicyDecision, ...]:
    edits = context.registry.cycles.self_edits(claim.cycle)
    documents: list[Json] = [
        {"id": one.document, "source": one.source} for one in context.registry.cycles.documents(claim.cycle)
    ]
    batch = {
        "tenant": {"id": claim.tenant},
        "cycle": claim.cycle,
        "edits": edit_counts(edits, documents),
        "documents": documents,
    }
    promote = promotion(
        claim.tenant,
        actor=f"worker:{claim.worker}",
        author=context.registry.policy_decisions.cycle_author(claim.cycle),
        authors=context.registry.policy_decisions.cycle_authors(claim.tenant, claim.cycle),
        trigger="cycle",
        cycle=claim.cycle,
        parent=claimed.incumbent,
        verdict=verdict,
        scores=card_scores(confirmed.scorecard),
        edits=edits,
        documents=documents,
        approvals=[],
        anomalies=asdict(confirmed.anomalies) if confirmed.anomalies else {},
    )
    asked: list[tuple[Event, Json]] = [(Event.SELFEDIT_BATCH, batch), (Event.ADAPTER_PROMOTE, promote)]
    if context.registry.cycles.by_id(claim.cycle).trigger == IMPORT_TRIGGER:  # no batch of self-edits made it
        del asked[0]
    return tuple(context.rules.rule(event, given, tenant=claim.tenant, subject=claim.cycle) for event, given in asked)
