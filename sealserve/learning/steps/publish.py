"""PUBLISH: turns the verdict into a version, or into none, and ends the cycle."""

import asyncio
from dataclasses import asdict, replace

from sealserve.canonical import Json
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.journal import Done
from sealserve.records.candidates import Candidate
from sealserve.records.cycles import IMPORT_TRIGGER, CycleState
from sealserve.records.documents import DocumentState
from sealserve.records.score_json import scorecard_json, verdict_json
from sealserve.records.scores import Decision
from sealserve.records.step_outputs import Published
from sealserve.records.versions import BASE_VERSION, Lineage
from sealserve.registry.registry import Finish, Publish

_ENDS = {
    Decision.PROMOTE: (CycleState.PROMOTED, DocumentState.LEARNED),
    Decision.HOLD: (CycleState.HELD, DocumentState.SET_ASIDE),
    Decision.REJECT: (CycleState.REJECTED, DocumentState.SET_ASIDE),
    Decision.INCONCLUSIVE: (CycleState.INCONCLUSIVE, DocumentState.SET_ASIDE),
}
"""The cycle's final state and its documents' state, by verdict. Documents of a held version become LEARNED when a
person promotes it."""


async def publish_winner(run: CycleRun) -> Done[Published]:
    """PUBLISH: record the winner as a version if the verdict is PROMOTE or HOLD; only PROMOTE activates it."""
    context, claim, claimed, ranked, verdict = run.context, run.claim, run.claimed, run.ranked, run.judged.verdict
    state, documents = _ENDS[verdict.decision]
    reason = "; ".join(verdict.reasons)
    excused = tuple(item for one in run.filtered.overridden for item in one.items)
    finish = Finish(state=state, reason=reason, documents=documents, excused=excused)
    output = Published(state=state, reason=reason)
    if verdict.decision not in (Decision.PROMOTE, Decision.HOLD):
        return Done(output=output, effects=(finish,))
    candidates = await asyncio.to_thread(context.registry.cycles.candidates, claim.cycle)
    winner = next(candidate for candidate in candidates if candidate.index == ranked.winner)
    held = await asyncio.to_thread(_held_documents, run)
    lineage = await asyncio.to_thread(_build_lineage, run, winner)
    manifest = await asyncio.to_thread(_seal_manifest, run, winner, held, lineage)
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
    """PUBLISH, if the incumbent changed meanwhile: the scores do not apply to the new one, and the documents wait."""
    reason = "the incumbent changed while candidates were measured against it; the documents wait for the next cycle"
    finish = Finish(state=CycleState.INCONCLUSIVE, reason=reason, documents=DocumentState.ADMITTED)
    return Done(output=Published(state=finish.state, reason=reason), effects=(finish,))


async def unmeasurable(reason: str) -> Done[Published]:
    """PUBLISH, if a measurement was impossible: the cycle is inconclusive."""
    finish = Finish(state=CycleState.INCONCLUSIVE, reason=reason, documents=DocumentState.SET_ASIDE)
    return Done(output=Published(state=finish.state, reason=reason), effects=(finish,))


async def failure(reason: str) -> Done[Published]:
    """PUBLISH, if the cycle failed too often: its documents are deferred with the reason."""
    finish = Finish(state=CycleState.FAILED, reason=reason, documents=DocumentState.SET_ASIDE)
    return Done(output=Published(state=finish.state, reason=reason), effects=(finish,))


def _held_documents(run: CycleRun) -> tuple[str, ...]:
    """Return the incumbent's documents and the cycle's; none for an import, which learned none of this tenant's."""
    context, claim, claimed = run.context, run.claim, run.claimed
    if context.registry.cycles.by_id(claim.cycle).trigger == IMPORT_TRIGGER:
        return ()
    earlier: tuple[str, ...] = ()
    if claimed.incumbent != BASE_VERSION:
        earlier = context.registry.versions.get(claim.tenant, claimed.incumbent).documents
    return (*earlier, *(document for document in claimed.documents if document not in earlier))


def _seal_manifest(run: CycleRun, winner: Candidate, held: tuple[str, ...], lineage: Lineage) -> Json:
    context, claim, registry = run.context, run.claim, run.context.registry
    return context.seals.seal(
        tenant=claim.tenant,
        cycle=claim.cycle,
        artifact_manifest=registry.artifacts.manifest(winner.artifact),
        parent=run.claimed.incumbent,
        documents=[(document, registry.documents.get(claim.tenant, document).digest) for document in held],
        self_edits=registry.cycles.self_edits(claim.cycle),
        rulings=registry.policy_decisions.page(tenant=claim.tenant, subject=claim.cycle),
        approvals=(),
        lineage=lineage,
    )


def _build_lineage(run: CycleRun, winner: Candidate) -> Lineage:
    context, claim, confirmed = run.context, run.claim, run.confirmed
    notes = context.registry.cycles.self_edits(claim.cycle)
    recipe = asdict(winner.recipe)
    is_imported = context.registry.cycles.by_id(claim.cycle).trigger == IMPORT_TRIGGER
    return Lineage(
        imported=context.registry.imports.origin(claim.tenant, claim.cycle) if is_imported else None,
        recipe={**recipe, "templates": [template.value for template in winner.recipe.templates]},
        candidate=winner.index,
        self_edits=tuple(note.self_edit for note in notes if note.admitted),
        scores=scorecard_json(confirmed.scorecard),
        verdict=verdict_json(run.judged.verdict),
        anomalies=asdict(confirmed.anomalies) if confirmed.anomalies else None,
        base_digest=run.claimed.base_digest,
        settings_digest=context.settings.digest(),
        traceparent=run.claimed.traceparent,
        reward=run.ranked.reward,
    )
