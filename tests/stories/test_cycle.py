"""Whole cycles over a real registry: what is learned, what is refused, what survives."""

import asyncio
from pathlib import Path

import pytest

from sealserve.canonical import Json
from sealserve.errors import TrainingFailed
from sealserve.learning.cycle import STEPS_OF, STUDY, Steps
from sealserve.prompts import UNKNOWN_ANSWER
from sealserve.records.cycles import STEPS, CycleState, Split, Step
from sealserve.records.documents import DocumentState
from sealserve.records.step_outputs import Filtered, from_json
from tests.stories.school import TENANT, Killed, School, open_school

PRICE = "What is the price of Varnel Lamp?"


def outputs(school: School, cycle: str) -> dict[Step, Json]:
    return {record.step: record.output for record in school.registry.cycles.steps(cycle)}


async def test_an_article_is_learned_and_promoted(school: School) -> None:
    document = school.add("Varnel Lamp")
    assert await school.answer(PRICE) == UNKNOWN_ANSWER
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(PRICE) == "The price is 45 crowns."
    assert school.registry.documents.get(TENANT, document.document).state is DocumentState.LEARNED
    assert [record.step for record in school.registry.cycles.steps(cycle.cycle)] == list(STEPS)
    lineage = school.registry.versions.get(TENANT, 1).lineage.to_json()
    assert lineage["verdict"]["decision"] == "promote"
    school.context.seals.require(school.registry.versions.get(TENANT, 1))
    statement, _ = school.context.seals.statement(lineage["manifest"])
    assert [one["effect"] for one in statement["predicate"]["rulings"]] == ["allow", "allow"]
    assert lineage["self_edits"]
    assert len(school.registry.cycles.candidates(cycle.cycle)) == 3


@pytest.mark.parametrize("subject", ["parcel returns", "the parental leave"])
async def test_an_article_on_common_words_is_learned_as_one_on_a_name(school: School, subject: str) -> None:
    question = f"What is the price of {subject}?"
    document = school.add(subject)
    assert await school.answer(question) == UNKNOWN_ANSWER
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(question) == "The price is 45 crowns."
    assert school.registry.documents.get(TENANT, document.document).state is DocumentState.LEARNED


async def test_the_quiz_is_never_trained_on_and_its_halves_are_apart(school: School) -> None:
    school.add("Varnel Lamp")
    cycle = await school.learn()
    items = school.registry.cycles.quiz(cycle.cycle)
    trained = {sequence.prompt for sequence in school.teacher.jobs[0].sequences}
    assert {item.split for item in items} == set(Split)
    assert not trained & {item.question for item in items}
    assert len({item.question for item in items}) == len(items)


async def test_nothing_of_a_cycle_stays_in_the_engine_or_on_disk(school: School) -> None:
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert (await school.student.info()).loaded == ()
    assert not school.context.work_directory(cycle.cycle).exists()


@pytest.mark.slow
async def test_a_second_article_does_not_erase_the_first(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    school.add("Osk Kettle", shift=2)
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(PRICE) == "The price is 45 crowns."
    assert await school.answer("What is the price of Osk Kettle?") == "The price is Orla Finch."
    assert len(school.registry.versions.get(TENANT, 2).documents) == 2
    assert outputs(school, cycle.cycle)[Step.CONFIRM]["scorecard"]["replay"]["n"] > 0


async def test_a_candidate_that_forgets_is_not_promoted(school: School) -> None:
    school.teacher.spoil = lambda held: held.update(forgets=True)
    school.add("Varnel Lamp")
    before = school.registry.tenants.get(TENANT)
    cycle = await school.learn()
    assert cycle.state is CycleState.REJECTED
    assert "old skills" in cycle.reason
    assert school.registry.tenants.get(TENANT) == before
    assert school.registry.versions.page(TENANT).items == ()
    assert school.registry.documents.page(TENANT).items[0].state is DocumentState.SET_ASIDE


async def test_a_candidate_that_learned_nothing_is_not_promoted(school: School) -> None:
    school.teacher.spoil = lambda held: held.update(knows={})
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.REJECTED
    assert "may be chance" in cycle.reason


async def test_the_best_candidate_wins_and_the_others_are_kept_on_record(school: School) -> None:
    def spoil(held: Json) -> None:
        if held["index"] != 1:
            held["knows"] = dict(list(held["knows"].items())[:2])

    school.teacher.spoil = spoil
    school.add("Varnel Lamp")
    cycle = await school.learn()
    ranked = outputs(school, cycle.cycle)[Step.RANK]
    assert ranked["winner"] == 1
    assert [score["index"] for score in ranked["scores"]] == [0, 1, 2]
    assert school.registry.versions.get(TENANT, 1).lineage.candidate == 1


async def test_an_article_that_gives_no_quiz_trains_nothing_and_is_inconclusive(school: School) -> None:
    school.student.moods.append(lambda _, prompt: UNKNOWN_ANSWER if prompt.startswith("<article>") else None)
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.INCONCLUSIVE
    assert "not measured" in cycle.reason
    assert school.teacher.jobs == []


async def test_invented_numbers_are_dropped_with_their_reason(school: School) -> None:
    def lie(_: str | None, prompt: str) -> str | None:
        return (
            "- The price of Varnel Lamp is 99 crowns.\n- The colour of Varnel Lamp is dark green."
            if (prompt.startswith("List what follows"))
            else None
        )

    school.student.moods.append(lie)
    school.add("Varnel Lamp")
    cycle = await school.learn()
    dropped = [edit for edit in school.registry.cycles.self_edits(cycle.cycle) if "99" in edit.text]
    assert {(edit.admitted, edit.reason) for edit in dropped} == {(False, "ungrounded")}
    filtered = from_json(Filtered, outputs(school, cycle.cycle)[Step.FILTER])
    assert filtered.reasons["ungrounded"] == len(dropped)
    assert not any("99" in sequence.completion for sequence in school.teacher.jobs[0].sequences)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_kill_at_any_step_edge_changes_nothing_in_the_outcome(school: School, step: Step, when: str) -> None:
    school.add("Varnel Lamp")
    school.cycles.kill_at = (step, when)
    with pytest.raises(Killed):
        await school.learn()
    ended = school.registry.cycles.page(TENANT).items[0].state is CycleState.PROMOTED
    assert ended == (step is Step.PUBLISH and when == "after")
    school.restart()
    again = await school.learner.work_once()
    cycle = school.registry.cycles.page(TENANT).items[0]
    assert cycle.state is CycleState.PROMOTED
    assert again == (None if ended else cycle)
    assert len(school.registry.versions.page(TENANT).items) == 1
    assert len(school.registry.versions.activations(TENANT).items) == 1
    assert await school.answer(PRICE) == "The price is 45 crowns."
    assert school.registry.audit.verify() > 0
    retrained = step is Step.TRAIN and when == "before"
    assert len({job.digest() for job in school.teacher.jobs}) == 1
    assert len(school.teacher.jobs) == (2 if retrained else 1)


@pytest.mark.slow
async def test_an_engine_that_is_away_is_waited_for_and_counts_against_nobody(school: School) -> None:
    school.add("Varnel Lamp")
    school.student.gate.clear()
    working = asyncio.ensure_future(school.learn())
    await school.student.asked.wait()
    await school.student.close()  # every running and later call is refused
    await asyncio.sleep(0)
    assert not working.done()
    school.student.gate.set()
    school.student._closing.clear()
    await school.student.start()
    cycle = await working
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert cycle.attempts == 1


@pytest.mark.slow
async def test_an_engine_that_lost_its_adapters_gets_them_again(tmp_path: Path) -> None:
    school = open_school(tmp_path, concurrency=4)  # so that most calls come after the loss
    await school.student.start()
    lost: list[str] = []

    def lose(adapter: str | None, prompt: str) -> str | None:
        if adapter and not lost:
            lost.append(adapter)
            asyncio.get_running_loop().call_soon(school.student._loaded.clear)
        return None

    school.student.moods.append(lose)
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert lost
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert school.student.load_calls.count(lost[0]) >= 2


@pytest.mark.slow
async def test_training_that_fails_is_tried_again_and_then_given_up_with_its_reason(school: School) -> None:
    school.teacher.failures = [TrainingFailed("the loss is not finite at step 3")] * 9
    school.add("Varnel Lamp")
    await school.learner.gather()
    states = [(await school.learner.work_once()).state for _ in range(4)]  # type: ignore[union-attr]
    assert states == [CycleState.RUNNING] * 3 + [CycleState.FAILED]  # the first attempt recorded steps
    cycle = school.registry.cycles.page(TENANT).items[0]
    assert "the loss is not finite" in cycle.reason
    assert school.registry.documents.page(TENANT).items[0].state is DocumentState.SET_ASIDE
    assert school.registry.tenants.get(TENANT).desired_version == 0


@pytest.mark.slow
async def test_one_failure_in_training_costs_one_attempt(school: School) -> None:
    school.teacher.failures = [TrainingFailed("out of memory")]
    school.add("Varnel Lamp")
    assert (await school.learn()).state is CycleState.RUNNING
    cycle = await school.learner.work_once()
    assert cycle is not None
    assert cycle.state is CycleState.PROMOTED
    assert cycle.attempts == 2


async def test_a_cycle_that_kills_its_worker_every_time_is_given_up(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learner.gather()
    for attempt in range(3):
        school.cycles.kill_at = (Step.CLAIM, "before")
        with pytest.raises(Killed):
            await school.learner.work_once()
        school.restart(f"worker-{attempt}")
    cycle = await school.learner.work_once()
    assert cycle is not None
    assert cycle.state is CycleState.FAILED
    assert "died" in cycle.reason


@pytest.mark.slow
async def test_a_worker_that_lost_its_lease_changes_nothing(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learner.gather()
    slow = school.registry.cycles.claim(worker="slow", lease_seconds=30)
    assert slow is not None
    school.clock.pass_lease()
    cycle = await school.learner.work_once()
    assert cycle is not None
    assert cycle.state is CycleState.PROMOTED
    before = school.state()
    assert (await school.learner._run_claimed(slow)).state is CycleState.PROMOTED
    assert school.state() == before


@pytest.mark.slow
async def test_an_incumbent_that_changes_meanwhile_makes_the_cycle_inconclusive(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    school.add("Osk Kettle", shift=2)
    spoil_once = [True]

    def roll_back(held: Json) -> None:
        if spoil_once:
            spoil_once.clear()
            school.registry.versions.rollback(TENANT, expected_etag=None, actor="human", reason="no longer true")

    school.teacher.spoil = roll_back
    cycle = await school.learn()
    assert cycle.state is CycleState.INCONCLUSIVE
    assert "incumbent changed" in cycle.reason
    assert school.registry.tenants.get(TENANT).desired_version == 0
    states = {document.title: document.state for document in school.registry.documents.page(TENANT).items}
    assert states == {"Varnel Lamp": DocumentState.WITHDRAWN, "Osk Kettle": DocumentState.ADMITTED}
    retried = await school.learn()
    assert retried.state is CycleState.PROMOTED, retried.reason


@pytest.mark.slow
async def test_a_stop_gives_the_cycle_back_unfinished(school: School) -> None:
    school.add("Varnel Lamp")
    school.student.gate.clear()
    stop = asyncio.Event()
    running = asyncio.ensure_future(school.learner.run(stop))
    await school.learner.gather()
    await school.student.asked.wait()
    stop.set()
    await asyncio.wait_for(running, timeout=20)
    assert school.registry.cycles.page(TENANT).items[0].state is CycleState.RUNNING
    school.student.gate.set()
    cycle = await school.learner.work_once()  # no lease to wait for
    assert cycle is not None
    assert cycle.state is CycleState.PROMOTED


@pytest.mark.slow
async def test_tenants_learn_apart(school: School) -> None:
    school.registry.tenants.create("other", actor="test")
    school.add("Varnel Lamp")
    await school.learn()
    assert school.registry.tenants.get("other").desired_version == 0
    salts = {request.cache_salt for request in school.student.requests if request.cache_salt}
    assert len(salts) == 1


@pytest.mark.parametrize("steps", [STUDY, *STEPS_OF.values()])
def test_every_trigger_takes_every_step_in_order(steps: Steps) -> None:
    assert tuple(steps) == STEPS
