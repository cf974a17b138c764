"""What a cycle does instead of studying when its one candidate came from another installation.

It has no document, so nothing is written and nothing trained: the tenant's own evaluation sets say whether it is
worth having, and what the incumbent knows has to be kept. Each function is one step; `cycle.py` orders them.
"""

import asyncio

from sealserve.learning.context import LearnContext
from sealserve.learning.journal import Done
from sealserve.records.cycles import Claim
from sealserve.records.step_outputs import Filtered, Ranked, Trained, Written


async def write(context: LearnContext, claim: Claim) -> Done[Written]:
    """WRITE: nothing but which evaluation sets measure."""
    sets = await asyncio.to_thread(context.registry.question_sets.newest, claim.tenant)
    used = tuple(f"{one.name}@{one.revision}" for one in sets)
    return Done(output=Written(quiz=(), directives=(), rehearsal=(), evaluation=used))


async def keep_none() -> Done[Filtered]:
    """FILTER: there is nothing to admit."""
    return Done(output=Filtered(admitted=0, dropped=0, select=0, confirm=0, reasons={}))


async def take(context: LearnContext) -> Done[Trained]:
    """TRAIN: the candidate is there."""
    digest = context.settings.digest()
    return Done(output=Trained(candidates=(0,), directives=(), settings_digest=digest))


async def choose() -> Done[Ranked]:
    """RANK: one candidate, which nobody has to choose."""
    return Done(output=Ranked(scores=(), winner=0, reward="none", note="imported: nothing to choose"))
