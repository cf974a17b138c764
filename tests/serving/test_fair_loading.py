"""Who waits how long for a version, played on a clock of its own: crowds, busy tenants and few places."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sealserve.engine.engine import AdapterFiles, Delta, GenerateRequest
from sealserve.records.inference import EngineInfo, EngineState, FinishReason, Sampling
from sealserve.records.rollouts import Desired
from sealserve.records.versions import AdapterVersion, Lineage, VersionState
from sealserve.serving.activation.load_queue import PATIENCE_SECONDS, LoadQueue
from sealserve.serving.activation.tenant_states import ActivatorSettings
from sealserve.serving.activator import Activator
from sealserve.serving.adapter_table import AdapterTable
from sealserve.serving.admission import Admission
from sealserve.serving.answers import AnswerParts, Answers
from tests.serving.conftest import HELLO
from tests.virtual_clock import run_virtually

LOAD_SECONDS, ANSWER_SECONDS = 0.065, 0.2
STEP_SECONDS, ADD_SECONDS = 0.03, 0.005


class SlowEngine:
    """Takes its time to load and to answer."""

    def __init__(self, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.loaded: dict[str, int] = {}  # name -> requests under it
        self.loads = 0
        self._answer_seconds = answer_seconds
        self._lock = asyncio.Lock()

    async def load(self, adapter: AdapterFiles) -> None:
        async with self._lock:
            await asyncio.sleep(LOAD_SECONDS)
            self.loads += 1
            self.loaded.setdefault(adapter.name, 0)

    async def unload(self, name: str) -> bool:
        assert not self.loaded[name], "it is in use"
        return self.loaded.pop(name, None) is not None

    async def generate(self, request: GenerateRequest) -> Any:
        name = request.adapter
        assert name in self.loaded
        self.loaded[name] += 1
        try:
            await asyncio.sleep(0 if request.request_id.startswith("probe") else self._answer_seconds)
            yield Delta(text=name, completion_tokens=1, prompt_tokens=1, cached_tokens=0, finish=FinishReason.STOP)
        finally:
            self.loaded[name] -= 1

    async def info(self) -> EngineInfo:
        return EngineInfo(
            state=EngineState.SERVING, model="slow", base_digest="b" * 64, max_context_tokens=512, max_rank=8, slots=64,
            loaded=tuple(self.loaded), rebuilds=0,
        )  # fmt: skip


class SteppingEngine(SlowEngine):
    """Loads and unloads between its steps, as vLLM does: whatever came in during one is carried out after it."""

    async def load(self, adapter: AdapterFiles) -> None:
        await self._end_of_step()
        async with self._lock:
            await asyncio.sleep(ADD_SECONDS)
        self.loads += 1
        self.loaded.setdefault(adapter.name, 0)

    async def unload(self, name: str) -> bool:
        is_loaded = await super().unload(name)
        await self._end_of_step()
        return is_loaded

    async def _end_of_step(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(STEP_SECONDS - loop.time() % STEP_SECONDS)


def many_tenants(count: int) -> Any:
    """A registry in which every tenant has a version."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    desired = {
        f"t{number}": Desired(tenant=f"t{number}", version=1, activation=1, changed=number + 1)
        for number in range(count)
    }

    def version(tenant: str, number: int) -> AdapterVersion:
        return AdapterVersion(
            tenant=tenant, version=number, artifact="a" * 64, engine_name=f"{tenant}@v1", state=VersionState.READY,
            reason="", cycle="", parent=0, documents=(), lineage=Lineage(), created_at=moment,
        )  # fmt: skip

    return SimpleNamespace(
        desired=SimpleNamespace(
            newest=lambda limit: tuple(reversed(desired.values()))[:limit],
            since=lambda number, limit: (),
            of=lambda names: {name: desired[name] for name in names if name in desired},
            newest_number=lambda: count,
        ),
        versions=SimpleNamespace(
            get=version,
            record_observed=lambda *observed: None,
            activations=lambda tenant, page_size: SimpleNamespace(items=()),
        ),
        rollouts=SimpleNamespace(standby=lambda tenant: None),
        artifacts=SimpleNamespace(materialise=lambda artifact: nullcontext(Path("/none"))),
    )


class Town:
    """A server with so many tenants and places, and callers."""

    def __init__(
        self,
        *,
        tenants: int,
        places: int,
        answer_seconds: float = ANSWER_SECONDS,
        engine: type[SlowEngine] = SlowEngine,
    ) -> None:
        self.engine = cast(Any, engine(answer_seconds=answer_seconds))
        registry, table = many_tenants(tenants), AdapterTable()
        settings = ActivatorSettings(
            replica="one", poll_seconds=0.25, rollback_window_seconds=60,
            loaded_adapters=places + 2, adapter_wait_seconds=600, max_waiting_per_tenant=1000,
        )  # fmt: skip
        self.activator = Activator(registry, self.engine, table, settings)
        salts: Any = SimpleNamespace(salt=lambda tenant: tenant, asker=lambda tenant, key: key)
        parts = AnswerParts(
            engine=self.engine, table=table,
            admission=Admission(max_running=64, max_queued_per_tenant=64, max_queued=10**6),
            residency=self.activator.residency, salts=salts, find_tenant=lambda tenant: None,
        )  # fmt: skip
        self.answers = Answers(parts, default_deadline_seconds=10**6)
        self.waits: dict[str, list[float]] = defaultdict(list)
        self.served: dict[str, list[float]] = defaultdict(list)

    async def ask(self, tenant: str) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        async for event in self.answers.stream(tenant, HELLO, Sampling()):
            if isinstance(event, Delta):
                assert event.text == f"{tenant}@v1"
        self.waits[tenant].append(now() - began - ANSWER_SECONDS)
        self.served[tenant].append(now())

    async def keep_asking(self, tenant: str, *, until: float, pause: float = 0.0) -> None:
        while asyncio.get_running_loop().time() < until:
            await self.ask(tenant)
            await asyncio.sleep(pause)


@contextmanager
def no_threads() -> Any:
    """Run what goes to a thread at once: a clock that jumps waits for no thread."""

    async def inline(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        await asyncio.sleep(0)
        return work(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "to_thread", inline)
        yield


def play(town: Callable[[], Town], *callers: Callable[[Town], list[Any]]) -> Town:
    async def run() -> Town:
        made = town()
        await made.activator.settle()
        running = asyncio.create_task(made.activator.run())
        await asyncio.gather(*(call for caller in callers for call in caller(made)))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return made

    with no_threads():
        return run_virtually(run())


def test_queue_serves_whoever_came_first_of_both_lines() -> None:
    queue = LoadQueue(clock=iter(range(100)).__next__)
    queue.add("a", is_returning=False)
    queue.add("x", is_returning=True)
    queue.add("b", is_returning=False)
    queue.remove("b")
    queue.add("c", is_returning=False)
    queue.add("a", is_returning=True)
    assert len(queue) == 3
    assert [queue.pop() for _ in range(4)] == ["a", "x", "c", None]


def test_those_who_come_back_take_turns_with_a_crowd_after_a_while() -> None:
    now = 0.0
    queue = LoadQueue(clock=lambda: now)
    for tenant in ("a", "b", "c"):
        queue.add(tenant, is_returning=False)
    now = 1.0
    queue.add("x", is_returning=True)
    queue.add("y", is_returning=True)
    assert queue.pop() == "a"
    now = 1.0 + PATIENCE_SECONDS
    assert [queue.pop() for _ in range(5)] == ["x", "b", "y", "c", None]


def test_sixty_four_tenants_over_eight_places_all_get_their_turn() -> None:
    town = play(
        lambda: Town(tenants=1000, places=8),
        lambda town: [town.keep_asking(f"t{number}", until=60) for number in range(64)],
    )
    assert len(town.served) == 64
    counts = [len(times) for times in town.served.values()]
    assert max(counts) <= 2 * min(counts)
    assert max(max(waits) for waits in town.waits.values()) <= 2.5 * 64 * LOAD_SECONDS


def test_places_change_hands_as_fast_as_answers_end_not_one_after_the_other() -> None:
    town = play(
        lambda: Town(tenants=64, places=8, engine=SteppingEngine),
        lambda town: [town.keep_asking(f"t{number}", until=30) for number in range(64)],
    )
    answers = sum(len(times) for times in town.served.values())
    assert answers >= 0.6 * 30 * 8 / ANSWER_SECONDS
    assert max(max(waits) for waits in town.waits.values()) <= 3 * 64 * ANSWER_SECONDS / 8


def test_crowd_of_a_thousand_cold_tenants_starves_nobody_who_keeps_asking() -> None:
    regulars = ("t999", "t998")
    town = play(
        lambda: Town(tenants=1000, places=8),
        lambda town: [town.keep_asking(name, until=60, pause=0.1) for name in regulars],
        lambda town: [town.ask(f"t{number}") for number in range(990)],
    )
    assert len(town.served) == 992, "everybody was answered in the end"
    for name in regulars:
        assert max(town.waits[name]) <= PATIENCE_SECONDS + 2
        assert len(town.served[name]) > 10


def test_tenants_that_never_pause_leave_their_places_to_others() -> None:
    def hogs(town: Town) -> list[Any]:
        return [town.keep_asking(f"t{number}", until=30) for number in (9, 8) for _ in range(3)]

    town = play(lambda: Town(tenants=10, places=2, answer_seconds=1.0), hogs, lambda town: [town.ask("t1")])
    assert town.waits["t1"][0] <= 5
    assert len(town.served["t9"]) > 10, "and get them back"


def test_answers_are_right_whatever_happens_at_once() -> None:
    source = random.Random(3)

    async def hurried(town: Town, tenant: str) -> None:
        asking = asyncio.create_task(town.ask(tenant))
        await asyncio.sleep(source.random() * 3)
        if source.random() < 0.3:
            asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    town = play(
        lambda: Town(tenants=20, places=3),
        lambda town: [hurried(town, f"t{source.randrange(20)}") for _ in range(400)],
    )
    residency, residents = town.activator.residency, town.activator._states.residents
    assert residency.waiting == 0
    assert not any(residents.holds(f"t{number}") for number in range(20))
    assert len(town.engine.loaded) <= 3
