"""The clock, the leader, and the nightly look at what is active."""

import asyncio
from dataclasses import replace

import pytest

from sealserve.config import LearnSettings, Settings
from sealserve.errors import BadConfig
from sealserve.learning.nightly import evaluate_active_versions
from sealserve.learning.scheduler import CLOCK, Learner
from sealserve.learning.workshop import Workshop
from sealserve.records import CycleState, Measured, Unmeasured
from tests.stories.school import TENANT, School


async def test_documents_that_arrive_are_learned_without_anybody_asking(school: School) -> None:
    quick = school.shop.settings.model_copy(update={"learn": _learn(school, gather_seconds=0.05)})
    learner = Learner(_with(school, quick), worker="clockwork")
    stop = asyncio.Event()
    school.add("Varnel Lamp")
    running = asyncio.ensure_future(learner.run(stop))
    await asyncio.wait_for(school.student.asked.wait(), timeout=30)
    stop.set()
    await asyncio.wait_for(running, timeout=30)
    assert school.registry.cycles(TENANT).items[0].trigger == "schedule"


async def test_only_the_holder_of_the_clock_gathers(school: School) -> None:
    assert school.registry.hold(CLOCK, holder="somebody else", lease_seconds=30)
    school.add("Varnel Lamp")
    await school.learner._tick()
    assert school.registry.cycles(TENANT).items == ()
    school.clock.pass_lease()
    await school.learner._tick()
    assert len(school.registry.cycles(TENANT).items) == 1


async def test_gathering_twice_opens_one_cycle(school: School) -> None:
    school.add("Varnel Lamp")
    assert await school.learner.gather() == 1
    school.add("Osk Kettle")
    assert await school.learner.gather() == 0
    assert await school.learner.work_once() is not None
    assert await school.learner.gather() == 1


async def test_without_an_open_cycle_there_is_nothing_to_do(school: School) -> None:
    assert await school.learner.work_once() is None


async def test_a_cron_line_that_is_none_is_refused_by_name(school: School) -> None:
    odd = school.shop.settings.model_copy(update={"learn": _learn(school, nightly="whenever")})
    with pytest.raises(BadConfig, match=r"learn\.nightly"):
        await Learner(_with(school, odd), worker="w").run(asyncio.Event())


async def test_the_nightly_evaluation_measures_active_versions_and_leaves_nothing_loaded(school: School) -> None:
    assert await evaluate_active_versions(school.shop) == {}
    school.add("Varnel Lamp")
    assert (await school.learn()).state is CycleState.PROMOTED
    scores = (await evaluate_active_versions(school.shop))[TENANT]
    assert isinstance(scores["canary"], Measured)
    assert scores["canary"].gain == 0.0
    assert (await school.student.info()).loaded == ()


async def test_a_version_whose_files_are_gone_is_unmeasured_not_bad(school: School) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    version = school.registry.version(TENANT, 1)
    for file in school.registry.artifacts.directory(version.artifact).iterdir():
        file.unlink()
    scores = (await evaluate_active_versions(school.shop))[TENANT]
    assert all(isinstance(score, Unmeasured) for score in scores.values())


def _learn(school: School, **changes: object) -> LearnSettings:
    return school.shop.settings.learn.model_copy(update=changes)


def _with(school: School, settings: Settings) -> Workshop:
    return replace(school.shop, settings=settings)
