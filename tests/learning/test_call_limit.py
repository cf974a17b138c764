"""A cycle asks less at once after a refusal, and more again while none comes."""

import asyncio
from collections.abc import Callable

import pytest

from sealserve.engine.engine import Likelihood, ScoreRequest
from sealserve.errors import QuotaExceeded, Unavailable
from sealserve.learning.call_limit import CallLimit
from sealserve.learning.engine_client import AWAY_SECONDS, EngineClient
from tests.fakes import FakeEngine
from tests.virtual_clock import run_virtually


async def test_calls_that_were_under_way_at_a_refusal_halve_the_limit_once() -> None:
    limit = CallLimit(16)
    async with limit.entered() as first, limit.entered() as second:
        limit.refused(first)
        limit.refused(second)
    assert limit.limit == 8
    async with limit.entered() as third:
        limit.refused(third)
    assert limit.limit == 4


async def test_successes_raise_the_limit_up_to_the_most() -> None:
    limit = CallLimit(8)
    for _ in range(10):
        async with limit.entered() as refusals:
            limit.refused(refusals)
    assert limit.limit == 1
    for _ in range(100):
        limit.succeeded()
    assert limit.limit == 8


async def test_no_more_than_the_limit_are_inside_and_a_cancelled_one_leaves_its_place() -> None:
    limit, inside = CallLimit(2), 0

    async def enter() -> None:
        nonlocal inside
        async with limit.entered():
            inside += 1
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(enter()) for _ in range(4)]
    await asyncio.sleep(0)
    assert inside == 2
    tasks[2].cancel()
    tasks[0].cancel()
    while inside < 3:  # noqa: ASYNC110
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(1), limit.entered(), limit.entered():
        pass


CALL_SECONDS = 1.0


class Full(FakeEngine):
    """Refuses scores while `is_full` says so, and counts how many came at once."""

    def __init__(self, is_full: Callable[[int], bool], error: Exception) -> None:
        super().__init__()
        self._is_full = is_full
        self._error = error
        self.calls = self.running = 0

    async def score(self, request: ScoreRequest) -> Likelihood:
        self.calls += 1
        self.running += 1
        try:
            await asyncio.sleep(CALL_SECONDS)
            if self._is_full(self.running):
                raise self._error
            return await super().score(request)
        finally:
            self.running -= 1


def client_of(engine: FakeEngine) -> EngineClient:
    return EngineClient(engine, tenant="acme", cycle="c1", concurrency=16)


def test_cycle_settles_at_what_the_server_takes() -> None:
    async def work() -> tuple[int, float]:
        engine = Full(lambda running: running > 4, QuotaExceeded("48 calls wait", retry_seconds=2))
        await engine.start()
        client = client_of(engine)
        found = await asyncio.gather(*(client.log_likelihood(f"q{n}", "a") for n in range(200)))
        assert len(found) == 200
        return engine.calls, asyncio.get_running_loop().time()

    calls, seconds = run_virtually(work())
    assert calls < 600
    assert seconds < 300


@pytest.mark.parametrize(
    "error", [Unavailable("no engine", retry_seconds=5), QuotaExceeded("tenants keep it busy", retry_seconds=2)]
)
def test_cycle_whose_engine_stays_away_fails_with_the_reason_later_and_does_not_spin(error: Exception) -> None:
    async def work() -> tuple[int, float, str]:
        engine = Full(lambda running: True, error)
        await engine.start()
        with pytest.raises(Unavailable) as failed:
            await client_of(engine).log_likelihood("q", "a")
        return engine.calls, asyncio.get_running_loop().time(), failed.value.message

    calls, seconds, message = run_virtually(work())
    assert AWAY_SECONDS <= seconds < 1.1 * AWAY_SECONDS
    assert calls < AWAY_SECONDS / 2
    assert error.args[0] in message
