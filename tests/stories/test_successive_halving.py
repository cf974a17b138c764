"""Many recipes: which are trained in full, and that a cycle ends as well with them as without."""

from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from sealserve.canonical import Json
from sealserve.errors import EngineFailed, TrainingFailed
from sealserve.learning.steps.successive_halving import SHORT_SHARE, coverage
from sealserve.learning.training.examples import Example, Origin, Pool
from sealserve.prompts import Template
from sealserve.records.candidates import Recipe
from sealserve.records.cycles import CycleState, QuizItem, Split, Step
from sealserve.records.step_outputs import Trained, from_json
from sealserve.rpc.cycle_report import cycle_report
from tests.stories.school import School, open_school

pytestmark = pytest.mark.slow  # plays whole cycles


@pytest_asyncio.fixture
async def many(tmp_path: Path) -> School:
    """A school that tries six recipes and trains two of them in full."""
    school = open_school(tmp_path, training__candidates=6, training__finalists=2)
    await school.student.start()
    return school


def trained(school: School, cycle: str) -> Trained:
    record = next(one for one in school.registry.cycles.steps(cycle) if one.step is Step.TRAIN)
    return from_json(Trained, record.output)


async def test_of_many_recipes_the_best_after_a_short_training_are_trained_in_full(many: School) -> None:
    def spoil(held: Json) -> None:
        held["knows"] = {} if held["index"] in (0, 1, 3, 4) else held["knows"]

    many.teacher.spoil = spoil
    many.add("Varnel Lamp")
    cycle = await many.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    short, full = many.teacher.jobs
    assert [one.index for one in short.attempts] == [0, 1, 2, 3, 4, 5]
    assert [one.index for one in full.attempts] == [2, 5]
    assert short.attempts[2].steps == round(full.attempts[0].steps * SHORT_SHARE)
    assert len(short.attempts[2].order) == short.attempts[2].steps * short.attempts[2].recipe.batch_size
    done = trained(many, cycle.cycle)
    assert done.candidates == (2, 5)
    assert any("2 of 6 recipes" in remark for remark in done.remarks)
    assert [one.index for one in done.short_trials] == [0, 1, 2, 3, 4, 5]
    assert [one.recipe for one in done.short_trials] == [one.recipe for one in short.attempts]
    assert {one.steps for one in done.short_trials} == {one.steps for one in short.attempts}
    scores = {one.index: one.score for one in done.short_trials}
    assert all(scores[lost] < scores[won] for lost in (0, 1, 3, 4) for won in (2, 5))  # type: ignore[operator]
    assert cycle_report(many.registry, cycle).short_trials[3].score == scores[3]
    assert (await many.student.info()).loaded == ()
    artifacts = {one.artifact for one in many.registry.cycles.candidates(cycle.cycle)}
    kept = {path.name for path in (many.context.settings.artifact_directory).rglob("*") if len(path.name) == 64}
    assert len(kept - artifacts) == 1  # the version's manifest


async def test_few_recipes_are_trained_in_full_at_once(tmp_path: Path) -> None:
    school = open_school(tmp_path, training__candidates=3, training__finalists=4)
    await school.student.start()
    school.add("Varnel Lamp")
    assert (await school.learn()).state is CycleState.PROMOTED
    assert len(school.teacher.jobs) == 1


async def test_seeds_of_one_recipe_are_one_recipe(tmp_path: Path) -> None:
    school = open_school(tmp_path, training__candidates=3, training__seeds=2, training__finalists=2)
    await school.student.start()
    school.add("Varnel Lamp")
    cycle = await school.learn()
    short, full = school.teacher.jobs
    assert [one.index for one in short.attempts] == [0, 1, 2]
    assert len(full.attempts) == 4
    assert len(trained(school, cycle.cycle).candidates) == 4


async def test_what_a_short_training_is_worth_may_be_unmeasurable_then_all_are_trained(
    many: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> object:
        raise EngineFailed("no")

    many.add("Varnel Lamp")
    monkeypatch.setattr("sealserve.learning.steps.successive_halving.LogLikelihood.scores", broken)
    assert await many.learner.gather() == 1
    cycle = await many.learner.work_once()
    assert cycle is not None
    assert [len(job.attempts) for job in many.teacher.jobs] == [6, 6]
    done = trained(many, cycle.cycle)
    assert "short trainings could not be measured" in done.remarks
    assert [one.score for one in done.short_trials] == [None] * 6


async def test_a_cycle_whose_full_training_fails_is_taken_up_again(many: School) -> None:
    train, calls = many.teacher.train, []

    async def failing(*args: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise TrainingFailed("gone")
        return await train(*args, **options)  # type: ignore[arg-type]

    many.teacher.train = failing  # type: ignore[method-assign,assignment]
    many.add("Varnel Lamp")
    assert (await many.learn()).state is CycleState.RUNNING
    cycle = await many.learner.work_once()
    assert cycle is not None
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert len(trained(many, cycle.cycle).candidates) == 2


def test_a_recipe_covers_what_the_examples_it_trains_on_give() -> None:
    recipe = Recipe(
        templates=(Template.QA,),
        rank=8,
        alpha=16,
        learning_rate=1e-3,
        epochs=1,
        batch_size=4,
        loss_on_answers=True,
        retention=0.0,
        seed=0,
    )
    said = Example(
        prompt="?", completion="The price is 45 crowns.", document="d", origin=Origin.QA, template=Template.QA
    )
    told = Example(
        prompt="?", completion="The colour is red.", document="d", origin=Origin.STATEMENTS, template=Template.LONG
    )
    pool = Pool(examples=(said, told), new=frozenset({"d"}), retention=0)
    items = [
        QuizItem(question="What is the price?", answer="45 crowns", document="d", split=Split.SELECT),
        QuizItem(question="Which colour?", answer="red", document="d", split=Split.SELECT),
    ]
    assert coverage(pool, recipe, items) == 0.5
    assert coverage(pool, replace(recipe, templates=(Template.QA, Template.LONG)), items) == 1.0
    assert coverage(pool, replace(recipe, templates=(Template.REWRITE,)), items) == 0.0
    assert coverage(pool, recipe, []) == 0.0
