"""FILTER: admits or drops every self-edit, finds superseded answers, and selects the quiz."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

from sealserve.learning.context import LearnContext
from sealserve.learning.cycle_run import CycleRun
from sealserve.learning.evaluation.overrides import (
    find_overridden,
    old_answers,
    statements_of_overrides,
    still_overridden,
)
from sealserve.learning.journal import Done
from sealserve.learning.steps.write import read_studies
from sealserve.learning.study import filter
from sealserve.learning.study.diversity import distinct
from sealserve.learning.study.facts import with_facts
from sealserve.learning.study.provenance_filter import guard, settle, uncontested
from sealserve.learning.study.self_edits import Study
from sealserve.learning.study.supersession import Outdated, contradictions, statements_of
from sealserve.learning.training.replay import (
    Earlier,
    deferred_statements,
    earlier_material,
    overridden_answers,
)
from sealserve.records.cycles import QuizItem, SelfEdit, Split
from sealserve.records.step_outputs import Contested, Filtered, Overridden, Superseded
from sealserve.registry.registry import AddQuiz, AddSelfEdits


async def filter_self_edits(run: CycleRun) -> Done[Filtered]:
    """FILTER: record which self-edits are admitted and why others are dropped, and the two halves of the quiz.

    No quiz question is answered by an admitted self-edit. Nothing is learned from a contested document.
    """
    context, claimed = run.context, run.claimed
    notes = await asyncio.to_thread(context.registry.cycles.self_edits, run.claim.cycle)
    studies = await read_studies(run)
    earlier = await asyncio.to_thread(earlier_material, context.registry, run.claim, claimed)
    overridden = await _find_overridden(run, studies)
    answers, found = await asyncio.gather(
        filter.open_book(run.client, notes, studies), _find_contradictions(run, earlier, studies, overridden)
    )
    sources = await asyncio.to_thread(_read_sources, run, found)
    settled, contested = settle(found, sources, agreeing=context.policy.influence.agreeing)
    superseded = tuple(answer for answer in settled if answer.document in {*earlier.documents, *claimed.documents})
    outdated = Outdated(superseded)
    known = [note for note in earlier.notes if not outdated.spoils(note)]
    proposals = with_facts(uncontested(outdated.valid(run.written.quiz), contested))
    screened = guard(
        filter.screen(
            notes,
            studies,
            answers=answers,
            proposals=proposals,
            earlier=known,
            superseded=superseded,
            dialect=context.dialect,
        ),
        refused=context.policy.influence.refused,
        contested=contested,
        released={study.passage.document for study in studies if study.is_released},
    )
    items = filter.choose_quiz(proposals, screened)
    stopped = {one.document for one in contested}
    output = summarise(
        screened,
        items,
        superseded=superseded,
        contested=contested,
        overridden=still_overridden((one for one in overridden if one.newer not in stopped), outdated),
    )
    _count_self_edits(context, output)
    return Done(output=output, effects=(AddSelfEdits(edits=screened), AddQuiz(items=items)))


def summarise(
    notes: Sequence[SelfEdit],
    items: Sequence[QuizItem],
    *,
    superseded: tuple[Superseded, ...],
    contested: tuple[Contested, ...],
    overridden: tuple[Overridden, ...] = (),
) -> Filtered:
    """Return the step's output for self-edits that are admitted or dropped, and for the quiz."""
    admitted = [note.text for note in notes if note.admitted]
    reasons = Counter(note.reason for note in notes if not note.admitted)
    return Filtered(
        admitted=len(admitted),
        dropped=reasons.total(),
        select=sum(item.split is Split.SELECT for item in items),
        confirm=sum(item.split is Split.CONFIRM for item in items),
        reasons=dict(sorted(reasons.items())),
        distinct=distinct(admitted),
        superseded=superseded,
        contested=contested,
        overridden=overridden,
    )


def _count_self_edits(context: LearnContext, output: Filtered) -> None:
    for reason, count in output.reasons.items():
        context.telemetry.metrics.self_edits(count, kept=False, reason=reason)
    context.telemetry.metrics.self_edits(output.admitted, kept=True)


async def _find_overridden(run: CycleRun, studies: Sequence[Study]) -> tuple[Overridden, ...]:
    """Return which answers of the base model, rehearsed or measured, the cycle's documents contradict."""
    context = run.context
    if not context.settings.learn.study.overrides:
        return ()
    suites = await asyncio.to_thread(context.registry.canary_suites.live, run.claim.tenant)
    old = old_answers(context.probes, suites, context.policy, rehearsed=run.written.retention)
    return await find_overridden(run.client, old, studies, samples=context.settings.learn.quiz.samples)


async def _find_contradictions(
    run: CycleRun, earlier: Earlier, studies: Sequence[Study], overridden: Sequence[Overridden]
) -> tuple[Superseded, ...]:
    """Return what the cycle's documents contradict: in earlier documents, learned or deferred, and in each other."""
    context, claimed = run.context, run.claimed
    deferred = await asyncio.to_thread(deferred_statements, context.registry, run.claim, claimed)
    before = await asyncio.to_thread(overridden_answers, context.registry, run.claim, claimed)
    learned = (*statements_of(earlier.notes, earlier.quiz), *statements_of_overrides(before.earlier))
    comparisons = [((*learned, *deferred), list(studies))]
    for place, document in enumerate(claimed.documents):
        own = (
            *statements_of((), (proposal for proposal in run.written.quiz if proposal.document == document)),
            *statements_of_overrides(one for one in overridden if one.newer == document),
        )
        newer = claimed.documents[place + 1 :]
        comparisons.append((own, [study for study in studies if study.passage.document in newer]))
    samples = context.settings.learn.quiz.samples
    found = await asyncio.gather(
        *(contradictions(run.client, statements, newer, samples=samples) for statements, newer in comparisons)
    )
    return tuple(answer for part in found for answer in part)


def _read_sources(run: CycleRun, found: Iterable[Superseded]) -> dict[str, str]:
    """Return the source of every document that `found` names."""
    documents = {document for answer in found for document in (answer.document, answer.newer)}
    return {one: run.context.registry.documents.get(run.claim.tenant, one).source for one in documents}
