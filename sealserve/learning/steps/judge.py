"""JUDGE: the gate's verdict on the scorecard. Policy rules can only make it stricter. Promotes nothing."""

import asyncio
from dataclasses import asdict

from sealserve.canonical import Json
from sealserve.gate.verdict import judge
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.journal import Done
from sealserve.policy.enforcement import card_scores, edit_counts, promotion, ruled
from sealserve.policy.events import Event
from sealserve.records.cycles import IMPORT_TRIGGER
from sealserve.records.policy_decisions import PolicyDecision
from sealserve.records.score_json import verdict_json
from sealserve.records.step_outputs import Judged
from sealserve.registry.registry import AddPolicyDecisions


async def judge_winner(run: CycleRun) -> Done[Judged]:
    """JUDGE: record the verdict and the policy decisions behind it."""
    verdict = judge(run.confirmed.scorecard, run.context.policy)
    rulings = await asyncio.to_thread(_decide, run, verdict_json(verdict))
    return Done(output=Judged(verdict=ruled(verdict, rulings)), effects=(AddPolicyDecisions(rulings=rulings),))


def _decide(run: CycleRun, verdict: Json) -> tuple[PolicyDecision, ...]:
    """Return the policy's decisions on the batch of self-edits, if there is one, and on a promotion."""
    context, claim, claimed, confirmed = run.context, run.claim, run.claimed, run.confirmed
    edits = context.registry.cycles.self_edits(claim.cycle)
    documents: list[Json] = [
        {"id": document.document, "source": document.source}
        for document in context.registry.cycles.documents(claim.cycle)
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
    events: list[tuple[Event, Json]] = [(Event.ADAPTER_PROMOTE, promote)]
    if context.registry.cycles.by_id(claim.cycle).trigger != IMPORT_TRIGGER:  # an import has no self-edits
        events.insert(0, (Event.SELFEDIT_BATCH, batch))
    return tuple(
        context.rules.rule(event, values, tenant=claim.tenant, subject=claim.cycle) for event, values in events
    )
