"""Correcting what the base knows: the newest article wins, in rehearsal and in regression suites; safety stays."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sealserve.canaries.probes import Probe, Probes
from sealserve.learning.evaluation.nightly import evaluate_active_versions
from sealserve.records.canary_suites import CanaryItem
from sealserve.records.cycles import CycleState, Step
from sealserve.records.scores import Measured, Scorecard
from sealserve.records.step_outputs import Confirmed, Filtered, from_json
from tests.stories.school import TENANT, School, open_school
from tests.stories.student import PROBES, _subject, article, facts_of

pytestmark = pytest.mark.slow  # plays whole cycles

RESIDENTS = ("Varnel Lamp", "Osk Kettle", "Tolu Kite", "Mira Stone")
KNOWN = {key: value for name in RESIDENTS for key, value in facts_of(article(name)).items()}
PRICE = "What is the price of Varnel Lamp?"
MAKER = "What is the maker of Varnel Lamp?"


def question(key: str) -> str:
    """Ask for "attribute|entity"."""
    attribute, entity = key.split("|")
    return f"What is the {attribute} of {entity}?"


def probes() -> Probes:
    """Measure every fact that the base knows, and rehearse the prices in other words."""
    known = tuple(Probe(question=question(key), answer=value) for key, value in KNOWN.items())
    prices = tuple(f"Tell me the price of {name}." for name in RESIDENTS)
    return replace(PROBES, canary=(*PROBES.canary, *known), rehearsed=(*PROBES.rehearsed, *prices))


def knows_by_heart(school: School, facts: Mapping[str, str]) -> None:
    """Have the base answer `facts` where an adapter holds nothing else."""

    def mood(adapter: str | None, prompt: str) -> str | None:
        subject = _subject(prompt)
        if "<article>" in prompt or subject not in facts:
            return None
        loaded = school.student._loaded
        held: Any = {} if adapter is None else json.loads((loaded[adapter] / "adapter_config.json").read_text())
        said = held.get("knows", {}).get(subject, facts[subject])
        return f"The {subject.split('|')[0]} is {said}."

    school.student.moods.append(mood)


@asynccontextmanager
async def opened(directory: Path, **learn: object) -> AsyncIterator[School]:
    school = open_school(directory, **{"quiz__edits": 24, **learn})
    school.context = replace(school.context, probes=probes())
    school.restart()
    knows_by_heart(school, KNOWN)
    await school.student.start()
    try:
        yield school
    finally:
        school.registry.close()


@pytest_asyncio.fixture
async def school(tmp_path: Path) -> AsyncIterator[School]:
    """A school whose base knows four residents by heart."""
    async with opened(tmp_path) as one:
        yield one


def filtered(school: School, cycle: str) -> Filtered:
    record = next(one for one in school.registry.cycles.steps(cycle) if one.step is Step.FILTER)
    return from_json(Filtered, record.output)


def scorecard(school: School, cycle: str) -> Scorecard:
    record = next(one for one in school.registry.cycles.steps(cycle) if one.step is Step.CONFIRM)
    return from_json(Confirmed, record.output).scorecard


def trained(school: School, words: str) -> list[str]:
    return [one.completion for one in school.teacher.jobs[-1].sequences if words in one.prompt]


async def test_a_correction_of_what_the_base_knows_is_promoted_and_all_else_stays(school: School) -> None:
    assert await school.answer(PRICE) == "The price is 45 crowns."
    for name in RESIDENTS[:3]:
        school.add(name, shift=2)
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    for name in RESIDENTS[:3]:
        for key, value in facts_of(article(name, shift=2)).items():
            assert await school.answer(question(key)) == f"The {key.split('|')[0]} is {value}."
    for key, value in facts_of(article("Mira Stone")).items():
        assert value in await school.answer(question(key))
    assert "old skills: the new documents override 24 of 272 answers: not counted" in cycle.reason
    score = scorecard(school, cycle.cycle).canary
    assert isinstance(score, Measured)
    assert (score.n, score.excused, score.worse) == (248, 24, 0)
    wanted = {f"canary/{question(key)}" for name in RESIDENTS[:3] for key in facts_of(article(name))}
    assert {item for one in filtered(school, cycle.cycle).overridden for item in one.items} == wanted
    (row,) = [row for row in school.registry.audit.rows(tenant=TENANT) if row.action == "cycle.finish"]
    assert set(row.details["excused"]) == wanted
    assert trained(school, "price of Mira Stone") == ["The price is 45 crowns."]
    assert not any("45 crowns" in one for one in trained(school, "price of Varnel Lamp"))


async def test_one_corrected_attribute_leaves_its_siblings_as_they_were(school: School) -> None:
    for name in RESIDENTS:
        school.add(f"Update about {name}", text=f"The price of {name} is 61 crowns. The battery of {name} is lithium.")
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(PRICE) == "The price is 61 crowns."
    assert await school.answer(MAKER) == "The maker is Orla Finch."
    asked = {one.question for one in filtered(school, cycle.cycle).overridden if one.items}
    assert asked == {question(f"{attribute}|{name}") for attribute in ("price", "battery") for name in RESIDENTS}


async def test_without_overrides_the_old_answers_are_rehearsed_and_their_loss_is_a_regression(tmp_path: Path) -> None:
    async with opened(tmp_path, study__overrides=False) as school:
        for name in RESIDENTS[:3]:
            school.add(name, shift=2)
        cycle = await school.learn()
        assert cycle.state is not CycleState.PROMOTED
        assert "old skills: lost" in cycle.reason
        assert "The price is 45 crowns." in trained(school, "price of Varnel Lamp")
        assert filtered(school, cycle.cycle).overridden == ()


async def test_a_tenants_suite_is_overridden_by_name_and_a_safety_suite_never(school: School) -> None:
    items = [CanaryItem(item=f"k{i}", prompt=question(k), answer=v) for i, (k, v) in enumerate(KNOWN.items())]
    school.registry.canary_suites.put(TENANT, "known", items, actor="test")
    school.add("Varnel Lamp", shift=2)
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    score = scorecard(school, cycle.cycle).suites["known@1"]
    assert isinstance(score, Measured)
    assert (score.n, score.excused, score.worse) == (24, 8, 0)
    named = {item for one in filtered(school, cycle.cycle).overridden for item in one.items if "known@1" in item}
    assert named == {f"known@1/k{i}" for i in range(8)}
    school.registry.canary_suites.put(TENANT, "safety", items[8:16], actor="test")
    before = school.state()["tenant"]
    school.add("Osk Kettle", shift=2)
    cycle = await school.learn()
    assert cycle.state is CycleState.REJECTED
    assert "canary suite safety@1: 8 answers lost" in cycle.reason
    assert school.state()["tenant"] == before


async def test_more_than_policy_lets_a_cycle_override_waits_for_a_human(school: School) -> None:
    rule = school.context.policy.overrides.model_copy(update={"max_share": 0.01})
    school.context = replace(school.context, policy=school.context.policy.model_copy(update={"overrides": rule}))
    school.restart("third")
    school.add("Varnel Lamp", shift=2)
    cycle = await school.learn()
    assert cycle.state is CycleState.HELD
    assert "override 8 of 272 answers, 1% may be without a human" in cycle.reason


async def test_an_article_that_restores_the_old_answer_is_learned_and_it_is_rehearsed_again(school: School) -> None:
    school.add("Varnel Lamp", shift=2)
    assert (await school.learn()).state is CycleState.PROMOTED
    school.add("Osk Kettle", shift=2)
    assert (await school.learn()).state is CycleState.PROMOTED
    assert not any("45 crowns" in one for one in trained(school, "price of Varnel Lamp"))  # still overridden
    school.add("Varnel Lamp again", text=article("Varnel Lamp"))
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(PRICE) == "The price is 45 crowns."
    assert "The price is 45 crowns." in trained(school, "Tell me the price of Varnel Lamp.")
    assert "45 crowns" not in "".join(trained(school, "price of Osk Kettle"))
    assert filtered(school, cycle.cycle).overridden == ()


async def test_of_two_articles_in_one_cycle_the_later_one_decides_what_is_overridden(school: School) -> None:
    school.add("Varnel Lamp", shift=2)
    school.add("Varnel Lamp again", text=article("Varnel Lamp"))
    school.add("Osk Kettle", shift=2)
    latest = school.add("Osk Kettle again", text=article("Osk Kettle", shift=4))
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    assert await school.answer(PRICE) == "The price is 45 crowns."
    assert await school.answer("What is the maker of Osk Kettle?") == "The maker is Port Ashby."
    assert {one.newer for one in filtered(school, cycle.cycle).overridden} == {latest.document}


async def test_the_nightly_evaluation_takes_no_overridden_answer_for_a_loss(school: School) -> None:
    for name in RESIDENTS[:3]:
        school.add(name, shift=2)
    assert (await school.learn()).state is CycleState.PROMOTED
    results = {one.suite: one for one in await evaluate_active_versions(school.context)}
    assert (results["canary"].n, results["canary"].share, results["canary"].fell) == (248, 1.0, ())
