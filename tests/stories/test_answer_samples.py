"""A few answers before and after are kept for people, and go when their document is forgotten."""

import pytest

from sealserve.learning.evaluation.answer_samples import MOST
from sealserve.records.cycles import CycleState
from sealserve.records.scores import Measured
from sealserve.rpc.cycle_report import cycle_report
from tests.stories.school import TENANT, School

pytestmark = pytest.mark.slow  # plays whole cycles


async def test_answers_of_both_are_recorded_and_forgotten_with_their_document(school: School) -> None:
    document = school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    report = cycle_report(school.registry, cycle)
    answers = report.answers
    assert 0 < len(answers) <= MOST
    assert {one.document for one in answers} == {document.document}
    assert not any(one.was_right for one in answers)
    assert any(one.is_right for one in answers)
    assert all(one.before != one.after for one in answers if one.is_right)
    school.registry.unlearning.unlearn(TENANT, document.document, actor="test", reason="")
    assert cycle_report(school.registry, cycle).answers == ()


async def test_a_cycle_says_what_it_cost_and_what_a_point_of_it_cost(school: School) -> None:
    school.add("Varnel Lamp")
    report = cycle_report(school.registry, await school.learn())
    assert report.trained_tokens > 1000
    assert report.device_seconds is not None
    assert report.seconds_per_point is not None
    assert report.scores is not None
    assert isinstance(report.scores.confirm, Measured)
    assert report.seconds_per_point == report.device_seconds / (100 * report.scores.confirm.gain)
