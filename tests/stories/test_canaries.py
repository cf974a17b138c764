"""A tenant's own canary suites in a whole cycle: measured beside the shipped ones, and judged as they are."""

import pytest

from sealserve.errors import NotFound
from sealserve.learning.evaluation.lm_eval import read_tasks, run_on_version
from sealserve.packaged_policies import policy_directory
from sealserve.records.canary_suites import CanaryItem
from sealserve.records.cycles import CycleState, Step
from sealserve.records.scores import Measured, Scorecard, Unmeasured
from sealserve.records.step_outputs import Confirmed, from_json
from tests.stories.school import TENANT, School

pytestmark = pytest.mark.slow  # plays whole cycles


def mayors(count: int, *, matcher: str = "contains") -> list[CanaryItem]:
    """Questions that the base knows by heart."""
    return [
        CanaryItem(
            item=f"m{i}", prompt=f"What is the mayor of Town {300 + i}?", answer=f"Mayor{300 + i}", matcher=matcher
        )
        for i in range(count)
    ]


def scorecard(school: School, cycle: str) -> Scorecard:
    record = next(one for one in school.registry.cycles.steps(cycle) if one.step is Step.CONFIRM)
    return from_json(Confirmed, record.output).scorecard


async def test_a_winner_that_keeps_the_tenants_suite_is_promoted_and_the_score_is_in_its_lineage(
    school: School,
) -> None:
    school.registry.canary_suites.put(TENANT, "mayors", mayors(40), actor="test")
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED
    score = scorecard(school, cycle.cycle).suites["mayors@1"]
    assert isinstance(score, Measured)
    assert (score.n, score.candidate, score.incumbent) == (40, 1.0, 1.0)
    assert school.registry.versions.get(TENANT, 1).lineage.to_json()["scores"]["mayors@1"]["n"] == 40


async def test_a_winner_that_loses_the_tenants_suite_alone_is_rejected(school: School) -> None:
    school.registry.canary_suites.put(TENANT, "mayors", mayors(40), actor="test")
    school.student.moods.append(lambda adapter, prompt: "Nobody." if adapter and _is_own(prompt) else None)
    before = school.state()
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.REJECTED
    assert "canary suite mayors@1: lost -1.00" in cycle.reason
    assert school.state()["tenant"] == before["tenant"]


async def test_a_suite_too_small_to_show_anything_lets_nothing_pass(school: School) -> None:
    school.registry.canary_suites.put(TENANT, "few", mayors(5), actor="test")
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.INCONCLUSIVE
    assert "canary suite few@1: 5 questions, 30 needed" in cycle.reason


async def test_a_judge_that_cannot_judge_leaves_the_suite_unmeasured(school: School) -> None:
    school.registry.canary_suites.put(TENANT, "judged", mayors(30, matcher="judge"), actor="test")
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.INCONCLUSIVE
    score = scorecard(school, cycle.cycle).suites["judged@1"]
    assert isinstance(score, Unmeasured)
    assert "cannot judge" in score.why


async def test_a_retired_suite_is_not_asked(school: School) -> None:
    school.registry.canary_suites.put(TENANT, "few", mayors(5), actor="test")
    school.registry.canary_suites.retire(TENANT, "few", actor="test")
    school.add("Varnel Lamp")
    cycle = await school.learn()
    assert (cycle.state, scorecard(school, cycle.cycle).suites) == (CycleState.PROMOTED, {})


async def test_the_incumbents_answers_to_a_suite_are_taken_once(school: School) -> None:
    school.registry.canary_suites.put(TENANT, "mayors", mayors(40), actor="test")
    school.add("Varnel Lamp")
    await school.learn()
    before = len(school.student.requests)
    school.add("Osk Kettle", shift=2)
    await school.learn()
    asked = [one for one in school.student.requests[before:] if _is_own(one.turns[-1].content)]
    assert len(asked) == 40  # the new winner alone: the incumbent is the last winner


async def test_benchmarks_are_answered_by_the_version_that_is_named_and_leave_nothing_loaded(school: School) -> None:
    pytest.importorskip("lm_eval", reason="the extra `evals` is not installed")
    school.add("Varnel Lamp")
    await school.learn()
    tasks = [task for task in read_tasks(policy_directory() / "canaries" / "tasks") if task.name == "sums"]
    for tenant, version, answered in (("", 0, 0), (TENANT, 0, 1), (TENANT, 1, 1)):
        before = len(school.student.requests)
        found, (score,) = await run_on_version(school.context, tenant, version, tasks=tasks, limit=2)
        assert (found, score.task, score.n) == (answered, "sums", 2)
        assert {bool(one.adapter) for one in school.student.requests[before:]} == {bool(answered)}
    with pytest.raises(NotFound):
        await run_on_version(school.context, TENANT, 7, tasks=tasks)
    assert (await school.student.info()).loaded == ()


def _is_own(prompt: str) -> bool:
    return "mayor of Town 3" in prompt and prompt.endswith("?") and len(prompt) == len("What is the mayor of Town 300?")
