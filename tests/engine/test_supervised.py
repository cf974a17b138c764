"""A dead or hung engine is noticed, replaced and loaded again, and what killed it is kept out."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sealserve.engine import supervised
from sealserve.engine.base_model import BaseShape
from sealserve.engine.engine import AdapterFiles, Delta, GenerateRequest
from sealserve.engine.supervised import SupervisedEngine, Suspicion
from sealserve.errors import BadAdapter, EngineFailed, StorageFailed, Unavailable
from sealserve.records.inference import ChatTurn, EngineState, Sampling
from sealserve.settings.engine import EngineSettings
from tests.engine.tiny_model import make_adapter
from tests.fakes import FakeEngine

HELLO = (ChatTurn(role="user", content="Where is the harbour office?"),)
SETTINGS = EngineSettings(liveness_seconds=0.05, liveness_deadline_seconds=0.3)


@dataclass
class World:
    """The engines made so far, and what the supervisor said of whom. `prepare` shapes each new engine."""

    base: BaseShape
    made: list[FakeEngine] = field(default_factory=list)
    said: list[tuple[Suspicion, tuple[str, ...]]] = field(default_factory=list)
    prepare: Callable[[FakeEngine], None] = lambda engine: None

    def factory(self) -> FakeEngine:
        engine = FakeEngine(base=self.base)
        self.made.append(engine)
        if len(self.made) > 1:
            self.prepare(engine)
        return engine

    async def on_suspect(self, names: tuple[str, ...], suspicion: Suspicion, reason: str) -> None:
        self.said.append((suspicion, names))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SupervisedEngine]:
        engine = SupervisedEngine(self.factory, settings=SETTINGS, on_suspect=self.on_suspect)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()


@pytest.fixture
def world(tiny_shape: BaseShape, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(supervised, "FIRST_BACK_OFF_SECONDS", 0.01)
    monkeypatch.setattr(supervised, "LOOK_SECONDS", 0.01)
    return World(tiny_shape)


async def answer(engine: SupervisedEngine, adapter: str | None = None) -> str:
    request = GenerateRequest(request_id="r", turns=HELLO, adapter=adapter, sampling=Sampling(max_tokens=5))
    return "".join([delta.text async for delta in engine.generate(request)])


async def back(engine: SupervisedEngine, *, rebuilds: int) -> None:
    async with asyncio.timeout(10):
        while True:
            info = await engine.info()
            if info.state is EngineState.SERVING and info.rebuilds >= rebuilds:
                return
            await asyncio.sleep(0.005)


async def test_dead_engine_is_replaced_and_loaded_again(world: World, tiny_base: Path, tmp_path: Path) -> None:
    async with world.running() as engine:
        await engine.load(AdapterFiles(name="a@v1", path=make_adapter(tmp_path, tiny_base)))
        before = await answer(engine, "a@v1")
        world.made[0].die()
        await back(engine, rebuilds=1)
        assert await answer(engine, "a@v1") == before
        assert (await engine.info()).loaded == ("a@v1",)
    assert world.said == []


async def test_calls_meanwhile_are_unavailable_and_health_says_rebuilding(world: World) -> None:
    hold = asyncio.Event()

    async def slow_start(self: FakeEngine = None) -> None:  # type: ignore[assignment]
        await hold.wait()
        await FakeEngine.start(world.made[-1])

    world.prepare = lambda fake: setattr(fake, "start", slow_start)
    async with world.running() as engine:
        world.made[0].die()
        with pytest.raises(Unavailable):
            await answer(engine)
        assert (await engine.info()).state is EngineState.REBUILDING
        with pytest.raises(Unavailable):
            await engine.count_tokens(HELLO)
        hold.set()
        await back(engine, rebuilds=1)
        assert await answer(engine) != ""


async def test_hung_engine_is_noticed_by_its_liveness_probe(world: World) -> None:
    async with world.running() as engine:
        world.made[0].is_deaf = True
        await back(engine, rebuilds=1)
        assert await answer(engine) != ""
    assert len(world.made) == 2


@pytest.mark.parametrize("sign", ["steps", "cpu"])
async def test_engine_that_works_is_left_alone_however_long_its_answers_take(world: World, sign: str) -> None:
    async with world.running() as engine:
        busy = world.made[0]
        busy.is_deaf = True
        if sign == "steps":
            busy.steps_per_look = 1
        else:
            busy.cpu_seconds_per_look = 1.0
        seen, _ = busy.progress_steps, busy.progress_cpu_seconds
        async with asyncio.timeout(10):
            while busy.progress_cpu_seconds < 100 and busy.progress_steps < seen + 100:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert (await engine.info()).rebuilds == 0
        busy.steps_per_look, busy.cpu_seconds_per_look = 0, 0.0
        await back(engine, rebuilds=1)


async def test_hang_convicts_no_adapter(world: World, tiny_base: Path, tmp_path: Path) -> None:
    async with world.running() as engine:
        await engine.load(AdapterFiles(name="a@v1", path=make_adapter(tmp_path, tiny_base)))
        for rebuilds in (1, 2, 3):
            world.made[-1].is_deaf = True
            with pytest.raises(Unavailable):
                await answer(engine, "a@v1")
            await back(engine, rebuilds=rebuilds)
        assert (await engine.info()).loaded == ("a@v1",)
    assert world.said == []


async def test_answer_that_hangs_with_the_engine_ends_unavailable(world: World) -> None:
    async with world.running() as engine:
        world.made[0].is_deaf = True
        with pytest.raises(Unavailable):
            await answer(engine)
        await back(engine, rebuilds=1)


async def test_adapter_that_kills_the_new_engine_too_is_reported_and_kept_out(
    world: World, tiny_base: Path, tmp_path: Path
) -> None:
    world.prepare = lambda fake: fake.deadly.add("bad@v1")
    async with world.running() as engine:
        files = AdapterFiles(name="bad@v1", path=make_adapter(tmp_path / "bad", tiny_base, seed=1))
        await engine.load(files)
        await engine.load(AdapterFiles(name="good@v1", path=make_adapter(tmp_path / "good", tiny_base, seed=2)))
        world.made[0].deadly.add("bad@v1")
        with pytest.raises(Unavailable):
            await answer(engine, "bad@v1")
        await back(engine, rebuilds=2)
        assert world.said == [(Suspicion.CONVICTED, ("bad@v1",))]
        assert (await engine.info()).loaded == ("good@v1",)
        with pytest.raises(BadAdapter) as refused:
            await engine.load(files)
        assert refused.value.defect == "killed_engine"
        assert await answer(engine, "good@v1") != ""


async def die_twice_under(world: World, engine: SupervisedEngine, files: AdapterFiles) -> None:
    await engine.load(files)
    for rebuilds in (1, 2):
        world.made[-1].gate.clear()
        running = asyncio.create_task(answer(engine, files.name))
        while not world.made[-1].requests or world.made[-1].requests[-1].request_id != "r":  # noqa: ASYNC110
            await asyncio.sleep(0)
        world.made[-1].die()
        with pytest.raises(Unavailable):
            await running
        await back(engine, rebuilds=rebuilds)


async def test_adapter_in_use_at_two_deaths_is_suspended_and_not_convicted(
    world: World, tiny_base: Path, tmp_path: Path
) -> None:
    async with world.running() as engine:
        await die_twice_under(world, engine, AdapterFiles(name="a@v1", path=make_adapter(tmp_path, tiny_base)))
        assert world.said == [(Suspicion.SUSPENDED, ("a@v1",))]
        assert (await engine.info()).loaded == ()


async def test_suspended_adapter_is_cleared_once_the_engine_lived_with_it_alone(
    world: World, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running() as engine:
        files = AdapterFiles(name="a@v1", path=make_adapter(tmp_path, tiny_base))
        await die_twice_under(world, engine, files)
        monkeypatch.setattr(supervised, "WINDOW_SECONDS", 0.0)
        async with asyncio.timeout(10):
            while len(world.said) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert world.said[-1] == (Suspicion.CLEARED, ("a@v1",))
        await engine.load(files)
        assert await answer(engine, "a@v1") != ""


async def test_suspended_adapter_is_tried_alone_when_it_is_loaded_and_not_while_others_run(
    world: World, tiny_base: Path, tmp_path: Path
) -> None:
    async with world.running() as engine:
        files = AdapterFiles(name="a@v1", path=make_adapter(tmp_path, tiny_base))
        await die_twice_under(world, engine, files)
        world.made[-1].gate.clear()
        running = asyncio.create_task(answer(engine))
        while not engine._in_use.total():  # noqa: ASYNC110
            await asyncio.sleep(0)
        with pytest.raises(Unavailable) as refused:
            await engine.load(files)
        assert refused.value.reason == "ADAPTER_SUSPENDED"
        world.made[-1].gate.set()
        await running
        await engine.load(files)
        assert await answer(engine, "a@v1") != ""
        assert world.said[-1] == (Suspicion.CLEARED, ("a@v1",))


async def test_suspended_adapter_that_kills_the_engine_alone_is_convicted(
    world: World, tiny_base: Path, tmp_path: Path
) -> None:
    async with world.running() as engine:
        files = AdapterFiles(name="a@v1", path=make_adapter(tmp_path, tiny_base))
        await die_twice_under(world, engine, files)
        world.made[-1].deadly.add("a@v1")
        with pytest.raises(Unavailable):
            await engine.load(files)
        await back(engine, rebuilds=3)
        assert world.said[-1] == (Suspicion.CONVICTED, ("a@v1",))
        with pytest.raises(BadAdapter):
            await engine.load(files)


async def test_adapter_under_which_a_new_engine_stands_still_is_suspended_and_not_convicted(
    world: World, tiny_base: Path, tmp_path: Path
) -> None:
    def deaf_under_it(fake: FakeEngine) -> None:
        generate = fake.generate

        def listen(request: GenerateRequest) -> AsyncGenerator[Delta, None]:
            fake.is_deaf = request.adapter == "a@v1"
            return generate(request)

        fake.generate = listen  # type: ignore[method-assign]

    world.prepare = deaf_under_it
    async with world.running() as engine:
        await engine.load(AdapterFiles(name="a@v1", path=make_adapter(tmp_path, tiny_base)))
        world.made[0].deadly.add("a@v1")
        with pytest.raises(Unavailable):
            await answer(engine, "a@v1")
        await back(engine, rebuilds=2)
        assert world.said == [(Suspicion.SUSPENDED, ("a@v1",))]
        assert await answer(engine) != ""


async def test_kill_from_outside_counts_against_nobody(world: World, tiny_base: Path, tmp_path: Path) -> None:
    async with world.running() as engine:
        await engine.load(AdapterFiles(name="a@v1", path=make_adapter(tmp_path, tiny_base)))
        for rebuilds in (1, 2, 3):
            fake = world.made[-1]
            fake.is_killed = True
            fake.deadly.add("a@v1")
            with pytest.raises(Unavailable):
                await answer(engine, "a@v1")
            await back(engine, rebuilds=rebuilds)
        assert world.said == []
        assert (await engine.info()).loaded == ("a@v1",)


async def test_engine_that_does_not_start_again_is_tried_until_it_does(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([EngineFailed("no memory"), RuntimeError("anything"), OSError("no files")])

    async def start(fake: FakeEngine) -> None:
        failure = next(failures, None)
        if failure is not None:
            raise failure
        await FakeEngine.start(fake)

    world.prepare = lambda fake: setattr(fake, "start", lambda: start(fake))
    async with world.running() as engine:
        world.made[0].die()
        await back(engine, rebuilds=4)
        assert await answer(engine) != ""


async def test_report_that_fails_does_not_stop_the_rebuild(world: World, tiny_base: Path, tmp_path: Path) -> None:
    async def full_disk(names: tuple[str, ...], suspicion: Suspicion, reason: str) -> None:
        raise StorageFailed("the disk is full")

    world.prepare = lambda fake: fake.deadly.add("bad@v1")
    world.on_suspect = full_disk  # type: ignore[method-assign]
    async with world.running() as engine:
        await engine.load(AdapterFiles(name="bad@v1", path=make_adapter(tmp_path, tiny_base)))
        world.made[0].deadly.add("bad@v1")
        with pytest.raises(Unavailable):
            await answer(engine, "bad@v1")
        await back(engine, rebuilds=2)
        assert await answer(engine) != ""


async def test_no_liveness_probe_is_sent_while_tokens_flow(world: World) -> None:
    async with world.running() as engine:
        async with asyncio.timeout(10):
            for _ in range(20):
                await answer(engine)
                await asyncio.sleep(0.01)
        assert all(request.request_id == "r" for request in world.made[0].requests)


async def test_unloaded_adapter_stays_unloaded_after_a_rebuild(world: World, tiny_base: Path, tmp_path: Path) -> None:
    async with world.running() as engine:
        await engine.load(AdapterFiles(name="a@v1", path=make_adapter(tmp_path, tiny_base)))
        assert await engine.unload("a@v1") is True
        world.made[0].die()
        await back(engine, rebuilds=1)
        assert (await engine.info()).loaded == ()


async def test_closed_engine_is_stopped_and_refuses(world: World) -> None:
    async with world.running() as engine:
        assert (await engine.info()).state is EngineState.SERVING
    assert (await engine.info()).state is EngineState.STOPPED
    with pytest.raises(Unavailable):
        await answer(engine)
