"""A pretrained instruct model learns a page of plain English: the whole cycle, by the daemon that ships."""

import json
from pathlib import Path

import pytest

from sealserve.client import AsyncClient
from sealserve.daemon.local import LocalDaemon
from sealserve.demo.help_pages import RETURNS
from sealserve.records.cycles import CycleState, Step
from tests.additions import has_smollm2  # noqa: F401 for the condition of a mark, evaluated when its test begins

SECONDS = 900
QUICK = {
    "SEALSERVE_ENGINE__MODEL": "smollm2",
    "SEALSERVE_LEARN__GATHER_SECONDS": "0.5",
    "SEALSERVE_LEARN__SUITE_ITEMS": "1",
    "SEALSERVE_LEARN__TRAINING__CANDIDATES": "1",
    "SEALSERVE_LEARN__TRAINING__EPOCHS": "1",
    "SEALSERVE_LEARN__TRAINING__RETENTION": "0",
    "SEALSERVE_LEARN__STUDY__JUDGE": "false",
    "SEALSERVE_LEARN__STUDY__EDITS_PER_TEMPLATE": "0",
    "SEALSERVE_LEARN__STUDY__QUESTIONS_PER_SENTENCE": "2",
}
"""Short enough for a test, and too few questions to be promoted; `sealserve bench real` measures how it learns.

The model is not calibrated as a judge: that asks it about 56 texts (`tests/nano/test_weights.py` does so).
"""


TEXT = RETURNS.text[: RETURNS.text.index(" Refunds")]
"""Three sentences of the page: each takes a slow machine half a minute to write about, to train on and to be asked."""
FACTS = sum(question.gold in TEXT for question in RETURNS.questions)
"""Of these facts half must be learned from: what this model writes differs with each rounding of its numbers."""

NEEDS_MODEL = pytest.mark.skipif(
    "not has_smollm2()", reason="no smollm2 on this machine; run: sealserve model add smollm2"
)


@NEEDS_MODEL
@pytest.mark.vllm
@pytest.mark.timeout(SECONDS + 120)
async def test_a_pretrained_model_goes_through_a_whole_cycle(tmp_path: Path) -> None:
    with LocalDaemon(tmp_path / "data", environment=QUICK) as daemon:
        daemon.wait_until_serving()
        async with AsyncClient(daemon.address, token=daemon.token) as client:
            await client.create_tenant("acme")
            await client.add_document("acme", TEXT, title=RETURNS.title, media_type="text/plain")
            reports = [report async for report in client.cycles("acme")]
            while not reports:
                reports = [report async for report in client.cycles("acme")]
            async for report in client.watch_cycle("acme", reports[0].cycle.cycle):
                if report.cycle.state not in (CycleState.PENDING, CycleState.RUNNING):
                    break
            edits = [edit async for edit in client.self_edits("acme", report.cycle.cycle)]
    shown = json.dumps([report.cycle.reason, [edit.reason for edit in edits]])
    assert report.cycle.state is not CycleState.FAILED, shown
    assert 2 * sum(edit.admitted for edit in edits) >= FACTS, shown
    assert {step.step for step in report.steps} >= {Step.WRITE, Step.FILTER, Step.TRAIN, Step.CONFIRM}
    assert len(report.candidates) == 1, shown
