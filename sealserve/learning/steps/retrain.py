"""The WRITE and FILTER steps of a cycle after unlearning, which trains again on the remaining documents.

Nothing is sampled anew. Self-edits and questions are copied from the documents' most recent cycles, and the recipe,
seed included, is that of the version that held those documents. Only the unlearned document is missing.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.evaluation.overrides import still_overridden
from sealserve.learning.journal import Done
from sealserve.learning.steps.filter import summarise
from sealserve.learning.study.supersession import Outdated
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import FORGET_TRIGGER, Claim, EarlierStudy, QuizItem, SelfEdit, Step
from sealserve.records.step_outputs import Contested, Filtered, Overridden, Superseded, Written, from_json
from sealserve.registry.registry import AddQuiz, AddSelfEdits, Registry

_COPY_PREFIX = re.compile(r"^d\d{3}-")  # replaced, not repeated, when a copy is copied


async def copy_self_edits(run: CycleRun) -> Done[Written]:
    """WRITE: copy every admitted self-edit and quiz item of the cycle's documents into this cycle."""
    notes, items = await asyncio.to_thread(_read_earlier_cycles, run.context.registry, run.claim)
    retention = await run.context.retention_sets.of(run.client, run.context.probes)
    output = Written(quiz=(), directives=(), retention=retention)
    return Done(output=output, effects=(AddSelfEdits(edits=notes), AddQuiz(items=items)))


async def keep_admitted(run: CycleRun) -> Done[Filtered]:
    """FILTER: every copied self-edit stays admitted."""
    return Done(output=await asyncio.to_thread(_summarise_copies, run.context.registry, run.claim))


def recipe_again(registry: Registry, claim: Claim) -> Recipe | None:
    """Return the recipe, seed included, of the newest version that held all of the cycle's documents. Blocking.

    None if the cycle does not follow unlearning, or if that version was imported.
    """
    if registry.cycles.by_id(claim.cycle).trigger != FORGET_TRIGGER:
        return None
    wanted = {document.document for document in registry.cycles.documents(claim.cycle)}
    page_token = ""
    while True:
        page = registry.versions.page(claim.tenant, page_token=page_token)
        for version in page.items:
            if wanted <= set(version.documents):
                lineage = version.lineage
                is_own = lineage.imported is None and lineage.recipe is not None
                return from_json(Recipe, lineage.recipe) if is_own and lineage.recipe else None
        page_token = page.next_page_token
        if not page_token:
            return None


def _summarise_copies(registry: Registry, claim: Claim) -> Filtered:
    return summarise(
        registry.cycles.self_edits(claim.cycle),
        registry.cycles.quiz(claim.cycle),
        superseded=_superseded(registry, claim),
        contested=_contested(registry, claim),
        overridden=_overridden(registry, claim),
    )


def _read_earlier_cycles(registry: Registry, claim: Claim) -> tuple[tuple[SelfEdit, ...], tuple[QuizItem, ...]]:
    studies, outdated = _own_studies(registry, claim), Outdated(_superseded(registry, claim))
    notes = [
        replace(note, cycle=claim.cycle, self_edit=f"d{place:03d}-{_COPY_PREFIX.sub('', note.self_edit)}")
        for place, study in enumerate(studies)
        for note in _about(registry.cycles.self_edits(study.cycle), study.document)
        if note.admitted and not outdated.spoils(note)
    ]
    items = [item for study in studies for item in registry.cycles.quiz(study.cycle) if item.document == study.document]
    return tuple(notes), outdated.valid(items)


def _own_studies(registry: Registry, claim: Claim) -> list[EarlierStudy]:
    return [
        study for study in registry.history.earlier_studies(claim.cycle) if study.document == study.earlier_document
    ]


def _superseded(registry: Registry, claim: Claim) -> tuple[Superseded, ...]:
    """Return what the remaining documents supersede among themselves; the unlearned document no longer counts."""
    left = {document.document for document in registry.cycles.documents(claim.cycle)}
    found = [answer for filtered in _read_filters(registry, claim) for answer in filtered.superseded]
    return tuple(answer for answer in found if {answer.document, answer.newer} <= left)


def _overridden(registry: Registry, claim: Claim) -> tuple[Overridden, ...]:
    """Return what the remaining documents override; what only the unlearned document did holds again."""
    left = {document.document for document in registry.cycles.documents(claim.cycle)}
    found = [one for filtered in _read_filters(registry, claim) for one in filtered.overridden if one.newer in left]
    return still_overridden(found, Outdated(_superseded(registry, claim)))


def _contested(registry: Registry, claim: Claim) -> tuple[Contested, ...]:
    """Return the documents that were contested; they stay so although another document was unlearned."""
    return tuple(document for filtered in _read_filters(registry, claim) for document in filtered.contested)


def _read_filters(registry: Registry, claim: Claim) -> list[Filtered]:
    cycles = dict.fromkeys(study.cycle for study in _own_studies(registry, claim))
    records = [record for cycle in cycles for record in registry.cycles.steps(cycle) if record.step is Step.FILTER]
    return [from_json(Filtered, record.output) for record in records]


def _about(notes: Sequence[SelfEdit], document: str) -> list[SelfEdit]:
    return [note for note in notes if note.document == document]
