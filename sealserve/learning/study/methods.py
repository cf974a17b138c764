"""How passages are studied: by whole templates (the embedded model), or sentence by sentence (any other base)."""

import asyncio
from collections.abc import Sequence

from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study import quiz, self_edits, sentence_questions
from sealserve.learning.study.generators import Editor
from sealserve.learning.study.self_edits import Study
from sealserve.prompts import Dialect
from sealserve.records.cycles import SelfEdit
from sealserve.records.step_outputs import Proposal
from sealserve.settings.learn import LearnSettings, StudySettings


async def write_self_edits(
    editor: Editor, client: EngineClient, studies: Sequence[Study], *, settings: StudySettings, tenant: str, cycle: str
) -> tuple[SelfEdit, ...]:
    """Return every self-edit on the passages; none admitted yet. `client` speaks to the base that will learn them."""
    if client.dialect is Dialect.EMBEDDED:
        return await self_edits.write_self_edits(editor, studies, settings=settings, tenant=tenant, cycle=cycle)
    others = settings.model_copy(update={"qa_edits": 0})
    found = await asyncio.gather(
        sentence_questions.write_pairs(editor, studies, settings=settings, tenant=tenant, cycle=cycle),
        self_edits.write_self_edits(editor, studies, settings=others, tenant=tenant, cycle=cycle),
    )
    return tuple(edit for part in found for edit in part)


async def propose_quiz(
    client: EngineClient,
    studies: Sequence[Study],
    *,
    settings: LearnSettings,
    cycle: str,
    readings: quiz.Readings | None = None,
) -> tuple[Proposal, ...]:
    """Return the quiz of every passage, no question twice. Adds to `readings` how well the base read."""
    propose = quiz.propose if client.dialect is Dialect.EMBEDDED else sentence_questions.propose
    return await propose(client, studies, settings=settings, cycle=cycle, readings=readings)
