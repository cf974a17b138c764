"""How adapters are loaded and unloaded at the same time, played with a simulator of vLLM's loop."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sealserve.engine import vllm_engine as module
from sealserve.engine.base_model import BaseShape
from sealserve.engine.engine import AdapterFiles
from sealserve.engine.preflight import WEIGHTS_FILE, AdapterFacts, check_adapter, size_of, stamp_of
from sealserve.engine.vllm_engine import VllmEngine
from sealserve.errors import BadAdapter, Unavailable
from tests.conftest import TINY_ENGINE
from tests.engine.tiny_model import make_adapter

PLACES = 4


@dataclass
class Llm:
    """vLLM: what came in during a step is carried out after it, in order. A step ends when the test says so."""

    errored: bool = False
    loaded: set[int] = field(default_factory=set)
    queue: list[tuple[str, int, asyncio.Future[bool]]] = field(default_factory=list)
    steps: list[list[str]] = field(default_factory=list)  # the calls after each step that had any
    bad: set[str] = field(default_factory=set)
    most: int = 0

    async def add_lora(self, lora: Any) -> bool:
        return await self._call(f"add {lora.name}", lora.lora_int_id)

    async def remove_lora(self, number: int) -> bool:
        return await self._call("remove", number)

    async def _call(self, call: str, number: int) -> bool:
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.queue.append((call, number, done))
        return await done

    def end_step(self) -> None:
        queue, self.queue = self.queue, []
        self.steps.append([call for call, _, _ in queue])
        for call, number, done in queue:
            if call == "remove":
                self.loaded.discard(number)
            else:
                self.loaded.add(number)  # also one that fails stays registered
            self.most = max(self.most, len(self.loaded))
            if call.removeprefix("add ") in self.bad:
                done.set_exception(ValueError("wrong shape"))
            else:
                done.set_result(True)


async def control(llm: Llm, call: Coroutine[Any, Any, Any]) -> Any:
    outcomes = await asyncio.gather(call, return_exceptions=True)
    return outcomes[0]


@pytest.fixture
def llm() -> Llm:
    return Llm()


@pytest.fixture
def engine(llm: Llm, tiny_base: Path, tiny_shape: BaseShape) -> VllmEngine:
    engine = VllmEngine(TINY_ENGINE.model_copy(update={"loaded_adapters": PLACES}), base=tiny_base)
    core: Any = SimpleNamespace(
        control=control, lora=lambda name, number, path: SimpleNamespace(name=name, lora_int_id=number)
    )
    chat: Any = SimpleNamespace(longest_entry=1)
    engine._model = module._Model(
        core=core,
        llm=llm,
        heartbeat=None,
        chat=chat,
        shape=tiny_shape,
        max_context_tokens=512,
    )
    engine._is_serving = True
    return engine


@pytest.fixture
def files(tmp_path: Path, tiny_base: Path) -> list[AdapterFiles]:
    return [
        AdapterFiles(name=f"a{number}", path=make_adapter(tmp_path / str(number), tiny_base, seed=number))
        for number in range(2 * PLACES)
    ]


async def play(llm: Llm, *calls: Coroutine[Any, Any, Any], waiting: int) -> list[Any]:
    """Run `calls`; every step ends when so many of them wait for it, or all that are left."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    async with asyncio.timeout(20):
        while left := [task for task in tasks if not task.done()]:
            if len(llm.queue) >= min(waiting, len(left)):
                llm.end_step()
            await asyncio.sleep(0.001)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_several_adapters_come_and_go_between_two_steps(
    engine: VllmEngine, llm: Llm, files: list[AdapterFiles]
) -> None:
    await play(llm, *(engine.load(one) for one in files[:PLACES]), waiting=PLACES)
    assert len(llm.steps) == 1
    await play(
        llm,
        *(engine.unload(one.name) for one in files[:PLACES]),
        *(engine.load(one) for one in files[PLACES:]),
        waiting=2 * PLACES,
    )
    assert len(llm.steps) == 2
    assert llm.steps[1][:PLACES] == ["remove"] * PLACES, "a place is free before it is taken"
    assert llm.most == PLACES
    assert set((await engine.info()).loaded) == {one.name for one in files[PLACES:]}


async def test_there_are_never_more_than_places(engine: VllmEngine, llm: Llm, files: list[AdapterFiles]) -> None:
    outcomes = await play(llm, *(engine.load(one) for one in files), waiting=1)
    refused = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
    assert [error.reason for error in refused] == ["ADAPTERS_FULL"] * (len(files) - PLACES)
    assert llm.most == len(llm.loaded) == len((await engine.info()).loaded) == PLACES


async def test_failed_adapter_keeps_its_place_until_nothing_is_left_of_it(
    engine: VllmEngine, llm: Llm, files: list[AdapterFiles]
) -> None:
    llm.bad = {"a1"}
    outcomes = await play(llm, *(engine.load(one) for one in files[:PLACES]), waiting=1)
    assert [type(outcome) for outcome in outcomes] == [type(None), BadAdapter, type(None), type(None)]
    assert llm.most <= PLACES
    assert len(llm.loaded) == PLACES - 1
    await play(llm, engine.load(files[PLACES]), waiting=1)
    assert llm.most <= PLACES


async def test_adapter_that_is_asked_for_twice_is_loaded_once(
    engine: VllmEngine, llm: Llm, files: list[AdapterFiles]
) -> None:
    await play(llm, engine.load(files[0]), engine.load(files[0]), waiting=1)
    assert llm.steps == [["add a0"]]
    gone = await play(llm, engine.unload("a0"), engine.unload("a0"), engine.load(files[0]), waiting=1)
    assert gone == [True, False, None]
    assert llm.steps == [["add a0"], ["remove"], ["add a0"]]


async def test_only_so_many_bytes_are_loaded_between_two_steps(
    engine: VllmEngine, llm: Llm, files: list[AdapterFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = size_of(stamp_of(files[0].path))
    monkeypatch.setattr(module, "BYTES_BETWEEN_STEPS", 2 * size + size // 2)
    await play(llm, *(engine.load(one) for one in files[:PLACES]), waiting=2)
    assert [len(step) for step in llm.steps] == [2, 2]
    monkeypatch.setattr(module, "BYTES_BETWEEN_STEPS", 1)
    await play(llm, *(engine.unload(one.name) for one in files[:2]), waiting=2)
    await play(llm, *(engine.load(one) for one in files[:2]), waiting=1)
    assert [len(step) for step in llm.steps[2:]] == [2, 1, 1], "and always one adapter, however large"


async def test_files_that_are_unchanged_are_checked_once(
    engine: VllmEngine, llm: Llm, files: list[AdapterFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Path] = []

    def check(path: Path, shape: BaseShape, **limits: Any) -> AdapterFacts:
        checked.append(path)
        return check_adapter(path, shape, **limits)

    monkeypatch.setattr(module, "check_adapter", check)
    path = files[0].path
    for _ in range(2):
        await play(llm, engine.load(files[0]), waiting=1)
        await play(llm, engine.unload("a0"), waiting=1)
    assert checked == [path]
    weights = path / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-4])
    (refused,) = await play(llm, engine.load(files[0]), waiting=1)
    assert isinstance(refused, BadAdapter)
    assert refused.defect == "truncated"
    assert checked == [path, path]
