"""Merging deltas: order, ends, failures and closing are the source's own."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from sealserve.engine.engine import Delta
from sealserve.errors import EngineFailed
from sealserve.records.inference import FinishReason
from sealserve.rpc.delta_merging import MAX_CHARACTERS, merged


def delta(text: str, count: int, *, finish: FinishReason | None = None, index: int = 0) -> Delta:
    return Delta(text=text, completion_tokens=count, prompt_tokens=1, cached_tokens=0, finish=finish, index=index)


async def test_neighbours_become_one_and_others_stay_apart() -> None:
    async def source() -> AsyncGenerator[str | Delta, None]:
        yield "route"
        yield delta("a", 1)
        yield delta("b", 2, finish=FinishReason.STOP)

    assert [item async for item in merged(source(), seconds=60)] == ["route", delta("ab", 2, finish=FinishReason.STOP)]


async def test_several_answers_are_merged_each_with_itself() -> None:
    stop = FinishReason.STOP

    async def source() -> AsyncGenerator[str | Delta, None]:
        yield "route"
        for place, text in enumerate("abcd"):
            for index in (0, 1):
                is_last = text == "d"
                yield delta(text + str(index), 2 * place + index, finish=stop if is_last else None, index=index)

    items = [item async for item in merged(source(), seconds=60)]
    assert items == ["route", delta("a0b0c0d0", 6, finish=stop), delta("a1b1c1d1", 7, finish=stop, index=1)]


async def test_failure_comes_after_what_was_there_before_it() -> None:
    async def source() -> AsyncGenerator[Delta, None]:
        yield delta("a", 1)
        raise EngineFailed("broke")

    async with aclosing(merged(source(), seconds=0)) as items:
        assert await anext(items) == delta("a", 1)
        with pytest.raises(EngineFailed):
            await anext(items)


async def test_closing_closes_the_source_in_the_task_it_ran_in() -> None:
    tasks = []

    async def source() -> AsyncGenerator[Delta, None]:
        tasks.append(asyncio.current_task())
        try:
            yield delta("a", 1)
            await asyncio.Event().wait()
        finally:
            tasks.append(asyncio.current_task())

    async with aclosing(merged(source(), seconds=0)) as items:
        assert (await anext(items)).text == "a"
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


async def test_merged_text_stays_within_bounds() -> None:
    async def source() -> AsyncGenerator[Delta, None]:
        for count in range(1, 101):
            yield delta("x" * 1_000, count)

    items = [item async for item in merged(source(), seconds=60)]
    assert max(len(item.text) for item in items) <= MAX_CHARACTERS + 1_000
    assert sum(len(item.text) for item in items) == 100_000
