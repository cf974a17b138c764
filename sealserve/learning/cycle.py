"""One learning cycle, top to bottom.

Each step's output is recorded before the next begins, and every seed comes from the cycle's id: a cycle that is
killed anywhere goes on, in any process, where its journal ends. Knows nothing of schedules.
"""

import asyncio
from functools import partial

from sealserve.errors import Conflict, CouldNotMeasure
from sealserve.learning.context import Workshop
from sealserve.learning.engine_client import Voice
from sealserve.learning.journal import Journal
from sealserve.learning.steps import adopt_external, retrain
from sealserve.learning.steps.claim import claim_documents
from sealserve.learning.steps.confirm import confirm_winner
from sealserve.learning.steps.filter import screen_notes
from sealserve.learning.steps.judge import judged as judged_by
from sealserve.learning.steps.publish import conflict, publication, unmeasurable
from sealserve.learning.steps.rank import rank_candidates
from sealserve.learning.steps.train import train
from sealserve.learning.steps.write import write
from sealserve.records.cycles import FORGET_TRIGGER, IMPORT_TRIGGER, Claim, Cycle, Step
from sealserve.records.step_outputs import Claimed, Confirmed, Filtered, Judged, Published, Ranked, Trained, Written
from sealserve.telemetry.names import Attribute, Span


async def run_cycle(shop: Workshop, claim: Claim) -> Cycle:
    """Carry the claimed cycle to its end and return it.

    Raises: LeaseLost (somebody else has it now), TrainingFailed, EngineFailed, StorageFailed and others of our own
    faults: the cycle stays as far as it got. An engine that is away is waited for.
    """
    journal = Journal(shop.registry, claim, telemetry=shop.telemetry)
    await journal.open()
    begun = journal.recorded(Step.CLAIM, Claimed)
    about = {Attribute.TENANT: claim.tenant, Attribute.CYCLE: claim.cycle}
    with shop.telemetry.span(Span.CYCLE, about, parent=begun.traceparent or None if begun else None):
        try:
            await _steps(shop, claim, journal)
        except CouldNotMeasure as error:
            await journal.step(Step.PUBLISH, Published, partial(unmeasurable, error.message))
    return await asyncio.to_thread(shop.registry.cycle, claim.tenant, claim.cycle)


async def _steps(shop: Workshop, claim: Claim, journal: Journal) -> None:
    voice = Voice(shop.engine, tenant=claim.tenant, cycle=claim.cycle, concurrency=shop.settings.learn.concurrency)
    await voice.drop_leftovers()
    claimed = await journal.step(Step.CLAIM, Claimed, partial(claim_documents, shop, voice, claim))
    trigger = (await asyncio.to_thread(shop.registry.cycle_by_id, claim.cycle)).trigger
    if trigger == IMPORT_TRIGGER:
        await _confirm(shop, voice, claim, journal, claimed, await _taken_in(shop, claim, journal))
        return
    if trigger == FORGET_TRIGGER:
        written = await journal.step(Step.WRITE, Written, partial(retrain.recall, shop, voice, claim))
        filtered = await journal.step(Step.FILTER, Filtered, partial(retrain.keep_all, shop, claim))
    else:
        written = await journal.step(Step.WRITE, Written, partial(write, shop, voice, claim, claimed))
        filtered = await journal.step(
            Step.FILTER, Filtered, partial(screen_notes, shop, voice, claim, claimed, written)
        )
    await journal.step(Step.TRAIN, Trained, partial(train, shop, voice, claim, claimed, written, filtered))
    ranked = await journal.step(Step.RANK, Ranked, partial(rank_candidates, shop, voice, claim, claimed, written))
    await _confirm(shop, voice, claim, journal, claimed, ranked)


async def _taken_in(shop: Workshop, claim: Claim, journal: Journal) -> Ranked:
    """The steps up to the ranking of a candidate that was made elsewhere."""
    await journal.step(Step.WRITE, Written, partial(adopt_external.write, shop, claim))
    await journal.step(Step.FILTER, Filtered, adopt_external.keep_none)
    await journal.step(Step.TRAIN, Trained, partial(adopt_external.take, shop))
    return await journal.step(Step.RANK, Ranked, adopt_external.choose)


async def _confirm(
    shop: Workshop, voice: Voice, claim: Claim, journal: Journal, claimed: Claimed, ranked: Ranked
) -> None:
    confirmed = await journal.step(
        Step.CONFIRM, Confirmed, partial(confirm_winner, shop, voice, claim, claimed, ranked)
    )
    judged = await journal.step(Step.JUDGE, Judged, partial(judged_by, shop, claim, claimed, confirmed))
    publish = partial(publication, shop, claim, claimed=claimed, ranked=ranked, confirmed=confirmed, judged=judged)
    try:
        await journal.step(Step.PUBLISH, Published, publish)
    except Conflict:
        await journal.step(Step.PUBLISH, Published, conflict)
