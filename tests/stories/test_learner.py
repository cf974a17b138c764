"""The clock, the leader, and the nightly look at what is active."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from sealserve.learning.context import LearnContext
from sealserve.learning.evaluation.nightly import evaluate_active_versions
from sealserve.learning.scheduler import CLOCK, Learner
from sealserve.records.canary_suites import CanaryItem
from sealserve.records.cycles import CycleState
from sealserve.settings.learn import LearnSettings
from sealserve.settings.settings import Settings
from sealserve.telemetry.names import LogEvent
from tests.stories.school import TENANT, School
from tests.stories.student import PROBES

pytestmark = pytest.mark.slow  # plays whole cycles


async def test_documents_that_arrive_are_learned_without_anybody_asking(school: School) -> None:
    quick = school.context.settings.model_copy(update={"learn": _learn(school, gather_seconds=0.05)})
    learner = Learner(_with(school, quick), worker="clockwork")
    stop = asyncio.Event()
    school.add("Varnel Lamp")
    running = asyncio.ensure_future(learner.run(stop))
    await asyncio.wait_for(school.student.asked.wait(), timeout=30)
    stop.set()
    await asyncio.wait_for(running, timeout=30)
    assert school.registry.cycles.page(TENANT).items[0].trigger == "schedule"


async def test_a_base_is_asked_what_to_rehearse_once(school: School) -> None:
    asked = []
    school.student.moods.append(lambda adapter, prompt: asked.append(prompt) if prompt in PROBES.rehearsed else None)
    for title in ("Varnel Lamp", "Osk Kettle"):
        school.add(title)
        assert (await school.learn()).state is CycleState.PROMOTED
    assert sorted(asked) == sorted(PROBES.rehearsed)


async def test_only_the_holder_of_the_clock_gathers(school: School) -> None:
    assert school.registry.hold(CLOCK, holder="somebody else", lease_seconds=30)
    school.add("Varnel Lamp")
    await school.learner._gather_as_leader()
    assert school.registry.cycles.page(TENANT).items == ()
    school.clock.pass_lease()
    await school.learner._gather_as_leader()
    assert len(school.registry.cycles.page(TENANT).items) == 1


async def test_gathering_twice_opens_one_cycle(school: School) -> None:
    school.add("Varnel Lamp")
    assert await school.learner.gather() == 1
    school.add("Osk Kettle")
    assert await school.learner.gather() == 0
    assert await school.learner.work_once() is not None
    assert await school.learner.gather() == 1


async def test_documents_wait_while_the_base_model_is_refused(school: School) -> None:
    reasons = ["the base model is unfit"]
    learner = Learner(replace(school.context, refusal=lambda: reasons[-1]), worker="w")
    school.add("Varnel Lamp")
    before = school.state()
    with capture_logs() as logs:
        assert [await learner.gather(), await learner.gather()] == [0, 0]
    assert [(one["event"], one["error"]) for one in logs] == [(LogEvent.LEARNING_REFUSED, "the base model is unfit")]
    assert school.state() == before
    assert school.registry.cycles.page(TENANT).items == ()
    reasons.append("")
    assert await learner.gather() == 1


async def test_without_an_open_cycle_there_is_nothing_to_do(school: School) -> None:
    assert await school.learner.work_once() is None


async def test_the_nightly_evaluation_measures_active_versions_and_leaves_nothing_loaded(school: School) -> None:
    assert await evaluate_active_versions(school.context) == ()
    school.add("Varnel Lamp")
    assert (await school.learn()).state is CycleState.PROMOTED
    results = await evaluate_active_versions(school.context)
    assert {(one.suite, one.suite_version, one.n) for one in results} == {("canary", 0, 240), ("unknown", 0, 120)}
    assert {(one.tenant, one.version, one.share, one.gain, one.fell, one.why) for one in results} == {
        (TENANT, 1, 1.0, 0.0, (), "")
    }
    assert sorted(school.registry.canary_suites.results(TENANT).items, key=lambda one: one.suite) == list(results)
    assert (await school.student.info()).loaded == ()


async def test_the_night_asks_the_active_version_anew_and_takes_the_base_from_what_is_kept(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    before = len(school.student.requests)
    await evaluate_active_versions(school.context)
    asked = school.student.requests[before:]
    assert len(asked) == len(PROBES.canary) + len(PROBES.unknown)
    assert None not in {request.adapter for request in asked}


async def test_a_version_that_answers_worse_than_it_did_is_told_and_goes_on_answering(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    before = school.state()
    school.student.moods.append(lambda adapter, prompt: "Nobody." if adapter and "Town 1" in prompt else None)
    with capture_logs() as logs:
        canary, unknown = await evaluate_active_versions(school.context)
    assert (canary.fell, unknown.fell) == (("base", "itself"), ())
    told = [
        (one["log_level"], one["suite"], one["against"]) for one in logs if one["event"] == LogEvent.CANARY_REGRESSED
    ]
    assert told == [("warning", "canary", "base"), ("warning", "canary", "itself")]
    assert school.state() == before


async def test_a_tenants_own_suite_stands_in_the_trend_with_its_version(school: School) -> None:
    items = [CanaryItem(item=f"t{i}", prompt=f"What is the mayor of City {i}?", answer=f"Mayor{i}") for i in range(30)]
    school.registry.canary_suites.put(TENANT, "mayors", items, actor="test")
    school.add("Varnel Lamp")
    await school.learn()
    found = [one for one in await evaluate_active_versions(school.context) if one.suite == "mayors"]
    assert [(one.suite_version, one.n, one.share) for one in found] == [(1, 30, 1.0)]
    school.registry.canary_suites.retire(TENANT, "mayors", actor="test")
    assert {one.suite for one in await evaluate_active_versions(school.context)} == {"canary", "unknown"}
    assert school.registry.canary_suites.results(TENANT, suite="mayors").items == tuple(found)


async def test_one_answer_lost_from_a_safety_suite_is_told_as_it_would_be_refused(school: School) -> None:
    items = [CanaryItem(item=f"t{i}", prompt=f"What is the mayor of City {i}?", answer=f"Mayor{i}") for i in range(30)]
    for name in ("safety", "mayors"):
        school.registry.canary_suites.put(TENANT, name, items, actor="test")
    school.add("Varnel Lamp")
    await school.learn()
    school.student.moods.append(lambda adapter, prompt: "Nobody." if adapter and "City 7?" in prompt else None)
    found = {one.suite: one.fell for one in await evaluate_active_versions(school.context)}
    assert (found["safety"], found["mayors"]) == (("base", "itself"), ())


async def test_a_version_whose_files_are_gone_is_unmeasured_not_bad(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    version = school.registry.versions.get(TENANT, 1)
    for file in school.registry.artifacts.directory(version.artifact).iterdir():
        file.unlink()
    results = await evaluate_active_versions(school.context)
    assert {one.n for one in results} == {0}
    assert all(one.why for one in results)


def _learn(school: School, **changes: object) -> LearnSettings:
    return school.context.settings.learn.model_copy(update=changes)


def _with(school: School, settings: Settings) -> LearnContext:
    return replace(school.context, settings=settings)
