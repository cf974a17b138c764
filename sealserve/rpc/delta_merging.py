"""Fewer, larger pieces: deltas that come while a message is on its way, or right after it, travel in the next one.

A gRPC message costs Python about 0.1 ms on both ends together, whatever is in it; an engine gives a stream some
hundred tokens a second. The first delta never waits. Nothing is held back from the engine, and no more is kept than
one answer's text.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from sealserve.engine.engine import Delta

MAX_CHARACTERS = 16_384
"""A merged delta grows no further than this: messages are bounded."""


async def merged(source: AsyncGenerator[Any, None], *, seconds: float) -> AsyncGenerator[Any, None]:
    """Yield what `source` yields, waiting deltas of one answer as one and `seconds` apart unless it has ended.

    `source` runs in a task of its own from first to last, and is closed when this is. Raises: what it raises.
    """
    waiting: list[Any] = []
    is_there, has_ended = asyncio.Event(), asyncio.Event()
    pull = asyncio.create_task(_pull(source, waiting, is_there=is_there))
    pull.add_done_callback(lambda _: has_ended.set())
    pull.add_done_callback(lambda _: is_there.set())
    try:
        while True:
            await is_there.wait()
            is_there.clear()
            taken, waiting[:] = tuple(waiting), ()
            for item in taken:
                yield item
            if has_ended.is_set() and not waiting:
                break
            await _pause(has_ended, seconds)
        pull.result()
    finally:
        pull.cancel()
        await asyncio.wait((pull,))


async def _pull(source: AsyncGenerator[Any, None], waiting: list[Any], *, is_there: asyncio.Event) -> None:
    async with aclosing(source) as items:
        async for item in items:
            place = _place(item, waiting)
            if place is None:
                waiting.append(item)
            else:
                last = waiting[place]
                waiting[place] = replace(item, text=last.text + item.text, logprobs=last.logprobs + item.logprobs)
            is_there.set()


def _place(item: Any, waiting: list[Any]) -> int | None:
    """Return where the delta of the same answer waits that `item` can travel with; None: nowhere."""
    if not isinstance(item, Delta):
        return None
    for place in range(len(waiting) - 1, -1, -1):
        last = waiting[place]
        if not isinstance(last, Delta):
            return None
        if last.index == item.index:
            return place if len(last.text) < MAX_CHARACTERS else None
    return None


async def _pause(has_ended: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await has_ended.wait()
    except TimeoutError:
        return
