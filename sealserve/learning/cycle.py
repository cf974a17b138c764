"""One learning cycle, top to bottom.

Each step's output is recorded before the next begins, and every seed comes from the cycle's id: a cycle that is
killed anywhere goes on, in any process, where its journal ends. Knows nothing of schedules.
"""

import asyncio
from functools import partial

from sealserve.errors import Conflict, CouldNotMeasure
from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.journal import Journal
from sealserve.learning.steps import adopt_external, retrain
from sealserve.learning.steps.claim import claim_documents
from sealserve.learning.steps.confirm import confirm_winner
from sealserve.learning.steps.filter import filter_self_edits
from sealserve.learning.steps.judge import judge_winner
from sealserve.learning.steps.publish import conflict, publication, unmeasurable
from sealserve.learning.steps.rank import rank_candidates
from sealserve.learning.steps.train import train
from sealserve.learning.steps.write import write
from sealserve.records.cycles import FORGET_TRIGGER, IMPORT_TRIGGER, Claim, Cycle, Step
from sealserve.records.step_outputs import Claimed, Confirmed, Filtered, Judged, Published, Ranked, Trained, Written
from sealserve.telemetry.names import Attribute, Span


async def run_cycle(context: LearnContext, claim: Claim) -> Cycle:
    """Carry the claimed cycle to its end and return it.

    Raises: LeaseLost (somebody else has it now), TrainingFailed, EngineFailed, StorageFailed and others of our own
    faults: the cycle stays as far as it got. An engine that is away is waited for.
    """
    journal = Journal(context.registry, claim, telemetry=context.telemetry)
    await journal.open()
    begun = journal.recorded(Step.CLAIM, Claimed)
    about = {Attribute.TENANT: claim.tenant, Attribute.CYCLE: claim.cycle}
    with context.telemetry.span(Span.CYCLE, about, parent=begun.traceparent or None if begun else None):
        try:
            await _steps(context, claim, journal)
        except CouldNotMeasure as error:
            await journal.step(Step.PUBLISH, Published, partial(unmeasurable, error.message))
    return await asyncio.to_thread(context.registry.cycles.get, claim.tenant, claim.cycle)


async def _steps(context: LearnContext, claim: Claim, journal: Journal) -> None:
    client = EngineClient(
        context.engine, tenant=claim.tenant, cycle=claim.cycle, concurrency=context.settings.learn.concurrency
    )
    await client.drop_leftovers()
    claimed = await journal.step(Step.CLAIM, Claimed, partial(claim_documents, context, client, claim))
    trigger = (await asyncio.to_thread(context.registry.cycles.by_id, claim.cycle)).trigger
    if trigger == IMPORT_TRIGGER:
        await _confirm(context, client, claim, journal, claimed, await _taken_in(context, claim, journal))
        return
    if trigger == FORGET_TRIGGER:
        written = await journal.step(Step.WRITE, Written, partial(retrain.recall, context, client, claim))
        filtered = await journal.step(Step.FILTER, Filtered, partial(retrain.keep_all, context, claim))
    else:
        written = await journal.step(Step.WRITE, Written, partial(write, context, client, claim, claimed))
        filtered = await journal.step(
            Step.FILTER, Filtered, partial(filter_self_edits, context, client, claim, claimed, written)
        )
    await journal.step(Step.TRAIN, Trained, partial(train, context, client, claim, claimed, written, filtered))
    ranked = await journal.step(Step.RANK, Ranked, partial(rank_candidates, context, client, claim, claimed, written))
    await _confirm(context, client, claim, journal, claimed, ranked)


async def _taken_in(context: LearnContext, claim: Claim, journal: Journal) -> Ranked:
    """The steps up to the ranking of a candidate that was made elsewhere."""
    await journal.step(Step.WRITE, Written, partial(adopt_external.write, context, claim))
    await journal.step(Step.FILTER, Filtered, adopt_external.keep_none)
    await journal.step(Step.TRAIN, Trained, partial(adopt_external.take, context))
    return await journal.step(Step.RANK, Ranked, adopt_external.choose)


async def _confirm(
    context: LearnContext, client: EngineClient, claim: Claim, journal: Journal, claimed: Claimed, ranked: Ranked
) -> None:
    confirmed = await journal.step(
        Step.CONFIRM, Confirmed, partial(confirm_winner, context, client, claim, claimed, ranked)
    )
    judged = await journal.step(Step.JUDGE, Judged, partial(judge_winner, context, claim, claimed, confirmed))
    publish = partial(publication, context, claim, claimed=claimed, ranked=ranked, confirmed=confirmed, judged=judged)
    try:
        await journal.step(Step.PUBLISH, Published, publish)
    except Conflict:
        await journal.step(Step.PUBLISH, Published, conflict)
