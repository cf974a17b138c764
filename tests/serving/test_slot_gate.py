"""No adapter waits for ever, tenants go before background, and no more adapters run than there are slots."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from itertools import pairwise

from sealserve.engine.engine import BACKGROUND_PRIORITY, TENANT_PRIORITY
from sealserve.serving.slot_gate import SlotGate
from tests.virtual_clock import run_virtually


async def inside(gate: SlotGate, adapter: str | None, *, priority: int = TENANT_PRIORITY) -> AsyncExitStack:
    stack = AsyncExitStack()
    await stack.enter_async_context(gate.entered(adapter, priority=priority))
    return stack


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_base_model_needs_no_slot() -> None:
    gate = SlotGate(slots=1)
    held = await inside(gate, "a")
    async with gate.entered(None):
        assert gate.waiting == 0
    await held.aclose()


async def test_same_adapter_enters_any_number_of_times() -> None:
    gate = SlotGate(slots=1)
    held = [await inside(gate, "a") for _ in range(5)]
    assert gate.waiting == 0
    for stack in held:
        await stack.aclose()


async def test_adapter_without_a_slot_enters_when_one_is_free() -> None:
    gate = SlotGate(slots=1)
    held = await inside(gate, "a")
    waiting = asyncio.create_task(inside(gate, "b"))
    await settle()
    assert gate.waiting == 1
    await held.aclose()
    await (await waiting).aclose()
    assert gate.waiting == 0


async def test_busy_adapters_cannot_starve_a_third() -> None:
    gate = SlotGate(slots=2, patience_seconds=0.02)
    done = asyncio.Event()

    async def busy(adapter: str) -> None:
        while not done.is_set():
            async with gate.entered(adapter):
                await asyncio.sleep(0.001)

    hogs = [asyncio.create_task(busy(name)) for name in "aaaabbbb"]
    await settle()
    async with asyncio.timeout(30):
        await (await inside(gate, "c")).aclose()
    done.set()
    await asyncio.gather(*hogs)
    assert gate.waiting == 0


async def test_drained_adapter_gets_its_turn_again() -> None:
    gate = SlotGate(slots=1, patience_seconds=0)
    held = await inside(gate, "a")
    waiting = asyncio.create_task(inside(gate, "b"))
    await settle()
    again = asyncio.create_task(inside(gate, "a"))
    await settle()
    assert not again.done()
    await held.aclose()
    await settle()
    assert waiting.done()
    assert not again.done()
    await (await waiting).aclose()
    await (await again).aclose()
    assert gate.waiting == 0


async def test_background_adapter_gives_way_to_a_tenant_at_once() -> None:
    gate = SlotGate(slots=1, patience_seconds=60)
    background = await inside(gate, "candidate", priority=BACKGROUND_PRIORITY)
    tenant = asyncio.create_task(inside(gate, "acme"))
    await settle()
    more = asyncio.create_task(inside(gate, "candidate", priority=BACKGROUND_PRIORITY))
    await settle()
    await background.aclose()
    await settle()
    assert tenant.done()
    assert not more.done()
    await (await tenant).aclose()
    await (await more).aclose()


async def test_background_adapter_is_not_starved_either() -> None:
    gate = SlotGate(slots=1, patience_seconds=0.001)
    done = asyncio.Event()

    async def busy() -> None:
        while not done.is_set():
            async with gate.entered("acme"):
                await asyncio.sleep(0.001)

    hogs = [asyncio.create_task(busy()) for _ in range(3)]
    await settle()
    async with asyncio.timeout(30):
        await (await inside(gate, "candidate", priority=BACKGROUND_PRIORITY)).aclose()
    done.set()
    await asyncio.gather(*hogs)
    assert gate.waiting == 0


async def test_cancelled_wait_leaves_no_trace() -> None:
    gate = SlotGate(slots=1)
    held = await inside(gate, "a")
    waiting = asyncio.create_task(inside(gate, "b"))
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert gate.waiting == 0
    await held.aclose()
    await (await inside(gate, "c")).aclose()


async def test_random_traffic_never_exceeds_the_slots_and_always_ends() -> None:
    source = random.Random(7)
    gate = SlotGate(slots=3, patience_seconds=0.002)
    running: Counter[str] = Counter()
    most = 0

    async def call(index: int) -> None:
        nonlocal most
        adapter = source.choice("abcdefg")
        priority = source.choice([TENANT_PRIORITY, BACKGROUND_PRIORITY])
        await asyncio.sleep(source.random() * 0.05)
        async with gate.entered(adapter, priority=priority):
            running[adapter] += 1
            most = max(most, len(+running))
            try:
                await asyncio.sleep(source.random() * 0.003)
            finally:
                running[adapter] -= 1

    calls = [asyncio.create_task(call(index)) for index in range(400)]
    for task in source.sample(calls, 40):
        asyncio.get_running_loop().call_later(source.random() * 0.05, task.cancel)
    async with asyncio.timeout(20):
        await asyncio.gather(*calls, return_exceptions=True)
    assert most == 3
    assert gate.waiting == 0
    async with asyncio.timeout(30):
        await (await inside(gate, "z")).aclose()


class Busy:
    """Tenants that ask again and again over a few slots, on a clock of their own."""

    def __init__(self, gate: SlotGate, *, seconds: float) -> None:
        self.gate = gate
        self.seconds = seconds
        self.served: dict[str, list[float]] = {}  # tenant -> when each of its requests began
        self.starved: list[tuple[str, str]] = []  # who waited for more than five seconds, and who was served twice

    async def ask(self, tenant: str, *, until: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            asked = loop.time()
            async with self.gate.entered(tenant):
                began = loop.time()
                if began - asked > 5:
                    self.starved += [(tenant, other) for other in self._served_twice(tenant, asked, began)]
                self.served.setdefault(tenant, []).append(began)
                await asyncio.sleep(self.seconds)

    def _served_twice(self, tenant: str, asked: float, began: float) -> list[str]:
        later = {other: [at for at in times if asked < at < began] for other, times in self.served.items()}
        return [other for other, times in later.items() if other != tenant and len(set(times)) > 1]


def test_tenant_with_a_hundred_requests_makes_no_other_wait_longer_than_its_turn() -> None:
    async def play() -> Busy:
        busy = Busy(SlotGate(slots=2), seconds=0.5)
        callers = ["hog"] * 100 + ["huge"] * 50 + ["small", "tiny"]
        await asyncio.gather(*(busy.ask(name, until=60) for name in callers))
        return busy

    busy = run_virtually(play())
    assert busy.starved == []
    gaps = [later - earlier for earlier, later in pairwise(busy.served["small"])]
    assert max(gaps) <= 5


def test_sixty_four_tenants_over_four_slots_are_served_in_turn() -> None:
    async def play() -> Busy:
        busy = Busy(SlotGate(slots=4), seconds=0.4)
        await asyncio.gather(*(busy.ask(f"t{number}", until=120) for number in range(64) for _ in range(2)))
        return busy

    busy = run_virtually(play())
    assert busy.starved == []
    counts = [len(times) for times in busy.served.values()]
    assert max(counts) <= 1.5 * min(counts)


def test_entering_takes_no_longer_when_a_thousand_adapters_wait() -> None:
    looked_at = 0

    class Counted(SlotGate):
        def _in_line(self) -> Iterator[tuple[str, float]]:
            nonlocal looked_at
            for one in super()._in_line():
                looked_at += 1
                yield one

    async def play() -> None:
        busy = Busy(Counted(slots=4), seconds=0.1)
        await asyncio.gather(*(busy.ask(f"t{number}", until=0.1) for number in range(1000)))

    run_virtually(play())
    assert looked_at <= 1000 * 2 * (2 * 4 + 2), "of two thousand times that somebody enters or leaves"
