"""More seeded prompts at once than fit one step: vLLM on CPU must not cut one in two, which would end the engine."""

import asyncio

import pytest

from sealserve.engine.engine import GenerateRequest
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.records.inference import ChatTurn, EngineState, FinishReason, Sampling

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

PROMPTS = 48


async def test_many_long_seeded_prompts_at_once_leave_the_engine_alive(vllm_engine: VllmEngine) -> None:
    async def one(number: int) -> FinishReason | None:
        turns = (ChatTurn(role="user", content=f"{number} " + "one two three " * 12),)
        sampling = Sampling(max_tokens=4, temperature=0.8, seed=number)
        request = GenerateRequest(request_id=f"seeded-{number}", turns=turns, sampling=sampling)
        return [delta.finish async for delta in vllm_engine.generate(request)][-1]

    finished = await asyncio.gather(*(one(number) for number in range(PROMPTS)))
    assert all(reason in (FinishReason.LENGTH, FinishReason.STOP) for reason in finished)
    assert (await vllm_engine.info()).state is EngineState.SERVING
