"""Fair scheduling of adapters: no more in flight than the engine has slots, and none starves.

vLLM schedules at most `max_loras` distinct adapters in a batch and lets requests of those already in it pass all
others: with two slots and two busy adapters a third waits for as long as they stay busy, whatever its priority.
Here an adapter that has waited `patience_seconds` stops admitting requests for the least-loaded running adapter,
waits for it to drain, and takes its slot (the idea of SGLang's LoRA drainer). Adapters wait in line, each once however
many requests wait for it. Background adapters give way at once and wait longer.

Entering and leaving take time in proportion to the slots at most, however many adapters wait.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice
from operator import itemgetter

from sealserve.engine.engine import TENANT_PRIORITY

BACKGROUND_PATIENCE = 10
"""How many times longer a background adapter waits before it closes a door."""


@dataclass(slots=True)
class _Flight:
    """Requests in flight under one adapter."""

    tenants: int = 0
    background: int = 0
    is_closing: bool = False  # its door is closed: it leaves when those inside have ended

    def add(self, number: int, *, is_background: bool) -> None:
        if is_background:
            self.background += number
        else:
            self.tenants += number


@dataclass(slots=True)
class _Waiting:
    """Requests that wait for one adapter's turn, oldest first: (turn, is it background)."""

    since: float
    turns: dict[asyncio.Future[None], bool] = field(default_factory=dict)


class SlotGate:
    """`slots` adapters in flight at most. The base model needs no slot. Use it from one event loop."""

    def __init__(self, *, slots: int, patience_seconds: float = 1.0) -> None:
        self._slots = slots
        self._patience = patience_seconds
        self._flights: dict[str, _Flight] = {}
        self._tenant_line: OrderedDict[str, _Waiting] = OrderedDict()  # longest wait first
        self._background_line: OrderedDict[str, _Waiting] = OrderedDict()  # only background requests wait for these
        self._closing = 0  # doors that are closed
        self._yielding = 0  # open doors behind which only background requests run
        self._waiting = [0, 0]  # requests that wait: of tenants, of background work
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return sum(self._waiting)

    @property
    def tenants_waiting(self) -> int:
        """How many of these are tenants' requests."""
        return self._waiting[False]

    @asynccontextmanager
    async def entered(self, adapter: str | None, *, priority: int = TENANT_PRIORITY) -> AsyncIterator[None]:
        """Run the body with a slot for `adapter`; waits for its turn."""
        if adapter is None:
            yield
            return
        is_background = priority > TENANT_PRIORITY
        await self._enter(adapter, is_background=is_background)
        try:
            yield
        finally:
            self._leave(adapter, is_background=is_background)

    async def _enter(self, adapter: str, *, is_background: bool) -> None:
        if self._has_room(adapter):
            self._count(adapter, 1, is_background=is_background)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line_up(adapter, turn, is_background=is_background)
        self._close_doors()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(adapter, is_background=is_background)
            else:
                self._forget(adapter, turn)
            raise

    def _has_room(self, adapter: str) -> bool:
        flight = self._flights.get(adapter)
        if flight is not None:
            return not flight.is_closing
        return len(self._flights) < self._slots and not self._tenant_line and not self._background_line

    def _line_up(self, adapter: str, turn: asyncio.Future[None], *, is_background: bool) -> None:
        """A tenant's request takes those of background work that wait for the same adapter with it."""
        waiting = self._tenant_line.get(adapter)
        if waiting is None and not is_background:
            earlier = self._background_line.pop(adapter, None)
            waiting = self._tenant_line[adapter] = _Waiting(_now(), earlier.turns if earlier else {})
        elif waiting is None:
            waiting = self._background_line.setdefault(adapter, _Waiting(_now()))
        waiting.turns[turn] = is_background
        self._waiting[is_background] += 1

    def _leave(self, adapter: str, *, is_background: bool) -> None:
        self._count(adapter, -1, is_background=is_background)
        self._admit()
        self._close_doors()

    def _count(self, adapter: str, number: int, *, is_background: bool) -> None:
        flight = self._flights.get(adapter)
        if flight is None:
            flight = self._flights[adapter] = _Flight()
        else:
            self._yielding -= _is_yielding(flight)
        flight.add(number, is_background=is_background)
        if flight.tenants or flight.background:
            self._yielding += _is_yielding(flight)
            return
        self._closing -= flight.is_closing
        del self._flights[adapter]

    def _admit(self) -> None:
        """Give free slots to those who wait, whose patience ends first: background adapters have more of it."""
        while len(self._flights) < self._slots:
            found = next(self._in_line(), None)
            if found is None:
                return
            adapter = found[0]
            waiting = self._tenant_line.pop(adapter, None) or self._background_line.pop(adapter)
            for turn, is_background in waiting.turns.items():
                self._waiting[is_background] -= 1
                if not turn.done():
                    self._count(adapter, 1, is_background=is_background)
                    turn.set_result(None)

    def _in_line(self) -> Iterator[tuple[str, float]]:
        """Give the adapters that wait and have no request in flight, and when their patience ends: the next one first.

        That of a tenant ends at once where background work could yield, and the earlier the more of them wait: turns
        are short where many want one.
        """
        tenant_patience = self._patience / max(1.0, len(self._tenant_line) / self._slots)
        if self._yielding:
            tenant_patience = 0.0
        tenants = ((name, one.since + tenant_patience) for name, one in self._tenant_line.items())
        background_patience = BACKGROUND_PATIENCE * self._patience
        background = ((name, one.since + background_patience) for name, one in self._background_line.items())
        for adapter, due in merge(tenants, background, key=itemgetter(1)):
            if adapter not in self._flights:
                yield adapter, due

    def _close_doors(self) -> None:
        """Close one door for each adapter that has run out of patience; look again when the next one will."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._closing < len(self._flights):
            found = next(islice(self._in_line(), self._closing, None), None)
            if found is None:
                return
            if found[1] > _now():
                self._alarm = asyncio.get_running_loop().call_at(found[1], self._close_doors)
                return
            self._close_one()

    def _close_one(self) -> None:
        """Close the door of the adapter with the fewest requests in flight."""
        open_ones = (flight for flight in self._flights.values() if not flight.is_closing)
        chosen = min(open_ones, key=lambda flight: (flight.tenants, flight.background))
        self._yielding -= _is_yielding(chosen)
        chosen.is_closing = True
        self._closing += 1

    def _forget(self, adapter: str, turn: asyncio.Future[None]) -> None:
        line = self._tenant_line if adapter in self._tenant_line else self._background_line
        waiting = line.get(adapter)
        if waiting is None or turn not in waiting.turns:
            return
        self._waiting[waiting.turns.pop(turn)] -= 1
        if not waiting.turns:
            del line[adapter]
        elif line is self._tenant_line and all(waiting.turns.values()):
            del line[adapter]
            self._background_line[adapter] = _Waiting(_now(), waiting.turns)
        self._close_doors()


def _is_yielding(flight: _Flight) -> bool:
    return not flight.is_closing and not flight.tenants


def _now() -> float:
    return asyncio.get_running_loop().time()
