"""Background work yields to tenants, keeps an idle engine busy, and is refused rather than queued without end."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from sealserve.engine.engine import BACKGROUND_PRIORITY, GenerateRequest, Likelihood, ScoreRequest
from sealserve.errors import QuotaExceeded, Unavailable
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.serving.background_gate import BackgroundGate
from sealserve.serving.gated_engine import GatedEngine
from sealserve.serving.slot_gate import SlotGate
from tests.engine.stepping_engine import SteppingEngine
from tests.virtual_clock import run_virtually

CPU = {"step_seconds": 0.0035, "token_seconds": 0.00034}  # the embedded model on one core
GPU = {"step_seconds": 0.02, "token_seconds": 0.00005, "step_tokens": 8192}
PROMPT_TOKENS, LEARNERS, SECONDS = 380, 24, 20
numbers = itertools.count()


@dataclass
class Load:
    """An engine under load, and what came of it."""

    engine: SteppingEngine
    gated: GatedEngine
    gate: BackgroundGate
    answers: list[tuple[float, float]] = field(default_factory=list)  # seconds to the first token, and to the last
    done: int = 0
    refused: int = 0

    async def ask(self, *, pause_seconds: float = 0) -> None:
        """Ask again and again as a tenant."""
        now = asyncio.get_running_loop().time
        while True:
            began, first = now(), 0.0
            async for _ in self.gated.generate(_question(20, max_tokens=32)):
                first = first or now() - began
            self.answers.append((first, now() - began))
            await asyncio.sleep(pause_seconds)

    async def score(self) -> None:
        """Score again and again as the learner."""
        turns = _turns(PROMPT_TOKENS)
        await self.gated.score(ScoreRequest(request_id=f"s{next(numbers)}", turns=turns, completion="w"))

    async def write(self) -> None:
        """Generate again and again as the learner."""
        async for _ in self.gated.generate(_question(PROMPT_TOKENS, max_tokens=100, priority=BACKGROUND_PRIORITY)):
            pass

    async def learn(self, work: Callable[["Load"], Awaitable[None]]) -> None:
        """Do that background work for ever, with pauses after refusals."""
        while True:
            try:
                await work(self)
                self.done += 1
            except QuotaExceeded as error:
                self.refused += 1
                await asyncio.sleep(error.retry_seconds)


def _turns(tokens: int) -> tuple[ChatTurn, ...]:
    return (ChatTurn(role="user", content="word" * tokens),)


def _question(tokens: int, *, max_tokens: int, priority: int = 0) -> GenerateRequest:
    return GenerateRequest(
        request_id=f"g{next(numbers)}",
        turns=_turns(tokens),
        sampling=Sampling(max_tokens=max_tokens),
        priority=priority,
    )


async def play(
    speed: dict[str, float], work: Callable[[Load], Awaitable[None]], *, slowdown: float, tenants: int
) -> tuple[Load, list[tuple[float, float]]]:
    """Let tenants ask alone and then beside learners; return the load of the second part, and the answers before it."""
    engine = SteppingEngine(**speed)  # type: ignore[arg-type]
    gate = BackgroundGate(max_sequences=64, slowdown=slowdown)
    load = Load(engine, GatedEngine(engine, SlotGate(slots=4), gate), gate)
    await engine.start()
    tasks = [asyncio.create_task(load.ask()) for _ in range(tenants)]
    await asyncio.sleep(SECONDS / 2)
    alone, load.answers = load.answers, []
    tasks += [asyncio.create_task(load.learn(work)) for _ in range(LEARNERS)]
    await asyncio.sleep(SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await engine.close()
    return load, alone


def share(values: list[float], part: float) -> float:
    return sorted(values)[int(part * (len(values) - 1))]


@pytest.mark.parametrize("work", [Load.score, Load.write])
@pytest.mark.parametrize("speed", [CPU, GPU])
def test_learning_beside_nobody_is_nearly_as_fast_as_without_a_gate(
    speed: dict[str, float], work: Callable[[Load], Awaitable[None]]
) -> None:
    gated, _ = run_virtually(play(speed, work, slowdown=2.0, tenants=0))
    free, _ = run_virtually(play(speed, work, slowdown=0, tenants=0))
    assert gated.done > 0.85 * free.done


@pytest.mark.parametrize("work", [Load.score, Load.write])
@pytest.mark.parametrize("speed", [CPU, GPU])
def test_tenants_hardly_notice_learning_and_learning_goes_on(
    speed: dict[str, float], work: Callable[[Load], Awaitable[None]]
) -> None:
    load, alone = run_virtually(play(speed, work, slowdown=2.0, tenants=1))
    firsts, wholes = zip(*load.answers, strict=True)
    usual_first, usual_whole = (share(list(one), 0.9) for one in zip(*alone, strict=True))
    assert share(list(firsts), 0.8) < 2.5 * usual_first
    assert share(list(wholes), 0.9) < 2.5 * usual_whole
    assert share(list(wholes), 0.99) < 4 * usual_whole
    assert load.done > SECONDS / 10


def test_without_the_gate_tenants_do_notice() -> None:
    load, alone = run_virtually(play(CPU, Load.score, slowdown=0, tenants=1))
    assert share([whole for _, whole in load.answers], 0.5) > 20 * share([whole for _, whole in alone], 0.5)


def test_no_step_of_a_tenant_carries_more_than_one_background_prompt() -> None:
    load, _ = run_virtually(play(CPU, Load.score, slowdown=2.0, tenants=1))
    assert max(load.engine.prefill_beside_tenants[-1000:]) <= PROMPT_TOKENS + 1


def test_no_background_work_starts_while_a_tenant_waits() -> None:
    async def work() -> None:
        is_waiting = True
        gate = BackgroundGate(max_sequences=8, slowdown=2.0, is_tenant_waiting=lambda: is_waiting)
        entering = asyncio.create_task(_enter(gate))
        await asyncio.sleep(SECONDS)
        assert not entering.done()
        is_waiting = False
        async with asyncio.timeout(1):
            await entering

    run_virtually(work())


def test_more_than_fit_into_the_queue_are_refused_with_a_time_to_come_back() -> None:
    async def work() -> None:
        gate = BackgroundGate(max_sequences=8, slowdown=2.0, is_tenant_waiting=lambda: True)
        waiting = [asyncio.create_task(_enter(gate)) for _ in range(16)]
        await asyncio.sleep(0)
        with pytest.raises(QuotaExceeded) as refused:
            await _enter(gate)
        assert refused.value.retry_seconds > 0
        assert gate.waiting == 16
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)  # a minute of it is enough for each
        assert all(isinstance(outcome, QuotaExceeded) for outcome in outcomes)
        assert gate.waiting == 0

    run_virtually(work())


def test_cancelled_call_gives_its_place_up() -> None:
    async def work() -> None:
        gate = BackgroundGate(max_sequences=8, slowdown=2.0)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(gate.entered(10))
            waiting = asyncio.create_task(_enter(gate))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert gate.waiting == 0
        async with asyncio.timeout(1):
            await _enter(gate)

    run_virtually(work())


def test_after_a_rebuild_background_calls_come_back_one_by_one() -> None:
    class Lost(SteppingEngine):
        is_lost = True

        async def score(self, request: ScoreRequest) -> Likelihood:
            if self.is_lost:
                raise Unavailable("the engine is being started again", reason="ENGINE_REBUILDING")
            return await super().score(request)

    async def work() -> list[int]:
        engine = Lost(**CPU)  # type: ignore[arg-type]
        await engine.start()
        gate = BackgroundGate(max_sequences=64, slowdown=2.0)
        load = Load(engine, GatedEngine(engine, SlotGate(slots=4), gate), gate)
        with pytest.raises(Unavailable):
            await load.score()
        engine.is_lost = False
        tasks = [asyncio.create_task(load.learn(Load.write)) for _ in range(LEARNERS)]
        seen = []
        for _ in range(40):
            await asyncio.sleep(0.1)
            seen.append(gate._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await engine.close()
        return seen

    seen = run_virtually(work())
    assert seen[0] <= 2
    assert max(seen) > 8


def test_limit_off_lets_everything_in() -> None:
    async def work() -> None:
        gate = BackgroundGate(max_sequences=1, slowdown=0, is_tenant_waiting=lambda: True)
        async with AsyncExitStack() as stack:
            for _ in range(100):
                await stack.enter_async_context(gate.entered(10_000))
        assert gate.waiting == 0

    run_virtually(work())


def test_some_sequences_are_kept_free_for_tenants() -> None:
    async def work() -> int:
        gate = BackgroundGate(max_sequences=16, slowdown=2.0)
        gate._lanes = 1000
        async with AsyncExitStack() as stack:
            for _ in range(gate._max_sequences):
                (await stack.enter_async_context(gate.entered(1))).received()
            entering = asyncio.create_task(_enter(gate))
            await asyncio.sleep(SECONDS)
            assert not entering.done()
        await entering
        return gate._max_sequences

    assert run_virtually(work()) < 16


async def _enter(gate: BackgroundGate) -> None:
    async with gate.entered(10):
        pass
