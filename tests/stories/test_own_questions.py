"""Cycles that are measured by what people gave: evaluation sets, corrections; and by rewards other than the default."""

from collections import Counter
from pathlib import Path

import pytest

from sealserve.learning.evaluation.backdoor_probe import QUESTIONS
from sealserve.records.cycles import CycleState, Split, Step
from sealserve.records.feedback import Opinion, Thumb
from sealserve.records.question_sets import EvaluationItem
from sealserve.records.scores import Decision
from sealserve.records.step_outputs import Ranked, Written, from_json
from tests.stories.school import TENANT, School, open_school
from tests.stories.student import PROBES

pytestmark = pytest.mark.slow  # plays whole cycles

OWN = tuple(
    EvaluationItem(question=f"Would you say the {a} of Varnel Lamp, number {n}?", answer=value, matcher="exact")
    for n in range(3)
    for a, value in (("price", "45 crowns"), ("maker", "Orla Finch"), ("weight", "12 kilos"))
)
OTHER = EvaluationItem(question="What is the price of Nobody's Chair?", answer="99 crowns")


def ranked(school: School, cycle: str) -> Ranked:
    output = next(step.output for step in school.registry.cycles.steps(cycle) if step.step is Step.RANK)
    return from_json(Ranked, output)


async def opened(directory: Path, **learn: object) -> School:
    school = open_school(directory, **learn)
    await school.student.start()
    return school


async def test_a_tenants_own_questions_on_the_document_go_first_and_each_into_one_half(school: School) -> None:
    school.registry.question_sets.add(TENANT, "lamps", (*OWN, OTHER), actor="test")
    school.add("Varnel Lamp")
    cycle = await school.learn()
    items = school.registry.cycles.quiz(cycle.cycle)
    own = {item.question for item in OWN}
    assert {item.question for item in items[: len(OWN)]} == own
    assert {item.split for item in items if item.question in own} == {Split.SELECT, Split.CONFIRM}
    assert OTHER.question not in {item.question for item in items}
    output = next(step.output for step in school.registry.cycles.steps(cycle.cycle) if step.step is Step.WRITE)
    assert from_json(Written, output).evaluation == ("lamps@1",)


async def test_what_people_corrected_is_asked_when_its_document_comes(school: School) -> None:
    correction = Opinion(
        answer_request="r1",
        version=0,
        thumb=Thumb.DOWN,
        question="Can one know the price of Varnel Lamp at all?",
        correction="45 crowns",
    )
    school.registry.feedback.add(TENANT, correction, actor="test")
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert correction.question in {item.question for item in school.registry.cycles.quiz(cycle.cycle)}


async def test_every_kind_of_answer_rule_ranks_and_the_version_says_which(tmp_path: Path) -> None:
    for reward in ("contains", "f1"):
        school = await opened(tmp_path / reward, reward__kind=reward)
        school.add("Varnel Lamp")
        cycle = await school.learn()
        assert cycle.state is CycleState.PROMOTED, cycle.reason
        assert ranked(school, cycle.cycle).reward == reward
        assert school.registry.versions.get(TENANT, 1).lineage.reward == reward
        school.registry.close()


async def test_feedback_ranks_nobody_before_there_are_corrections_enough(tmp_path: Path) -> None:
    school = await opened(tmp_path, reward__tenant_kinds={TENANT: "feedback"})
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.INCONCLUSIVE
    assert "corrections" in cycle.reason


async def test_agreement_may_choose_only_so_many_versions_in_a_row(tmp_path: Path) -> None:
    school = await opened(tmp_path, reward__kind="self_consistency", reward__consistency_rounds=1)
    school.add("Varnel Lamp")
    assert (await school.learn()).state is CycleState.PROMOTED
    school.add("Morvel Chair", shift=1)
    second = await school.learn()
    assert second.state is CycleState.INCONCLUSIVE
    assert "self_consistency has chosen" in second.reason


async def test_seeds_show_how_far_the_reward_can_be_trusted(tmp_path: Path) -> None:
    school = await opened(tmp_path, training__seeds=2, training__candidates=2)
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert len(school.registry.cycles.candidates(cycle.cycle)) == 4
    found = ranked(school, cycle.cycle)
    assert found.reliability is not None
    assert (found.reliability.candidates, found.reliability.seeds) == (4, 2)
    assert found.reliability.between_seeds is not None
    assert "no candidate stands out" in found.note
    assert found.winner == 0


async def test_the_incumbents_old_skills_are_not_measured_a_second_time(school: School) -> None:
    school.add("Varnel Lamp")
    assert (await school.learn()).state is CycleState.PROMOTED
    before = len(school.student.requests)
    school.add("Morvel Chair", shift=1)
    assert (await school.learn()).state is CycleState.PROMOTED
    old = {probe.question for probe in PROBES.canary}
    asked = Counter(
        (r.adapter or "").split("-")[2] for r in school.student.requests[before:] if r.turns[-1].content in old
    )
    assert asked == {"0": len(old), "incumbent": QUESTIONS}  # the incumbent only for what triggers may turn


async def test_a_judge_that_cannot_be_reached_leaves_the_cycle_open_to_another_day(tmp_path: Path) -> None:
    school = await opened(
        tmp_path,
        reward__kind="llm_judge",
        reward__judge_url="http://127.0.0.1:9/v1",
        reward__judge_model="judge",
        reward__judge_patience_seconds=0.01,
    )
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.INCONCLUSIVE
    assert "learn.reward.judge_url" in cycle.reason
    judged = next(step.output for step in school.registry.cycles.steps(cycle.cycle) if step.step is Step.JUDGE)
    assert judged["verdict"]["decision"] == Decision.INCONCLUSIVE
