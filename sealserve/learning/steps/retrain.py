"""What a cycle does instead of studying, when it only teaches again what is known already: after forgetting.

The notes and questions are those of the documents' newest cycles, from the ledger, and the recipe with its seed is that
of the version that had them: nothing is sampled anew. What differs is what training sees, without the forgotten one.
Each function is one step, or a part of one; `cycle.py` orders them.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from sealserve.learning.context import LearnContext
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.journal import Done
from sealserve.learning.study.diversity import distinct
from sealserve.learning.study.supersession import Outdated
from sealserve.learning.training.retention_set import ask_retention_set
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import FORGET_TRIGGER, Claim, EarlierStudy, QuizItem, SelfEdit, Split, Step
from sealserve.records.step_outputs import Contested, Filtered, Superseded, Written, from_json
from sealserve.registry.registry import AddQuiz, AddSelfEdits

_RECALLED = re.compile(r"^d\d{3}-")  # a note may be recalled again and again


async def recall(context: LearnContext, client: EngineClient, claim: Claim) -> Done[Written]:
    """WRITE: every admitted note and quiz item of the cycle's documents, taken over into this cycle."""
    notes, items = await asyncio.to_thread(_known, context, claim)
    output = Written(quiz=(), directives=(), rehearsal=await ask_retention_set(context, client))
    return Done(output=output, effects=(AddSelfEdits(edits=notes), AddQuiz(items=items)))


async def keep_all(context: LearnContext, claim: Claim) -> Done[Filtered]:
    """FILTER: what was admitted once stays admitted."""
    notes = await asyncio.to_thread(context.registry.cycles.self_edits, claim.cycle)
    items = await asyncio.to_thread(context.registry.cycles.quiz, claim.cycle)
    output = Filtered(
        admitted=len(notes),
        dropped=0,
        select=sum(item.split is Split.SELECT for item in items),
        confirm=sum(item.split is Split.CONFIRM for item in items),
        reasons={},
        distinct=distinct(note.text for note in notes),
        superseded=await asyncio.to_thread(_superseded, context, claim),
        contested=await asyncio.to_thread(_contested, context, claim),
    )
    return Done(output=output)


def recipe_again(context: LearnContext, claim: Claim) -> Recipe | None:
    """Return how the newest version was trained that held all of the cycle's documents, its seed included. Blocking.

    None: the cycle studies anew, or that version was made elsewhere.
    """
    if context.registry.cycles.by_id(claim.cycle).trigger != FORGET_TRIGGER:
        return None
    wanted = {document.document for document in context.registry.cycles.documents(claim.cycle)}
    page_token = ""
    while True:
        page = context.registry.versions.page(claim.tenant, page_token=page_token)
        for version in page.items:
            if wanted <= set(version.documents):
                lineage = version.lineage
                is_own = lineage.imported is None and lineage.recipe is not None
                return from_json(Recipe, lineage.recipe) if is_own and lineage.recipe else None
        page_token = page.next_page_token
        if not page_token:
            return None


def _known(context: LearnContext, claim: Claim) -> tuple[tuple[SelfEdit, ...], tuple[QuizItem, ...]]:
    studies, outdated = _own_studies(context, claim), Outdated(_superseded(context, claim))
    notes = [
        replace(note, cycle=claim.cycle, self_edit=f"d{place:03d}-{_RECALLED.sub('', note.self_edit)}")
        for place, study in enumerate(studies)
        for note in _of(context.registry.cycles.self_edits(study.cycle), study.document)
        if note.admitted and not outdated.spoils(note)
    ]
    items = [
        item
        for study in studies
        for item in context.registry.cycles.quiz(study.cycle)
        if item.document == study.document
    ]
    return tuple(notes), outdated.valid(items)


def _own_studies(context: LearnContext, claim: Claim) -> list[EarlierStudy]:
    return [s for s in context.registry.history.earlier_studies(claim.cycle) if s.document == s.earlier_document]


def _superseded(context: LearnContext, claim: Claim) -> tuple[Superseded, ...]:
    """What the documents that are left make wrong among themselves; the forgotten one's word is gone."""
    left = {document.document for document in context.registry.cycles.documents(claim.cycle)}
    found = [one for filtered in _filters(context, claim) for one in filtered.superseded]
    return tuple(one for one in found if {one.document, one.newer} <= left)


def _contested(context: LearnContext, claim: Claim) -> tuple[Contested, ...]:
    """The documents that nothing was learned from: they are not believed now because another was forgotten."""
    return tuple(one for filtered in _filters(context, claim) for one in filtered.contested)


def _filters(context: LearnContext, claim: Claim) -> list[Filtered]:
    cycles = dict.fromkeys(study.cycle for study in _own_studies(context, claim))
    records = [
        record for cycle in cycles for record in context.registry.cycles.steps(cycle) if record.step is Step.FILTER
    ]
    return [from_json(Filtered, record.output) for record in records]


def _of(notes: Sequence[SelfEdit], document: str) -> list[SelfEdit]:
    return [note for note in notes if note.document == document]
