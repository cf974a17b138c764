"""The learning cycle: which steps it takes, in which order, for each trigger.

The journal records every step's output before the next step begins, and every seed derives from the cycle's id. A
cycle that is killed at any point therefore resumes, in any process, after its last recorded step.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import TypeAlias

from sealserve.errors import Conflict, CouldNotMeasure
from sealserve.learning.context import LearnContext
from sealserve.learning.cycle_run import CycleRun, StepAction
from sealserve.learning.journal import Journal
from sealserve.learning.steps import adopt_external, retrain
from sealserve.learning.steps.claim import claim_documents
from sealserve.learning.steps.confirm import confirm_winner
from sealserve.learning.steps.filter import filter_self_edits
from sealserve.learning.steps.judge import judge_winner
from sealserve.learning.steps.publish import conflict, publish_winner, unmeasurable
from sealserve.learning.steps.rank import rank_candidates
from sealserve.learning.steps.screen import claim_screened
from sealserve.learning.steps.train import train_candidates
from sealserve.learning.steps.write import write_self_edits
from sealserve.records.cycles import FORGET_TRIGGER, IMPORT_TRIGGER, Claim, Cycle, Step
from sealserve.records.step_outputs import OUTPUT_OF, Claimed, Published
from sealserve.telemetry.names import Attribute, Span

Steps: TypeAlias = Mapping[Step, StepAction]

STUDY: Steps = {
    Step.CLAIM: claim_screened,
    Step.WRITE: write_self_edits,
    Step.FILTER: filter_self_edits,
    Step.TRAIN: train_candidates,
    Step.RANK: rank_candidates,
    Step.CONFIRM: confirm_winner,
    Step.JUDGE: judge_winner,
    Step.PUBLISH: publish_winner,
}
"""Learn new documents: the cycle of every trigger that STEPS_OF does not name."""

STEPS_OF: Mapping[str, Steps] = {
    FORGET_TRIGGER: {  # a document was unlearned: train again on the self-edits of those that remain
        Step.CLAIM: claim_documents,
        Step.WRITE: retrain.copy_self_edits,
        Step.FILTER: retrain.keep_admitted,
        Step.TRAIN: train_candidates,
        Step.RANK: rank_candidates,
        Step.CONFIRM: confirm_winner,
        Step.JUDGE: judge_winner,
        Step.PUBLISH: publish_winner,
    },
    IMPORT_TRIGGER: {  # an adapter was imported: measure and judge it as the only candidate
        Step.CLAIM: claim_documents,
        Step.WRITE: adopt_external.list_question_sets,
        Step.FILTER: adopt_external.admit_nothing,
        Step.TRAIN: adopt_external.list_candidate,
        Step.RANK: adopt_external.choose_candidate,
        Step.CONFIRM: confirm_winner,
        Step.JUDGE: judge_winner,
        Step.PUBLISH: publish_winner,
    },
}
"""The steps of a cycle by its trigger."""


async def run_cycle(context: LearnContext, claim: Claim) -> Cycle:
    """Run the claimed cycle to its end and return it.

    Raises: LeaseLost (another worker holds the cycle now), TrainingFailed, EngineFailed, StorageFailed and other faults
    of ours: the recorded steps stay recorded. While the engine is unreachable, the call blocks.
    """
    journal = Journal(context.registry, claim, telemetry=context.telemetry)
    await journal.open()
    begun = journal.recorded(Step.CLAIM, Claimed)
    attributes = {Attribute.TENANT: claim.tenant, Attribute.CYCLE: claim.cycle}
    with context.telemetry.span(Span.CYCLE, attributes, parent=begun.traceparent or None if begun else None):
        try:
            await _run_steps(context, claim, journal)
        except CouldNotMeasure as error:
            await journal.step(Step.PUBLISH, Published, partial(unmeasurable, error.message))
    return await asyncio.to_thread(context.registry.cycles.get, claim.tenant, claim.cycle)


async def _run_steps(context: LearnContext, claim: Claim, journal: Journal) -> None:
    client = context.client(claim.tenant, claim.cycle)
    await client.drop_leftovers()
    run = CycleRun(context=context, client=client, claim=claim, journal=journal)
    trigger = (await asyncio.to_thread(context.registry.cycles.by_id, claim.cycle)).trigger
    for step, action in STEPS_OF.get(trigger, STUDY).items():
        try:
            await journal.step(step, OUTPUT_OF[step], partial(action, run))
        except Conflict:
            if step is not Step.PUBLISH:
                raise
            await journal.step(step, Published, conflict)
