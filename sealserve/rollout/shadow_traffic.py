"""Second answers: some requests are answered once more, under the tenant's other version, for comparison alone.

It happens after the tenant has its answer, at background priority, from a bounded queue. Whatever is in the way (the
queue is full, tenants wait, the engine is away) the second answer is dropped and counted, never waited for. Knows
nothing of who is right.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from sealserve.engine.engine import BACKGROUND_PRIORITY, Delta, Engine, GenerateRequest
from sealserve.errors import EngineFailed, SealserveError
from sealserve.records.inference import FinishReason
from sealserve.serving.adapter_table import AdapterTable, Route
from sealserve.serving.answers import Answered
from sealserve.serving.salt import TenantSalts

MAX_QUEUED = 64
WORKERS = 2
MAX_SECONDS = 60.0
"""A second answer that takes longer is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same request under both versions: the tenant's answer, and the second one."""

    answered: Answered
    second: Answered


Compare = Callable[[Pair], Awaitable[None]]


class ShadowTraffic:
    """The queue and its workers. Use it from one event loop."""

    def __init__(
        self,
        engine: Engine,
        table: AdapterTable,
        *,
        salts: TenantSalts,
        is_busy: Callable[[], bool],
        compare: Compare,
        on_dropped: Callable[[Answered], None],
    ) -> None:
        """`is_busy` says whether a tenant waits for the engine: then nothing is started, and what runs is given up."""
        self._engine = engine
        self._table = table
        self._salts = salts
        self._is_busy = is_busy
        self._compare = compare
        self._on_dropped = on_dropped
        self._queue: asyncio.Queue[tuple[Answered, Route]] = asyncio.Queue(MAX_QUEUED)

    def offer(self, answered: Answered, other: Route) -> None:
        """Have the request answered under `other` as well, some time or not at all."""
        try:
            self._queue.put_nowait((answered, other))
        except asyncio.QueueFull:
            self._on_dropped(answered)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._work(), name=f"shadow {number}")

    async def step(self) -> None:
        """Work on the next request that is due, when there is one."""
        answered, other = await self._queue.get()
        second = None if self._is_busy() else await self._second(answered, other)
        if second is None:
            self._on_dropped(answered)
        else:
            await self._compare(Pair(answered=answered, second=second))

    async def _work(self) -> None:
        while True:
            await self.step()

    async def _second(self, answered: Answered, other: Route) -> Answered | None:
        """Return the second answer, None if it was given up. What the engine fails on is an answer: a bad one."""
        request = GenerateRequest(
            request_id=f"shadow-{answered.request_id}",
            turns=answered.turns,
            adapter=other.engine_name,
            sampling=replace(answered.sampling, n=1, logprobs=None),
            cache_salt=self._salts.salt(other.tenant),
            priority=BACKGROUND_PRIORITY,
        )
        took = _Taken(answered, other)
        try:
            with self._table.held(other):
                async with asyncio.timeout(MAX_SECONDS), aclosing(self._engine.generate(request)) as deltas:  # type: ignore[type-var]
                    return await self._read(deltas, took)
        except EngineFailed as failure:
            return took.whole(error=failure.reason)
        except (SealserveError, TimeoutError):
            return None

    async def _read(self, deltas: AsyncIterator[Delta], took: "_Taken") -> Answered | None:
        async for delta in deltas:
            if self._is_busy():
                return None
            took.add(delta)
        return took.whole() if took.finish in (FinishReason.STOP, FinishReason.LENGTH) else None


class _Taken:
    """A second answer as it comes."""

    def __init__(self, answered: Answered, route: Route) -> None:
        self._answered = answered
        self._route = route
        self._time = asyncio.get_running_loop().time
        self._began = self._time()
        self._first: float | None = None
        self._texts: list[str] = []
        self._tokens = 0
        self.finish: FinishReason | None = None

    def add(self, delta: Delta) -> None:
        if self._first is None:
            self._first = self._time() - self._began
        self._texts.append(delta.text)
        self._tokens, self.finish = delta.completion_tokens, delta.finish

    def whole(self, *, error: str = "") -> Answered:
        first, later = self._first or 0.0, self._tokens - 1
        return Answered(
            route=self._route,
            turns=self._answered.turns,
            sampling=self._answered.sampling,
            request_id=self._answered.request_id,
            asker=self._answered.asker,
            text="".join(self._texts),
            finish=self.finish,
            error=error,
            first_token_seconds=first,
            per_token_seconds=(self._time() - self._began - first) / later if later > 0 else 0.0,
        )
