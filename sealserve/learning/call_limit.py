"""How many engine calls a cycle has in flight: fewer after a refusal, more again while none comes.

Additive increase, multiplicative decrease, as in TCP's congestion control (RFC 5681, section 3.1): a server that is
shared settles at what it can bear.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class CallLimit:
    """At most `most` calls at once, and fewer after refusals. Use it from one event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._running = 0
        self._refusals = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many calls may run at once now."""
        return int(self._limit)

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[int]:
        """Run the body as one of the calls, with the number of refusals so far."""
        await self._enter()
        try:
            yield self._refusals
        finally:
            self._running -= 1
            self._admit()

    def succeeded(self) -> None:
        """Let one more run after as many successes as run now."""
        self._limit = min(float(self._most), self._limit + 1 / self._limit)
        self._admit()

    def refused(self, refusals: int) -> None:
        """Let half as many run. `refusals` is what `entered` gave: calls that were under way already count once."""
        if refusals == self._refusals:
            self._refusals += 1
            self._limit = max(1.0, self._limit / 2)

    async def _enter(self) -> None:
        if self._running < self.limit and not self._waiting:
            self._running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place came together with the cancellation
                self._running -= 1
            self._admit()
            raise

    def _admit(self) -> None:
        while self._waiting and self._running < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._running += 1
                turn.set_result(None)
