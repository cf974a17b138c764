"""What is asked of vLLM, and what is read from it, without an engine."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def vllm_core() -> Any:
    """The module under test: imported late, for it takes seconds and one worker alone runs these tests."""
    return import_module("sealserve.engine.vllm_core")


@pytest.fixture
def clock(vllm_core: Any, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The present moment, as its one item."""
    now = [100.0]
    monkeypatch.setattr(vllm_core, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def report(heartbeat: Any, clock: list[float], *, after_seconds: float, left: int) -> None:
    clock[0] += after_seconds
    heartbeat.record(SimpleNamespace(num_running_reqs=left, num_waiting_reqs=0), None)


def test_slowest_step_is_known_and_idling_is_no_step(vllm_core: Any, clock: list[float]) -> None:
    heartbeat = vllm_core.Heartbeat()
    assert heartbeat.slowest_step_seconds == 0
    report(heartbeat, clock, after_seconds=5, left=1)
    report(heartbeat, clock, after_seconds=40, left=1)
    report(heartbeat, clock, after_seconds=2, left=0)
    report(heartbeat, clock, after_seconds=3600, left=1)
    assert (heartbeat.steps, heartbeat.slowest_step_seconds) == (4, 40)
    for _ in range(100):
        report(heartbeat, clock, after_seconds=1, left=1)
    assert heartbeat.slowest_step_seconds == 1


def test_text_of_a_scored_prompt_is_not_decoded(vllm_core: Any) -> None:
    params = vllm_core.scoring_params()
    assert (params.detokenize, params.prompt_logprobs, params.max_tokens) == (False, 0, 1)
