"""Queues are bounded, tenants take turns, and a place is never lost."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from sealserve.errors import DeadlineExceeded, QuotaExceeded, Unavailable
from sealserve.serving.admission import Admission


async def inside(admission: Admission, tenant: str, *, seconds: float = 60, places: int = 1) -> AsyncExitStack:
    stack = AsyncExitStack()
    deadline = asyncio.get_running_loop().time() + seconds
    await stack.enter_async_context(admission.entered(tenant, deadline=deadline, places=places))
    return stack


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_tenant_with_many_calls_does_not_hold_up_one_with_few() -> None:
    admission = Admission(max_running=8, max_queued_per_tenant=8)
    held = [await inside(admission, "x") for _ in range(8)]
    order: list[str] = []

    async def call(tenant: str) -> None:
        async with await inside(admission, tenant):
            order.append(tenant)
            await settle()

    calls = [asyncio.create_task(call(tenant)) for tenant in ("a", "a", "a", "a", "b", "b")]
    await settle()
    await held[0].aclose()
    await asyncio.gather(*calls)
    assert order == ["a", "b", "a", "b", "a", "a"]
    for stack in held[1:]:
        await stack.aclose()
    assert admission.running == 0


async def test_full_queue_of_one_tenant_is_its_own_trouble() -> None:
    admission = Admission(max_running=2, max_queued_per_tenant=1)
    held = [await inside(admission, "a") for _ in range(2)]
    waiting = asyncio.create_task(inside(admission, "a"))
    await settle()
    with pytest.raises(QuotaExceeded):
        await inside(admission, "a")
    other = asyncio.create_task(inside(admission, "b"))
    await settle()
    assert admission.waiting == 2
    for stack in held:
        await stack.aclose()
    for task in (waiting, other):
        await (await task).aclose()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_full_house_is_unavailable_to_those_who_wait_already() -> None:
    admission = Admission(max_running=1, max_queued_per_tenant=5)
    held = await inside(admission, "a")
    waiting = [asyncio.create_task(inside(admission, tenant)) for tenant in ("b", "c")]
    await settle()
    for tenant in ("b", "c"):
        with pytest.raises(Unavailable) as refused:
            await inside(admission, tenant)
        assert refused.value.reason == "QUEUE_FULL"
    await held.aclose()
    for task in waiting:
        await (await task).aclose()
    assert admission.running == 0


async def test_two_tenants_that_fill_the_queue_do_not_lock_out_a_third() -> None:
    admission = Admission(max_running=8, max_queued_per_tenant=4)
    held = [await inside(admission, "x") for _ in range(8)]
    hogs = [asyncio.create_task(inside(admission, tenant)) for tenant in ("a", "b") for _ in range(4)]
    await settle()
    assert admission.waiting == 8
    third = asyncio.create_task(inside(admission, "c"))
    await settle()
    assert admission.waiting == 9
    for stack in held[:3]:
        await stack.aclose()
    await (await third).aclose()
    for stack in held[3:]:
        await stack.aclose()
    for task in hogs:
        await (await task).aclose()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_tenant_holds_no_more_than_its_share_and_the_next_one_enters_at_once() -> None:
    admission = Admission(max_running=4, max_running_per_tenant=2, max_queued_per_tenant=4)
    held = [await inside(admission, "a") for _ in range(2)]
    more = asyncio.create_task(inside(admission, "a"))
    await settle()
    assert (admission.running, admission.waiting) == (2, 1)
    other = await inside(admission, "b", seconds=0.5)
    assert admission.running == 3
    await other.aclose()
    assert not more.done()
    await held[0].aclose()
    await (await more).aclose()
    await held[1].aclose()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_wait_ends_at_the_deadline_and_gives_its_place_back() -> None:
    admission = Admission(max_running=1, max_queued_per_tenant=5)
    held = await inside(admission, "a")
    with pytest.raises(DeadlineExceeded):
        await inside(admission, "b", seconds=0.01)
    assert admission.waiting == 0
    await held.aclose()
    await (await inside(admission, "c")).aclose()
    assert admission.running == 0


async def test_place_that_came_with_the_cancellation_is_passed_on() -> None:
    admission = Admission(max_running=1, max_queued_per_tenant=5)
    held = await inside(admission, "a")
    waiting = asyncio.create_task(inside(admission, "b"))
    await settle()
    await held.aclose()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert admission.running == 0


async def test_call_for_several_answers_takes_a_place_for_each() -> None:
    admission = Admission(max_running=8, max_queued_per_tenant=8, max_running_per_tenant=4)
    first = await inside(admission, "a", places=3)
    waiting = asyncio.create_task(inside(admission, "a", places=2))
    await settle()
    assert (admission.running, admission.waiting) == (3, 1)
    await first.aclose()
    second = await waiting
    assert admission.running == 2
    await second.aclose()


async def test_call_for_more_than_a_tenant_may_hold_takes_all_of_it() -> None:
    admission = Admission(max_running=8, max_queued_per_tenant=8, max_running_per_tenant=4)
    stack = await inside(admission, "a", places=8)
    assert admission.running == 4
    await stack.aclose()
    assert admission.running == 0


async def test_small_call_goes_on_when_the_large_one_before_it_is_given_up() -> None:
    admission = Admission(max_running=4, max_queued_per_tenant=8)
    held = await inside(admission, "a", places=3)
    large = asyncio.create_task(inside(admission, "b", places=4))
    await settle()
    small = asyncio.create_task(inside(admission, "b"))
    await settle()
    assert admission.waiting == 2
    large.cancel()
    await asyncio.gather(large, return_exceptions=True)
    await (await small).aclose()
    await held.aclose()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_call_for_several_answers_is_not_passed_for_ever_by_small_ones() -> None:
    admission = Admission(max_running=4, max_queued_per_tenant=8, max_queued=16)
    held = [await inside(admission, "a") for _ in range(4)]
    large = asyncio.create_task(inside(admission, "b", places=3))
    await settle()
    small = [asyncio.create_task(inside(admission, "a")) for _ in range(4)]
    for stack in held[:3]:
        await settle()
        await stack.aclose()
    await (await large).aclose()
    await held[3].aclose()
    for task in small:
        await (await task).aclose()
    assert (admission.running, admission.waiting) == (0, 0)


async def test_weights_say_how_many_turns_a_tenant_gets_and_how_much_it_may_hold() -> None:
    weights = {"double": 2.0, "half": 0.5}
    admission = Admission(max_running=8, max_running_per_tenant=2, max_queued_per_tenant=20, weights=weights)
    held = [await inside(admission, "double") for _ in range(4)] + [await inside(admission, "half")]
    order: list[str] = []

    async def call(tenant: str) -> None:
        async with await inside(admission, tenant):
            order.append(tenant)
            await settle()

    more = [asyncio.create_task(call(tenant)) for tenant in ("double", "half")]
    await settle()
    assert order == [], "both hold what their weights give them"
    for stack in held:
        await stack.aclose()
    await asyncio.gather(*more)

    single = Admission(max_running=1, max_queued_per_tenant=20, max_queued=20, weights=weights)
    first = await inside(single, "x")
    order.clear()

    async def queued(tenant: str) -> None:
        async with await inside(single, tenant):
            order.append(tenant)

    calls = [asyncio.create_task(queued(tenant)) for tenant in ["double"] * 8 + ["one"] * 4 + ["half"] * 2]
    await settle()
    await first.aclose()
    await asyncio.gather(*calls)
    assert Counter(order[:7]) == {"double": 4, "one": 2, "half": 1}
