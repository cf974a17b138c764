"""WRITE: the editor writes self-edits and training directives; the base model writes quiz questions.

The base model also answers the retention set, whose answers training must not change.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from sealserve.concurrency import first_of, in_thread
from sealserve.engine.engine import AdapterFiles
from sealserve.errors import CouldNotMeasure
from sealserve.grading.answers import normalised
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.editor.store import active_editor
from sealserve.learning.journal import Done
from sealserve.learning.steps.measurement_inputs import incumbent_files
from sealserve.learning.study import methods, self_edits
from sealserve.learning.study.generators import editor_of
from sealserve.learning.study.passages import with_title
from sealserve.learning.study.quiz import Readings, unknown_to
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.tenant_questions import before_quiz, read_tenant_questions
from sealserve.records.cycles import SelfEdit
from sealserve.records.step_outputs import Proposal, ReferenceAnswer, Written
from sealserve.records.versions import BASE_VERSION
from sealserve.registry.registry import AddSelfEdits
from sealserve.settings.learn import LearnSettings

_T = TypeVar("_T")


_Work: TypeAlias = Coroutine[Any, Any, _T]


async def write_self_edits(run: CycleRun) -> Done[Written]:
    """WRITE: record the self-edits, the directives, the quiz proposals and the retention set.

    The tenant's own questions come before generated ones. Raises: CouldNotMeasure (all documents were held).
    """
    if not run.claimed.documents:
        raise CouldNotMeasure("every document of this cycle is held: the judge found orders to a model in them")
    context, client, claim = run.context, run.client, run.claim
    settings = _cycle_settings(run)
    study = settings.study
    studies, readings = await read_studies(run), Readings()
    async with _editor_files(run) as files, editor_of(settings, client, adapter=files) as editor:
        notes, directives, proposals, retention = await _write_all(
            methods.write_self_edits(editor, client, studies, settings=study, tenant=claim.tenant, cycle=claim.cycle),
            self_edits.write_directives(editor, studies, settings=study, cycle=claim.cycle),
            methods.propose_quiz(client, studies, settings=settings, cycle=claim.cycle, readings=readings),
            _ask_retention_set(run),
        )
    proposals += await _lost_by_incumbent(run, readings.known)
    given = await asyncio.to_thread(read_tenant_questions, context.registry, claim.tenant, studies)
    output = Written(
        quiz=before_quiz(given.proposals, proposals, max_items=settings.quiz.max_items),
        directives=directives,
        retention=retention,
        evaluation=given.sets,
        readings=readings.asked,
        agreed=readings.agreed,
    )
    return Done(output=output, effects=(AddSelfEdits(edits=notes),))


async def read_studies(run: CycleRun) -> tuple[Study, ...]:
    """Return the cycle's passages with their texts, each below its document's title."""
    texts = {
        document: await asyncio.to_thread(run.context.registry.documents.text, run.claim.tenant, document)
        for document in run.claimed.documents
    }
    documents = run.context.registry.documents
    released = await asyncio.to_thread(documents.released, run.claim.tenant, run.claimed.documents)
    return tuple(
        Study(
            passage=passage,
            text=with_title(passage.title, texts[passage.document][passage.start : passage.end]),
            is_released=passage.document in released,
        )
        for passage in run.claimed.passages
    )


async def _write_all(
    notes: _Work[tuple[SelfEdit, ...]],
    directives: _Work[tuple[str, ...]],
    proposals: _Work[tuple[Proposal, ...]],
    retention: _Work[tuple[ReferenceAnswer, ...]],
) -> tuple[tuple[SelfEdit, ...], tuple[str, ...], tuple[Proposal, ...], tuple[ReferenceAnswer, ...]]:
    """Run all four concurrently; if one fails, stop the others. Raises: the first failure."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(notes),
                group.create_task(directives),
                group.create_task(proposals),
                group.create_task(retention),
            )
    except BaseExceptionGroup as failures:
        raise first_of(failures) from None
    written, wished, proposed, rehearsed = tasks
    return written.result(), wished.result(), proposed.result(), rehearsed.result()


async def _ask_retention_set(run: CycleRun) -> tuple[ReferenceAnswer, ...]:
    """Return the retention set; empty where the settings train on none of it."""
    if not run.context.settings.learn.training.retention:
        return ()
    return await run.context.retention_sets.of(run.client, run.context.probes)


async def _lost_by_incumbent(run: CycleRun, known: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Return the proposals, of those that the base answers, that the incumbent does not: documents can say again what
    an earlier one overrode.
    """
    distinct = {(one.document, normalised(one.question)): one for one in known}
    if not distinct or run.claimed.incumbent == BASE_VERSION:
        return ()
    async with incumbent_files(run) as files, run.client.loaded(files) as name:
        return tuple(await unknown_to(run.client, list(distinct.values()), adapter=name))


def _cycle_settings(run: CycleRun) -> LearnSettings:
    learn, edit_tokens = run.context.settings.learn, run.claimed.edit_tokens
    return learn.model_copy(update={"study": learn.study.model_copy(update={"edit_max_tokens": edit_tokens})})


@asynccontextmanager
async def _editor_files(run: CycleRun) -> AsyncIterator[AdapterFiles | None]:
    """Give the adapter of the editor that the settings name, under a name of this cycle's own; None for the base."""
    context, claim = run.context, run.claim
    if context.settings.learn.study.editor == "tenant":
        async with incumbent_files(run) as files:
            yield files
    elif context.settings.learn.study.editor == "trained":
        async with in_thread(active_editor(context, claim.tenant, cycle=claim.cycle)) as files:
            yield files
    else:
        yield None
