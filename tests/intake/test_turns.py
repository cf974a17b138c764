"""Documents are read by turns between tenants; the test decides when each is done."""

import asyncio
import threading
from contextlib import ExitStack

import pytest

from sealserve.intake.turns import Turns


class _Work:
    """Blocking work that begins when it gets a thread and ends when told."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._end = threading.Event()
        self.has_begun = asyncio.Event()

    def __call__(self) -> str:
        self._loop.call_soon_threadsafe(self.has_begun.set)
        self._end.wait(timeout=60)
        return "done"

    def end(self) -> None:
        self._end.set()


@pytest.fixture
async def works() -> "list[_Work]":
    return [_Work(asyncio.get_running_loop()) for _ in range(8)]


async def test_a_tenant_with_many_documents_leaves_places_for_others(works: list[_Work]) -> None:
    turns = Turns(4)
    with ExitStack() as stack:
        for work in works:
            stack.callback(work.end)
        many = [asyncio.create_task(turns.run("acme", work)) for work in works[:6]]
        await asyncio.gather(*(work.has_begun.wait() for work in works[:2]))
        other = asyncio.create_task(turns.run("globex", works[6]))
        await asyncio.wait_for(works[6].has_begun.wait(), timeout=60)
        assert not any(work.has_begun.is_set() for work in works[2:6])
    assert set(await asyncio.gather(*many, other)) == {"done"}


async def test_tenants_take_turns_when_all_places_are_taken(works: list[_Work]) -> None:
    turns = Turns(1)
    with ExitStack() as stack:
        for work in works:
            stack.callback(work.end)
        owners = [asyncio.create_task(turns.run("acme", work)) for work in works[:3]]
        await works[0].has_begun.wait()
        owners.append(asyncio.create_task(turns.run("globex", works[3])))
        await asyncio.sleep(0)
        works[0].end()
        await asyncio.wait_for(works[1].has_begun.wait(), timeout=60)
        works[1].end()
        await asyncio.wait_for(works[3].has_begun.wait(), timeout=60)
        assert not works[2].has_begun.is_set()
    assert set(await asyncio.gather(*owners)) == {"done"}


async def test_work_whose_caller_has_gone_keeps_its_place_to_its_end(works: list[_Work]) -> None:
    turns = Turns(1)
    first = asyncio.create_task(turns.run("acme", works[0]))
    await works[0].has_begun.wait()
    first.cancel()
    second = asyncio.create_task(turns.run("globex", works[1]))
    gone = asyncio.create_task(turns.run("globex", works[2]))
    await asyncio.sleep(0)
    gone.cancel()
    assert not works[1].has_begun.is_set()
    works[0].end()
    works[1].end()
    assert await second == "done"
    assert not works[2].has_begun.is_set()
    with pytest.raises(asyncio.CancelledError):
        await first
