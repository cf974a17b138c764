"""A real engine that is killed comes back and answers as before. The first to be killed is the one that tests share."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from sealserve.engine.engine import AdapterFiles, GenerateRequest
from sealserve.engine.supervised import SupervisedEngine, Suspicion
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.errors import Unavailable
from sealserve.records.inference import ChatTurn, EngineState, Sampling
from tests.conftest import TINY_ENGINE
from tests.engine.tiny_model import make_adapter

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(900), pytest.mark.asyncio(loop_scope="session")]
HELLO = (ChatTurn(role="user", content="Where is the harbour office?"),)


class StartedEngine(VllmEngine):
    """An engine that runs already."""

    def __init__(self, engine: VllmEngine) -> None:
        self.__dict__ = engine.__dict__

    async def start(self) -> None:
        """Do nothing."""


async def answer(engine: SupervisedEngine, adapter: str, *, tokens: int = 12) -> str:
    request = GenerateRequest(request_id="r", turns=HELLO, adapter=adapter, sampling=Sampling(max_tokens=tokens))
    return "".join([delta.text async for delta in engine.generate(request)])


async def answer_for_ever(engine: SupervisedEngine, adapter: str) -> None:
    while True:
        await answer(engine, adapter, tokens=400)


async def serving_again(engine: SupervisedEngine) -> None:
    while True:
        if (await engine.info()).state is EngineState.SERVING:
            return
        await asyncio.sleep(0.2)


def engine_process(engine: VllmEngine) -> int:
    model = engine._model
    assert model is not None
    return int(model.llm.engine_core.resources.engine_manager.processes[0].pid)


def worker_process(engine: VllmEngine) -> int:
    """The process that holds the model: what the kernel ends when memory runs out."""
    core = engine_process(engine)
    children = Path(f"/proc/{core}/task/{core}/children").read_text().split()
    return next(int(pid) for pid in children if b"VLLM::Worker" in Path(f"/proc/{pid}/cmdline").read_bytes())


@pytest.mark.ends_engine
async def test_killed_engine_is_rebuilt_with_its_adapters_and_blames_nobody(
    vllm_engine: VllmEngine, tiny_base: Path, tmp_path: Path
) -> None:
    made: list[VllmEngine] = []
    suspected: list[tuple[tuple[str, ...], Suspicion]] = []

    def factory() -> VllmEngine:
        made.append(VllmEngine(TINY_ENGINE, base=tiny_base) if made else StartedEngine(vllm_engine))
        return made[-1]

    async def on_suspect(names: tuple[str, ...], suspicion: Suspicion, reason: str) -> None:
        suspected.append((names, suspicion))

    engine = SupervisedEngine(factory, settings=TINY_ENGINE, on_suspect=on_suspect)
    await engine.start()
    try:
        await engine.load(AdapterFiles(name="mended@v1", path=make_adapter(tmp_path, tiny_base)))
        before = await answer(engine, "mended@v1")
        for victim in (engine_process, worker_process):
            os.kill(victim(made[-1]), signal.SIGKILL)
            with pytest.raises(Unavailable):
                await answer_for_ever(engine, "mended@v1")
            assert (await engine.info()).state is EngineState.REBUILDING
            await serving_again(engine)
            assert await answer(engine, "mended@v1") == before
        assert suspected == []
    finally:
        await engine.close()
