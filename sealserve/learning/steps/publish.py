"""The last step: a verdict becomes a version, or none, and the cycle ends. Decides nothing."""

import asyncio
from dataclasses import asdict, replace

from sealserve.canonical import Json
from sealserve.learning.context import LearnContext
from sealserve.learning.journal import Done
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import IMPORT_TRIGGER, Claim, CycleState
from sealserve.records.documents import DocumentState
from sealserve.records.score_json import scorecard_json, verdict_json
from sealserve.records.scores import Decision
from sealserve.records.step_outputs import Claimed, Confirmed, Judged, Published, Ranked
from sealserve.records.versions import BASE_VERSION, Lineage
from sealserve.registry.registry import Finish, Publish

_ENDS = {
    Decision.PROMOTE: (CycleState.PROMOTED, DocumentState.LEARNED),
    Decision.HOLD: (CycleState.HELD, DocumentState.SET_ASIDE),
    Decision.REJECT: (CycleState.REJECTED, DocumentState.SET_ASIDE),
    Decision.INCONCLUSIVE: (CycleState.INCONCLUSIVE, DocumentState.SET_ASIDE),
}
"""How a cycle ends and where its documents go. A held version's documents are LEARNED once a human promotes it."""


async def publication(
    context: LearnContext, claim: Claim, *, claimed: Claimed, ranked: Ranked, confirmed: Confirmed, judged: Judged
) -> Done[Published]:
    """PUBLISH: the winner as a version where the verdict is PROMOTE or HOLD; the pointer moves with PROMOTE alone."""
    verdict = judged.verdict
    state, documents = _ENDS[verdict.decision]
    reason = "; ".join(verdict.reasons)
    finish = Finish(state=state, reason=reason, documents=documents)
    output = Published(state=state, reason=reason)
    if verdict.decision not in (Decision.PROMOTE, Decision.HOLD):
        return Done(output=output, effects=(finish,))
    candidates = await asyncio.to_thread(context.registry.cycles.candidates, claim.cycle)
    winner = next(candidate for candidate in candidates if candidate.index == ranked.winner)
    held = await asyncio.to_thread(_held_documents, context, claim, claimed)
    lineage = await asyncio.to_thread(_lineage, context, claim, claimed, winner, confirmed, judged)
    lineage = replace(lineage, reward=ranked.reward)
    manifest = await asyncio.to_thread(_sealed, context, claim, claimed, winner, held, lineage)
    publish = Publish(
        artifact=winner.artifact,
        parent=claimed.incumbent,
        documents=held,
        lineage=replace(lineage, manifest=manifest),
        promote=verdict.decision is Decision.PROMOTE,
        expected_etag=claimed.etag,
    )
    return Done(output=output, effects=(publish, finish))


async def conflict() -> Done[Published]:
    """PUBLISH, when the incumbent changed meanwhile: what was measured says nothing of the new one. Try again."""
    reason = "the incumbent changed while candidates were measured against it; the documents wait for the next cycle"
    finish = Finish(state=CycleState.INCONCLUSIVE, reason=reason, documents=DocumentState.ADMITTED)
    return Done(output=Published(state=finish.state, reason=reason), effects=(finish,))


async def unmeasurable(reason: str) -> Done[Published]:
    """PUBLISH, when something that measuring needs stays away: nothing is said about the documents."""
    finish = Finish(state=CycleState.INCONCLUSIVE, reason=reason, documents=DocumentState.SET_ASIDE)
    return Done(output=Published(state=finish.state, reason=reason), effects=(finish,))


async def failure(reason: str) -> Done[Published]:
    """PUBLISH, when the cycle broke too often: the documents are set aside with the reason."""
    finish = Finish(state=CycleState.FAILED, reason=reason, documents=DocumentState.SET_ASIDE)
    return Done(output=Published(state=finish.state, reason=reason), effects=(finish,))


def _held_documents(context: LearnContext, claim: Claim, claimed: Claimed) -> tuple[str, ...]:
    """The incumbent's and the cycle's; what was made elsewhere has learned none of this tenant's."""
    if context.registry.cycles.by_id(claim.cycle).trigger == IMPORT_TRIGGER:
        return ()
    earlier: tuple[str, ...] = ()
    if claimed.incumbent != BASE_VERSION:
        earlier = context.registry.versions.get(claim.tenant, claimed.incumbent).documents
    return (*earlier, *(document for document in claimed.documents if document not in earlier))


def _sealed(
    context: LearnContext, claim: Claim, claimed: Claimed, winner: Candidate, held: tuple[str, ...], lineage: Lineage
) -> Json:
    registry = context.registry
    return context.seals.seal(
        tenant=claim.tenant,
        cycle=claim.cycle,
        artifact_manifest=registry.artifacts.manifest(winner.artifact),
        parent=claimed.incumbent,
        documents=[(document, registry.documents.get(claim.tenant, document).digest) for document in held],
        self_edits=registry.cycles.self_edits(claim.cycle),
        rulings=registry.policy_decisions.page(tenant=claim.tenant, subject=claim.cycle),
        approvals=(),
        lineage=lineage,
    )


def _lineage(
    context: LearnContext, claim: Claim, claimed: Claimed, winner: Candidate, confirmed: Confirmed, judged: Judged
) -> Lineage:
    notes = context.registry.cycles.self_edits(claim.cycle)
    recipe = asdict(winner.recipe)
    is_imported = context.registry.cycles.by_id(claim.cycle).trigger == IMPORT_TRIGGER
    return Lineage(
        imported=context.registry.imports.origin(claim.tenant, claim.cycle) if is_imported else None,
        recipe={**recipe, "templates": [template.value for template in winner.recipe.templates]},
        candidate=winner.index,
        self_edits=tuple(note.self_edit for note in notes if note.admitted),
        scores=scorecard_json(confirmed.scorecard),
        verdict=verdict_json(judged.verdict),
        anomalies=asdict(confirmed.anomalies) if confirmed.anomalies else None,
        base_digest=claimed.base_digest,
        settings_digest=context.settings.digest(),
        traceparent=claimed.traceparent,
    )
