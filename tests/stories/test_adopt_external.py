"""An adapter that was made elsewhere passes the whole gate, or does not answer."""

from dataclasses import replace

import pytest

from sealserve.records.cycles import Cycle, CycleState
from sealserve.records.question_sets import EvaluationItem
from sealserve.records.versions import AdapterVersion
from sealserve.rpc.cycle_report import cycle_report
from sealserve.wire.cycles import cycle_from_wire, cycle_to_wire
from tests.stories.school import TENANT, School
from tests.stories.student import ATTRIBUTES

pytestmark = pytest.mark.slow  # plays whole cycles

LAMP = "Varnel Lamp"
PRICE = f"What is the price of {LAMP}?"
OWN = tuple(
    EvaluationItem(question=f"Say, number {n}: what is the {a} of {LAMP}?", answer=value)
    for n in range(3)
    for a, value in ATTRIBUTES.items()
)
ORIGIN = {"tenant": "elsewhere", "cycle": "c0", "key": "k", "manifest": {"payload": "signed"}}


async def learned_and_taken_back(school: School) -> AdapterVersion:
    """A version of the lamp's article that no longer answers: what an import brings."""
    school.add(LAMP)
    assert (await school.learn()).state is CycleState.PROMOTED
    school.registry.versions.rollback(TENANT, to_version=0, expected_etag=None, actor="ann", reason="to start afresh")
    return school.registry.versions.get(TENANT, 1)


async def imported(school: School, version: AdapterVersion) -> Cycle:
    """Take in its files as if they came from elsewhere, and work the cycle."""
    recipe = replace(school.registry.cycles.candidates(version.cycle)[0].recipe, seed=7)
    school.registry.imports.add(TENANT, artifact=version.artifact, recipe=recipe, origin=ORIGIN, actor="ann")
    cycle = await school.learner.work_once()
    assert cycle is not None
    return cycle


async def test_an_import_that_gains_by_the_tenants_own_questions_answers(school: School) -> None:
    version = await learned_and_taken_back(school)
    school.registry.question_sets.add(TENANT, "lamps", OWN, actor="test")
    cycle = await imported(school, version)
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    made = school.registry.versions.get(TENANT, 2)
    assert (made.artifact, made.documents, made.parent) == (version.artifact, (), 0)
    assert made.lineage.imported == ORIGIN
    assert "45 crowns" in await school.answer(PRICE)
    shown = cycle_from_wire(cycle_to_wire(cycle_report(school.registry, cycle))).answers
    assert {one.document for one in shown} == {""}


async def test_an_import_that_nothing_can_measure_is_not_promoted(school: School) -> None:
    version = await learned_and_taken_back(school)
    cycle = await imported(school, version)
    assert cycle.state is CycleState.INCONCLUSIVE
    assert "not measured" in cycle.reason
    assert school.registry.tenants.get(TENANT).desired_version == 0
    assert len(school.registry.versions.page(TENANT).items) == 1


async def test_an_import_that_forgets_what_the_incumbent_knows_is_not_promoted(school: School) -> None:
    version = await learned_and_taken_back(school)
    school.registry.question_sets.add(TENANT, "lamps", OWN, actor="test")
    school.add("Osk Kettle", shift=2)
    assert (await school.learn()).state is CycleState.PROMOTED
    cycle = await imported(school, version)
    assert cycle.state is not CycleState.PROMOTED
    assert school.registry.tenants.get(TENANT).desired_version == 2


async def test_a_killed_import_goes_on_where_it_was(school: School) -> None:
    version = await learned_and_taken_back(school)
    school.registry.question_sets.add(TENANT, "lamps", OWN, actor="test")
    recipe = school.registry.cycles.candidates(version.cycle)[0].recipe
    opened = school.registry.imports.add(TENANT, artifact=version.artifact, recipe=recipe, origin=ORIGIN, actor="ann")
    claim = school.registry.cycles.claim(worker="dies", lease_seconds=30)
    assert claim is not None
    school.restart()
    cycle = await school.learner.work_once()
    assert cycle is not None
    assert (cycle.cycle, cycle.state, cycle.attempts) == (opened.cycle, CycleState.PROMOTED, 2)
