"""WRITE: self-edits and directives by the editor, quiz questions and base skills by the base model."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from sealserve.concurrency import first_of, in_thread
from sealserve.engine.engine import AdapterFiles
from sealserve.learning.context import LearnContext
from sealserve.learning.editor.store import active_editor
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.journal import Done
from sealserve.learning.steps.measurement_inputs import incumbent_files
from sealserve.learning.study import quiz, self_edits
from sealserve.learning.study.generators import editor_of
from sealserve.learning.study.passages import with_title
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.tenant_questions import before_quiz, read_tenant_questions
from sealserve.learning.training.retention_set import ask_retention_set
from sealserve.records.cycles import Claim, SelfEdit
from sealserve.records.step_outputs import (
    Claimed,
    Proposal,
    ReferenceAnswer,
    Written,
)
from sealserve.registry.registry import AddSelfEdits
from sealserve.settings.learn import LearnSettings

_T = TypeVar("_T")


_Work: TypeAlias = Coroutine[Any, Any, _T]


async def write(context: LearnContext, client: EngineClient, claim: Claim, claimed: Claimed) -> Done[Written]:
    """WRITE: self-edits and directives by the editor, quiz proposals and old skills by the base."""
    settings = _settings(context, claimed)
    studies = await read_studies(context, claim, claimed)
    async with (
        _editor_files(context, claim, claimed) as files,
        editor_of(settings, client, adapter=files) as editor,
    ):
        notes, directives, proposals, rehearsal = await _write_all(
            self_edits.write_self_edits(
                editor, studies, settings=settings.study, tenant=claim.tenant, cycle=claim.cycle
            ),
            self_edits.write_directives(editor, studies, settings=settings.study, cycle=claim.cycle),
            quiz.propose(client, studies, settings=settings, cycle=claim.cycle),
            ask_retention_set(context, client),
        )
    given = await asyncio.to_thread(read_tenant_questions, context.registry, claim.tenant, studies)
    output = Written(
        quiz=before_quiz(given.proposals, proposals, max_items=settings.quiz.max_items),
        directives=directives,
        rehearsal=rehearsal,
        evaluation=given.sets,
    )
    return Done(output=output, effects=(AddSelfEdits(edits=notes),))


async def _write_all(
    notes: _Work[tuple[SelfEdit, ...]],
    directives: _Work[tuple[str, ...]],
    proposals: _Work[tuple[Proposal, ...]],
    rehearsal: _Work[tuple[ReferenceAnswer, ...]],
) -> tuple[tuple[SelfEdit, ...], tuple[str, ...], tuple[Proposal, ...], tuple[ReferenceAnswer, ...]]:
    """Do all four at once; when one fails, the others are stopped. Raises: what it raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(notes),
                group.create_task(directives),
                group.create_task(proposals),
                group.create_task(rehearsal),
            )
    except BaseExceptionGroup as failures:
        raise first_of(failures) from None
    written, wished, proposed, rehearsed = tasks
    return written.result(), wished.result(), proposed.result(), rehearsed.result()


def _settings(context: LearnContext, claimed: Claimed) -> LearnSettings:
    learn = context.settings.learn
    return learn.model_copy(update={"study": learn.study.model_copy(update={"edit_max_tokens": claimed.edit_tokens})})


@asynccontextmanager
async def _editor_files(context: LearnContext, claim: Claim, claimed: Claimed) -> AsyncIterator[AdapterFiles | None]:
    """Give the adapter of the editor that the settings name, under a name of this cycle's; None: none is needed."""
    if context.settings.learn.study.editor == "tenant":
        async with incumbent_files(context, claim, claimed) as files:
            yield files
    elif context.settings.learn.study.editor == "trained":
        async with in_thread(active_editor(context, claim.tenant, cycle=claim.cycle)) as files:
            yield files
    else:
        yield None


async def read_studies(context: LearnContext, claim: Claim, claimed: Claimed) -> tuple[Study, ...]:
    texts = {
        document: await asyncio.to_thread(context.registry.documents.text, claim.tenant, document)
        for document in claimed.documents
    }
    return tuple(
        Study(passage=passage, text=with_title(passage.title, texts[passage.document][passage.start : passage.end]))
        for passage in claimed.passages
    )
