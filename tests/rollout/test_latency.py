"""Windows of latency: compared with the incumbent at the same time, else with before the swap, else not at all."""

from datetime import UTC, datetime

import pytest

from sealserve.gate.thresholds import load_policy
from sealserve.records.inference import FinishReason, Sampling
from sealserve.records.rollouts import Count, Watch, WatchState
from sealserve.rollout.latency import Latencies
from sealserve.serving.adapter_table import Route
from sealserve.serving.answers import Answered
from tests.rollout.conftest import Time, Watched

RULE = load_policy().watch
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WATCH = Watch(
    tenant="acme", activation=2, version=2, incumbent=1, state=WatchState.OPEN, stage=0, trigger=None, reason="",
    counts={}, opened_at=NOW, staged_at=NOW, decided_at=None,
)  # fmt: skip


def answer(version: int, first: float, *, per_token: float = 0.01, error: str = "") -> Answered:
    return Answered(
        route=Route(tenant="acme", version=version, activation=2, engine_name=f"v{version}"),
        turns=(), sampling=Sampling(), request_id="r", asker="", text="x", finish=FinishReason.STOP, error=error,
        first_token_seconds=first, per_token_seconds=per_token,
    )  # fmt: skip


def full_window(latencies: Latencies, time: Time, *answers: Answered) -> int:
    for one in answers:
        for _ in range(25):
            latencies.add(one, WATCH)
    time.seconds += RULE.latency.window_seconds
    return latencies.slow_windows(WATCH)


def test_slow_windows_are_counted_in_a_row_against_the_time_before_the_swap() -> None:
    time = Time()
    latencies = Latencies(RULE, clock=time)
    for _ in range(30):
        latencies.add(answer(1, 0.1), None)
    found = [full_window(latencies, time, answer(2, first)) for first in (0.3, 0.3, 0.1, 0.3)]
    assert found == [1, 2, 0, 1]


def test_slow_tokens_count_as_slow_first_ones_do() -> None:
    time = Time()
    latencies = Latencies(RULE, clock=time)
    for _ in range(30):
        latencies.add(answer(1, 0.1), None)
    assert full_window(latencies, time, answer(2, 0.1, per_token=0.05)) == 1


def test_load_that_slows_both_versions_is_not_the_candidates() -> None:
    time = Time()
    latencies = Latencies(RULE, clock=time)
    for _ in range(30):
        latencies.add(answer(1, 0.1), None)
    assert full_window(latencies, time, answer(2, 0.9), answer(1, 0.8)) == 0


def test_nothing_to_compare_with_is_no_verdict_and_failed_calls_are_no_samples() -> None:
    time = Time()
    latencies = Latencies(RULE, clock=time)
    assert full_window(latencies, time, answer(2, 9.0)) == 0
    assert full_window(latencies, time, answer(1, 0.1, error="ENGINE_FAILED")) == 0
    assert full_window(latencies, time, answer(1, 0.1)) == 1


async def test_second_answers_which_wait_behind_everybody_are_no_samples(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    await watched.promote()
    await watched.promote()
    heard: list[int] = []
    monkeypatch.setattr(
        watched.controller._latencies, "add", lambda answered, watch: heard.append(answered.route.version)
    )
    await watched.ask_all(n=6)
    assert watched.watch().counts[Count.PAIRS] == 6
    assert heard == [2] * 6


def test_candidate_without_answers_of_its_own_is_neither_slow_nor_fast() -> None:
    time = Time()
    latencies = Latencies(RULE, clock=time)
    for _ in range(30):
        latencies.add(answer(1, 0.1), None)
    assert full_window(latencies, time, answer(1, 0.1)) == 0
