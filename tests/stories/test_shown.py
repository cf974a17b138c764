"""A few answers before and after are kept for people, and go when their document is forgotten."""

from sealserve.learning.shown import MOST
from sealserve.records import CycleState
from sealserve.rpc.cycle_report import cycle_report
from tests.stories.school import TENANT, School


async def test_answers_of_both_are_recorded_and_forgotten_with_their_document(school: School) -> None:
    document = school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.PROMOTED, cycle.reason
    answers = cycle_report(school.registry, cycle).answers
    assert 0 < len(answers) <= MOST
    assert {one.document for one in answers} == {document.document}
    assert not any(one.was_right for one in answers)
    assert any(one.is_right for one in answers)
    assert all(one.before != one.after for one in answers if one.is_right)
    school.registry.forget_document(TENANT, document.document, actor="test", reason="")
    assert cycle_report(school.registry, cycle).answers == ()
