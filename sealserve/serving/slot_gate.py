"""Fair scheduling of adapters: no more in flight than the engine has slots, and none starves.

vLLM schedules at most `max_loras` distinct adapters in a batch and lets requests of those already in it pass all
others: with two slots and two busy adapters a third waits for as long as they stay busy, whatever its priority.
Here an adapter that has waited `patience_seconds` stops admitting requests for the least-loaded running adapter,
waits for it to drain, and takes its slot (the idea of SGLang's LoRA drainer). Background adapters
give way at once and wait longer. Use it from one event loop.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sealserve.engine.engine import TENANT_PRIORITY

BACKGROUND_PATIENCE = 10
"""How many times longer a background adapter waits before it closes a door."""


@dataclass(slots=True)
class _Waiting:
    """Requests that wait for one adapter's turn, oldest first: (turn, is it background)."""

    since: float
    turns: list[tuple[asyncio.Future[None], bool]] = field(default_factory=list)

    @property
    def is_background(self) -> bool:
        return all(is_background for _, is_background in self.turns)


class SlotGate:
    """`slots` adapters in flight at most. The base model needs no slot."""

    def __init__(self, *, slots: int, patience_seconds: float = 1.0) -> None:
        self._slots = slots
        self._patience = patience_seconds
        self._tenants: Counter[str] = Counter()  # requests in flight, by adapter
        self._background: Counter[str] = Counter()
        self._waiting: dict[str, _Waiting] = {}
        self._closing: set[str] = set()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """How many requests wait for a slot."""
        return sum(len(waiting.turns) for waiting in self._waiting.values())

    @property
    def tenants_waiting(self) -> int:
        """How many of these are tenants' requests."""
        return sum(not is_background for waiting in self._waiting.values() for _, is_background in waiting.turns)

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
            self._count(is_background)[adapter] += 1
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(adapter, _Waiting(loop.time())).turns.append((turn, is_background))
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
        if adapter in self._in_flight():
            return adapter not in self._closing
        return len(self._in_flight()) < self._slots and not self._waiting

    def _leave(self, adapter: str, *, is_background: bool) -> None:
        count = self._count(is_background)
        count[adapter] -= 1
        if not count[adapter]:
            del count[adapter]
        if adapter not in self._in_flight():
            self._closing.discard(adapter)
        self._admit()
        self._close_doors()

    def _admit(self) -> None:
        """Give free slots to those who wait, whose patience ends first: background adapters have more of it."""
        for adapter in sorted(self._waiting, key=self._due):
            if adapter in self._closing or len(self._in_flight() | {adapter}) > self._slots:
                continue
            for turn, is_background in self._waiting.pop(adapter).turns:
                if not turn.done():
                    self._count(is_background)[adapter] += 1
                    turn.set_result(None)

    def _close_doors(self) -> None:
        """Close one door for each adapter that has run out of patience; look again when the next one will."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        loop = asyncio.get_running_loop()
        due = {name: self._due(name) for name in self._waiting if name not in self._closing}
        wanted = sum(moment <= loop.time() for moment in due.values()) - len(self._closing)
        for adapter in sorted(self._in_flight() - self._closing, key=self._load)[: max(0, wanted)]:
            self._closing.add(adapter)
        later = [moment for moment in due.values() if moment > loop.time()]
        if later:
            self._alarm = loop.call_at(min(later), self._close_doors)

    def _due(self, adapter: str) -> float:
        waiting = self._waiting[adapter]
        if waiting.is_background:
            return waiting.since + self._patience * BACKGROUND_PATIENCE
        some_run_only_background = any(name not in self._tenants for name in self._in_flight() - self._closing)
        return waiting.since if some_run_only_background else waiting.since + self._patience

    def _load(self, adapter: str) -> tuple[int, int]:
        return self._tenants[adapter], self._background[adapter]

    def _in_flight(self) -> set[str]:
        return {*self._tenants, *self._background}

    def _count(self, is_background: bool) -> Counter[str]:
        return self._background if is_background else self._tenants

    def _forget(self, adapter: str, turn: asyncio.Future[None]) -> None:
        waiting = self._waiting.get(adapter)
        if waiting is None:
            return
        waiting.turns = [entry for entry in waiting.turns if entry[0] is not turn]
        if not waiting.turns:
            del self._waiting[adapter]
        self._close_doors()
