"""Following something in the registry: its state now, then each new one, until it is over or the server drains.

The registry is asked again and again: it is the only thing that several replicas and workers share.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from sealserve.errors import Unavailable
from sealserve.wire.statuses import WATCH_AGAIN

T = TypeVar("T")


async def follow(
    read: Callable[[], T],
    *,
    seconds: float,
    draining: asyncio.Event,
    life_seconds: float,
    is_same: Callable[[T, T], bool] = lambda old, new: old == new,
) -> AsyncIterator[T]:
    """Yield what `read` (called in a thread) returns, at once and after every change.

    Raises: whatever `read` raises; Unavailable when the server drains (SHUTTING_DOWN) and after `life_seconds`
    (WATCH_AGAIN): a connection is not kept for ever.
    """
    ends_at = asyncio.get_running_loop().time() + life_seconds
    last = await asyncio.to_thread(read)
    yield last
    while not await _is_set_within(draining, seconds):
        state = await asyncio.to_thread(read)
        if not is_same(last, state):
            last = state
            yield last
        if asyncio.get_running_loop().time() >= ends_at:
            raise Unavailable("this watch has come to its end; watch again", reason=WATCH_AGAIN, retry_seconds=0)
    raise Unavailable("the server is shutting down; watch again", reason="SHUTTING_DOWN")


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), timeout=seconds)
    except TimeoutError:
        return False
    return True
