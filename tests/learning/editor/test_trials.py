"""What the outer loop asks trials: nothing that one of them was trained on, and the same of all that are compared."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sealserve.engine.engine import AdapterFiles
from sealserve.learning.context import LearnContext
from sealserve.learning.editor import recipe_search
from sealserve.learning.editor import rest_em as loop
from sealserve.learning.editor.costs import Cost
from sealserve.learning.editor.rest_em import Exam, RoundContext, Scored, default_plan, unasked
from sealserve.learning.editor.rounds import run_round
from sealserve.learning.editor.trials import Trial, sample_trials
from sealserve.learning.engine_client import EngineClient
from sealserve.learning.study.quiz import is_for_quiz
from sealserve.learning.study.self_edit_text import pair_of
from sealserve.learning.study.self_edits import Study
from sealserve.prompts import Template
from sealserve.records.cycles import SelfEdit, Split
from sealserve.records.step_outputs import Passage, Proposal
from sealserve.settings.learn import LearnSettings
from tests.stories.school import TENANT, School

QUESTIONS = tuple(f"What is number {n}?" for n in range(40))


def exam(*questions: str) -> Exam:
    study = Study(passage=Passage(document="d", title="", start=0, end=9), text="")
    return Exam(
        study=study,
        proposals=tuple(Proposal(document="d", question=q, answer="1", reference_text="1") for q in questions),
    )


def trial(sample: int, *asked: str, is_admitted: bool = True) -> Trial:
    """A trial whose notes ask so."""
    notes = tuple(
        SelfEdit(
            tenant="",
            cycle="",
            self_edit=f"p000-qa-{sample}-{n:02d}",
            document="d",
            template=Template.QA,
            text=f"Question: {question}\nAnswer: 1",
            seed=0,
            admitted=is_admitted,
            reason="",
        )
        for n, question in enumerate(asked)
    )
    return Trial(place=0, sample=sample, edits=(), notes=notes)


def test_what_one_trial_trains_on_is_asked_of_no_trial_of_that_document() -> None:
    trials = [trial(0, QUESTIONS[0]), trial(1, QUESTIONS[1]), trial(2, QUESTIONS[2], is_admitted=False)]
    first, other = unasked([exam(*QUESTIONS[:4]), exam(*QUESTIONS[:4])], trials)
    assert [p.question for p in first.proposals] == [*QUESTIONS[2:4]]
    assert [p.question for p in other.proposals] == [*QUESTIONS[:4]]


def test_a_document_is_examined_only_with_questions_in_both_halves_that_no_trial_can_take() -> None:
    asked = exam(*QUESTIONS)
    reserved = [q for q in QUESTIONS if is_for_quiz(q)]
    assert asked.is_lasting
    assert exam(*reserved).is_lasting
    assert not exam(*(q for q in QUESTIONS if not is_for_quiz(q))).is_lasting
    assert not exam(*(item.question for item in exam(*reserved).items(Split.SELECT))).is_lasting


async def test_no_trial_is_scored_on_a_question_that_its_document_s_trials_were_trained_on(
    taught: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = _watch_measuring(monkeypatch)
    await run_round(_with_recipes(taught), TENANT)
    asked = 0
    for trials, exams in measured:
        for one in trials:
            noted = {pair.question for note in one.admitted if (pair := pair_of(note)) is not None}
            asked += len(noted)
            for split in Split:
                items = {item.question for item in exams[one.place].items(split)}
                assert items
                assert not items & noted
    assert asked > 20, "trials trained on questions"


async def test_both_editors_meet_the_same_seeds_and_the_same_questions(
    taught: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured, keys, sample = _watch_measuring(monkeypatch), [], sample_trials

    async def sampled(*args: Any, **options: Any) -> list[Trial]:
        keys.append((options["key"], options["editor"] is not None))
        return await sample(*args, **options)

    monkeypatch.setattr(loop, "sample_trials", sampled)
    await run_round(taught.context, TENANT)
    (new_key, is_new), (old_key, is_old) = keys[-2:]
    assert (is_new, is_old, new_key) == (True, False, old_key)
    assert measured[-2][1] == measured[-1][1]
    noted = [{pair_of(note) for one in trials for note in one.admitted} for trials, _ in measured[-2:]]
    asked = {p.question for one in measured[-1][1] for p in one.proposals}
    assert not asked & {pair.question for part in noted for pair in part if pair is not None}


async def test_recipes_are_ranked_by_the_questions_that_rank_trials(
    taught: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scored(*args: Any, **options: Any) -> tuple[list[Scored], Cost]:
        return [Scored(trial=trial(0), select=-0.5, confirm=confirm) for confirm in (0.2, 1.0)], Cost()

    monkeypatch.setattr(recipe_search, "scored_under", scored)
    context = _with_recipes(taught)
    client = EngineClient(context.engine, tenant=TENANT, cycle="c", concurrency=1)
    desk = RoundContext(
        context=context, client=client, settings=context.settings.learn, retention=(), directory=Path(), key="k"
    )
    plan = default_plan(LearnSettings(), max_rank=32, key="k")
    archive, _ = await recipe_search.search(desk, [exam(*QUESTIONS)], [trial(0)], (), plan=plan)
    assert {one["score"] for one in archive} == {math.exp(-0.5)}


def _watch_measuring(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Trial], list[Exam]]]:
    """What is measured from now on: trials, and the exams that they sit."""
    measured: list[tuple[list[Trial], list[Exam]]] = []
    measure = loop.measure

    async def watched(
        desk: RoundContext, trials: Sequence[Trial], adapters: Sequence[AdapterFiles], asked: Sequence[Exam]
    ) -> list[Scored]:
        measured.append((list(trials), list(asked)))
        return await measure(desk, trials, adapters, asked)

    monkeypatch.setattr(loop, "measure", watched)
    return measured


def _with_recipes(school: School) -> LearnContext:
    learn = school.context.settings.learn
    learn = learn.model_copy(update={"editor": learn.editor.model_copy(update={"recipes": 2})})
    return replace(school.context, settings=school.context.settings.model_copy(update={"learn": learn}))
