"""What a cycle does instead of studying, when it only teaches again what is known already: after forgetting.

The notes and questions are those of the documents' newest cycles, from the ledger, with their seeds: nothing is
sampled anew, so that what is left of a version is what it was. Each function is one step; `cycle.py` orders them.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from sealserve.learning.journal import Done
from sealserve.learning.outputs import Filtered, Written
from sealserve.learning.studying import rehearse
from sealserve.learning.voice import Voice
from sealserve.learning.workshop import Workshop
from sealserve.records import Claim, QuizItem, SelfEdit, Split
from sealserve.registry.registry import AddQuiz, AddSelfEdits

_RECALLED = re.compile(r"^d\d{3}-")  # a note may be recalled again and again


async def recall(shop: Workshop, voice: Voice, claim: Claim) -> Done[Written]:
    """WRITE: every admitted note and quiz item of the cycle's documents, taken over into this cycle."""
    notes, items = await asyncio.to_thread(_known, shop, claim)
    output = Written(quiz=(), directives=(), rehearsal=await rehearse(shop, voice))
    return Done(output=output, effects=(AddSelfEdits(edits=notes), AddQuiz(items=items)))


async def keep_all(shop: Workshop, claim: Claim) -> Done[Filtered]:
    """FILTER: what was admitted once stays admitted."""
    notes = await asyncio.to_thread(shop.registry.self_edits, claim.cycle)
    items = await asyncio.to_thread(shop.registry.quiz, claim.cycle)
    output = Filtered(
        admitted=len(notes),
        dropped=0,
        select=sum(item.split is Split.SELECT for item in items),
        confirm=sum(item.split is Split.CONFIRM for item in items),
        reasons={},
    )
    return Done(output=output)


def _known(shop: Workshop, claim: Claim) -> tuple[tuple[SelfEdit, ...], tuple[QuizItem, ...]]:
    studies = [s for s in shop.registry.earlier_studies(claim.cycle) if s.document == s.earlier_document]
    notes = [
        replace(note, cycle=claim.cycle, self_edit=f"d{place:03d}-{_RECALLED.sub('', note.self_edit)}")
        for place, study in enumerate(studies)
        for note in _of(shop.registry.self_edits(study.cycle), study.document)
        if note.admitted
    ]
    items = [item for study in studies for item in shop.registry.quiz(study.cycle) if item.document == study.document]
    return tuple(notes), tuple(items)


def _of(notes: Sequence[SelfEdit], document: str) -> list[SelfEdit]:
    return [note for note in notes if note.document == document]
