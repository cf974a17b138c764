"""An engine that works is never taken for a hung one, however long its steps are, and nobody is blamed for it."""

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sealserve.engine.engine import AdapterFiles, GenerateRequest, ScoreRequest
from sealserve.engine.supervised import SupervisedEngine, Suspicion
from sealserve.errors import Unavailable
from sealserve.records.inference import ChatTurn, Sampling
from sealserve.settings.engine import EngineSettings
from tests.engine.stepping_engine import SteppingEngine
from tests.virtual_clock import run_virtually

SECONDS = 1200.0
ADAPTER = "acme@v7"
PROMPT = (ChatTurn(role="user", content="Where is the harbour office? " * 60),)
numbers = itertools.count()


@dataclass
class Outcome:
    """What twenty minutes of load came to."""

    rebuilds: int = 0
    scores: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    said: list[tuple[Suspicion, tuple[str, ...]]] = field(default_factory=list)


async def load(step_seconds: float, in_flight: int, *, burns_cpu: bool = True) -> Outcome:
    """Run a tenant who asks again and again beside `in_flight` scores at once."""
    outcome, made = Outcome(), []

    def factory() -> SteppingEngine:
        made.append(SteppingEngine(step_seconds=step_seconds, burns_cpu=burns_cpu))
        return made[-1]

    async def on_suspect(names: tuple[str, ...], suspicion: Suspicion, reason: str) -> None:
        outcome.said.append((suspicion, names))

    engine = SupervisedEngine(factory, settings=EngineSettings(), on_suspect=on_suspect)
    await engine.start()
    await engine.load(AdapterFiles(name=ADAPTER, path=Path("/adapter")))
    work = [asyncio.create_task(_score_for_ever(engine)) for _ in range(in_flight)]
    work.append(asyncio.create_task(_ask_for_ever(engine, outcome)))
    await asyncio.sleep(SECONDS)
    outcome.rebuilds = (await engine.info()).rebuilds
    outcome.scores = sum(one.scores_done for one in made)
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)
    await engine.close()
    return outcome


async def _score_for_ever(engine: SupervisedEngine) -> None:
    while True:
        try:
            await engine.score(ScoreRequest(request_id=f"s{next(numbers)}", turns=PROMPT, completion="By the pier."))
        except Unavailable:
            await asyncio.sleep(1)


async def _ask_for_ever(engine: SupervisedEngine, outcome: Outcome) -> None:
    while True:
        request = GenerateRequest(
            request_id=f"g{next(numbers)}", turns=PROMPT, adapter=ADAPTER, sampling=Sampling(max_tokens=3)
        )
        try:
            async for _ in engine.generate(request):
                pass
            outcome.answers["whole"] += 1
        except Unavailable:
            outcome.answers["failed"] += 1
            await asyncio.sleep(1)


@pytest.mark.parametrize("in_flight", [4, 48])
@pytest.mark.parametrize("step_seconds", [5, 20, 40, 60])
def test_busy_engine_is_left_alone_and_everybody_is_answered(step_seconds: float, in_flight: int) -> None:
    outcome = run_virtually(load(step_seconds, in_flight))
    assert outcome.rebuilds == 0
    assert outcome.said == []
    assert outcome.answers["failed"] == 0
    assert outcome.answers["whole"] >= SECONDS / step_seconds / 3 - 3
    assert outcome.scores > SECONDS / step_seconds


@pytest.mark.parametrize("step_seconds", [5, 20, 40, 60])
def test_engine_whose_cpu_time_cannot_be_read_is_soon_left_alone_too(step_seconds: float) -> None:
    outcome = run_virtually(load(step_seconds, 48, burns_cpu=False))
    assert outcome.rebuilds <= 2
    assert outcome.said == []
    assert outcome.answers["whole"] >= 3
