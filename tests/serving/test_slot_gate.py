"""No adapter waits for ever, tenants go before background, and no more adapters run than there are slots."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack

from sealserve.engine.engine import BACKGROUND_PRIORITY, TENANT_PRIORITY
from sealserve.serving.slot_gate import SlotGate


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
