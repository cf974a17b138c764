"""A cycle that a rule holds, and the person who releases what it learned."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sealserve.errors import FailedPrecondition, PermissionDenied
from sealserve.learning.scheduler import Learner
from sealserve.policy.enforcement import PolicyEnforcer
from sealserve.policy.rulebook import open_rules
from sealserve.prompts import UNKNOWN_ANSWER
from sealserve.records.approvals import ApprovalRuling, ApprovalState
from sealserve.records.cycles import CycleState
from sealserve.records.documents import DocumentState
from tests.contract.tree import ROOT
from tests.stories.school import TENANT, School

pytestmark = pytest.mark.slow  # plays whole cycles

CAREFUL = """
adapter.promote:
  rules: [{id: promote.careful, hold_if: trigger == "cycle", reason: this tenant wants a person to look}]
approval.grant:
  vars: {four_eyes: true}
"""
PRICE = "What is the price of Varnel Lamp?"


@pytest.fixture
def careful(school: School, tmp_path: Path) -> PolicyEnforcer:
    """The school under rules that hold whatever its cycles make; four eyes."""
    directory = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", directory)
    (directory / "rules/tenants").mkdir(exist_ok=True)
    (directory / f"rules/tenants/{TENANT}.yaml").write_text(CAREFUL)
    rules = open_rules(directory)
    school.context = replace(school.context, rules=rules)
    school.learner = Learner(school.context, worker="careful")
    return PolicyEnforcer(school.registry, rules)


async def test_held_version_answers_once_somebody_else_released_it(school: School, careful: PolicyEnforcer) -> None:
    document = school.add("Varnel Lamp")
    cycle = await school.learn()
    assert cycle.state is CycleState.HELD
    assert "promote.careful" in cycle.reason
    assert await school.answer(PRICE) == UNKNOWN_ANSWER
    before = school.state()
    held = school.registry.approvals.get(TENANT, 1)
    assert held.state is ApprovalState.WAITING
    assert "test" in held.authors
    with pytest.raises(PermissionDenied, match=r"approval\.four_eyes"):
        careful.approve(held, actor="test")
    with pytest.raises(FailedPrecondition):
        school.registry.versions.promote(TENANT, 1, expected_etag=None, actor="ops", reason="")
    assert school.state() == before
    releases, rulings = careful.approve(held, actor="bea")
    assert releases
    ruling = ApprovalRuling(releases=releases, rulings=rulings)
    school.registry.approvals.approve(TENANT, 1, actor="bea", reason="read it", ruling=ruling)
    assert await school.answer(PRICE) == "The price is 45 crowns."
    assert school.registry.documents.get(TENANT, document.document).state is DocumentState.LEARNED


async def test_what_was_held_is_late_once_another_cycle_was_released(school: School, careful: PolicyEnforcer) -> None:
    school.add("Varnel Lamp")
    await school.learn()
    school.add("Osk Kettle", shift=2)
    assert (await school.learn()).state is CycleState.HELD
    school.registry.approvals.approve(TENANT, 2, actor="bea", reason="")
    assert school.registry.approvals.get(TENANT, 1).state is ApprovalState.LATE
    before = school.state()
    with pytest.raises(FailedPrecondition) as late:
        school.registry.approvals.approve(TENANT, 1, actor="cid", reason="")
    assert late.value.reason == "INCUMBENT_MOVED"
    assert school.state() == before
