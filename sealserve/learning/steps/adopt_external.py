"""The steps of a cycle whose only candidate is an adapter imported from another installation.

The cycle has no documents. It writes no self-edits and trains nothing. The tenant's own question sets decide whether
the adapter is worth having, and the incumbent's knowledge must be retained.
"""

import asyncio

from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.journal import Done
from sealserve.records.step_outputs import Filtered, Ranked, Trained, Written


async def list_question_sets(run: CycleRun) -> Done[Written]:
    """WRITE: record which of the tenant's question sets the adapter is measured by."""
    sets = await asyncio.to_thread(run.context.registry.question_sets.newest, run.claim.tenant)
    used = tuple(f"{questions.name}@{questions.revision}" for questions in sets)
    return Done(output=Written(quiz=(), directives=(), retention=(), evaluation=used))


async def admit_nothing(run: CycleRun) -> Done[Filtered]:
    """FILTER: there are no self-edits."""
    return Done(output=Filtered(admitted=0, dropped=0, select=0, confirm=0, reasons={}))


async def list_candidate(run: CycleRun) -> Done[Trained]:
    """TRAIN: the imported adapter is candidate 0."""
    digest = run.context.settings.digest()
    return Done(output=Trained(candidates=(0,), directives=(), settings_digest=digest))


async def choose_candidate(run: CycleRun) -> Done[Ranked]:
    """RANK: the only candidate wins without a score."""
    return Done(output=Ranked(scores=(), winner=0, reward="none", note="imported: nothing to choose"))
