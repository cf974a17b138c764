"""How a cycle speaks to the engine: patiently, bounded, and leaving nothing behind."""

import asyncio
import json
from pathlib import Path

import pytest

from sealserve.engine.engine import BACKGROUND_PRIORITY, AdapterFiles, GenerateRequest, Likelihood, ScoreRequest
from sealserve.errors import EngineFailed, NotFound
from sealserve.learning.engine_client import (
    MAX_FAILURES,
    THOUGHT_TOKENS,
    EngineClient,
    Reply,
    candidate_name,
    candidate_prefix,
    seed_of,
)
from sealserve.records.inference import Sampling
from tests.fakes import FakeEngine

SAMPLING = Sampling(max_tokens=8)


class Flaky(FakeEngine):
    """Fails the first `failures` scores."""

    failures = 0

    async def score(self, request: ScoreRequest) -> Likelihood:
        if self.failures:
            self.failures -= 1
            raise EngineFailed("out of luck")
        return await super().score(request)


def voice_of(engine: FakeEngine, *, concurrency: int = 4) -> EngineClient:
    return EngineClient(engine, tenant="acme", cycle="c1", concurrency=concurrency)


def files(directory: Path, name: str) -> AdapterFiles:
    (directory / name).mkdir()
    (directory / name / "adapter_config.json").write_text(json.dumps({}))
    return AdapterFiles(name=name, path=directory / name)


def test_seeds_depend_on_their_parts_alone() -> None:
    assert seed_of("c", "edit", 1) == seed_of("c", "edit", 1)
    assert len({seed_of("c", "edit", i) for i in range(1000)}) > 990
    assert all(0 <= seed_of("c", i) < 2**31 for i in range(1000))


async def test_calls_wait_for_an_engine_that_starts_late() -> None:
    engine = FakeEngine()
    asking = asyncio.ensure_future(voice_of(engine).ask("hello", sampling=SAMPLING))
    await asyncio.sleep(0)
    assert not asking.done()
    await engine.start()
    assert (await asking).text


async def test_calls_go_at_background_priority_with_the_tenants_salt() -> None:
    engine = FakeEngine()
    await engine.start()
    await voice_of(engine).ask("hello", sampling=SAMPLING)
    await EngineClient(engine, tenant="other", cycle="c1", concurrency=1).ask("hello", sampling=SAMPLING)
    first, second = (request for request in engine.requests if isinstance(request, GenerateRequest))
    assert first.priority == BACKGROUND_PRIORITY
    assert first.cache_salt
    assert first.cache_salt != second.cache_salt
    assert first.request_id != second.request_id


async def test_thoughts_are_no_part_of_the_answer() -> None:
    engine = FakeEngine()
    await engine.start()
    engine.answers[None, "where?"] = "<think>\nThe pier, I believe.\n</think>\n\nBy the pier."
    client = voice_of(engine)
    assert await client.ask("where?", sampling=Sampling(max_tokens=40)) == Reply(text="By the pier.", is_cut=False)
    endless = "<think>\n" + "The pier, I believe. " * 300
    engine.answers[None, "endless?"] = endless
    engine.max_context_tokens = 10_000
    assert await client.ask("endless?", sampling=Sampling(max_tokens=2)) == Reply(text="", is_cut=True, is_thought=True)


async def test_thoughts_that_are_cut_off_get_more_room_and_so_do_later_questions() -> None:
    engine = FakeEngine()
    await engine.start()
    engine.max_context_tokens = 10_000
    engine.answers[None, "where?"] = "<think>\n" + "It names a pier and a time. " * 30 + "\n</think>\n\nBy the pier."
    client = voice_of(engine)
    short = Sampling(max_tokens=16)
    assert await client.ask("where?", sampling=short) == Reply(text="By the pier.", is_cut=False)
    assert await client.resampled(temperature=0.5, seed=1).ask("where?", sampling=short)
    asked = [one.sampling.max_tokens for one in engine.requests if isinstance(one, GenerateRequest)]
    assert asked == [16, 16 + THOUGHT_TOKENS, 16 + THOUGHT_TOKENS]


async def test_cut_answer_without_thoughts_is_asked_once() -> None:
    engine = FakeEngine()
    await engine.start()
    engine.answers[None, "where?"] = "By the pier in the old town, behind the mill."
    reply = await voice_of(engine).ask("where?", sampling=Sampling(max_tokens=3))
    assert (reply.is_cut, len(engine.requests)) == (True, 1)


async def test_a_failure_or_two_are_tried_again_and_a_third_is_the_cycles() -> None:
    engine = Flaky()
    await engine.start()
    engine.failures = MAX_FAILURES - 1
    assert await voice_of(engine).log_likelihood("q", "a") < 0
    engine.failures = MAX_FAILURES
    with pytest.raises(EngineFailed):
        await voice_of(engine).log_likelihood("q", "a")


async def test_an_adapter_that_was_never_loaded_is_not_found() -> None:
    engine = FakeEngine()
    await engine.start()
    with pytest.raises(NotFound):
        await voice_of(engine).ask("q", sampling=SAMPLING, adapter="nobody")


async def test_a_loaded_adapter_is_gone_after_the_block_even_when_the_block_fails(tmp_path: Path) -> None:
    engine = FakeEngine()
    await engine.start()
    during: list[str] = []

    async def fail() -> None:
        async with voice_of(engine).loaded(files(tmp_path, "one")):
            during.extend((await engine.info()).loaded)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert during == ["one"]
    assert (await engine.info()).loaded == ()


async def test_leftovers_of_this_cycle_are_dropped_and_others_stay(tmp_path: Path) -> None:
    engine = FakeEngine()
    await engine.start()
    mine = candidate_name("c1", "0", artifact="a" * 64)
    for name in (mine, candidate_name("c2", "0", artifact="a" * 64), "acme@v1-aaaaaaaaaaaa"):
        await engine.load(files(tmp_path, name))
    await voice_of(engine).drop_leftovers()
    assert mine.startswith(candidate_prefix("c1"))
    assert mine not in (await engine.info()).loaded
    assert len((await engine.info()).loaded) == 2


async def test_no_more_calls_are_in_flight_than_allowed() -> None:
    engine = FakeEngine()
    await engine.start()
    engine.gate.clear()
    client = voice_of(engine, concurrency=3)
    asking = [asyncio.ensure_future(client.ask(f"q{i}", sampling=SAMPLING)) for i in range(9)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(engine.requests) == 3
    engine.gate.set()
    assert len(await asyncio.gather(*asking)) == 9
