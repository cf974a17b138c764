"""The engine client of one cycle: calls have background priority, bounded concurrency and retries.

Calls block until the engine is reachable and has room, for an hour; an outage is never recorded as a result.
"""

import asyncio
import copy
import hashlib
import random
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

from sealserve.engine.engine import BACKGROUND_PRIORITY, AdapterFiles, Engine, GenerateRequest, Likelihood, ScoreRequest
from sealserve.errors import DeadlineExceeded, EngineFailed, NotFound, QuotaExceeded, Unavailable
from sealserve.grading.thoughts import without_thoughts
from sealserve.learning.call_limit import CallLimit
from sealserve.prompts import Dialect
from sealserve.records.inference import ChatTurn, FinishReason, Sampling
from sealserve.telemetry import trace_headers

MAX_FAILURES = 3
"""Times one call may fail in an engine that lives, before the failure is the cycle's."""

MAX_WAIT_SECONDS = 10.0
"""Longest pause between two tries while the engine is away."""

THOUGHT_TOKENS = 1024
"""Room beside the answer's own, given to a base that thinks before it answers although its template was told not to."""

AWAY_SECONDS = 3600.0
"""How long one call waits for an engine that is away or has no room, before that ends the attempt at the cycle."""

YES, NO = "yes", "no"
"""The answers that prompts which end in "Say yes or no." ask for."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the model said, its thoughts left out; `is_cut` when it ran into max_tokens."""

    text: str
    is_cut: bool
    is_thought: bool = False  # nothing but thoughts, which max_tokens cut off


def reply_of(text: str, *, is_cut: bool) -> Reply:
    """Return the reply in `text`; one whose thoughts do not end is empty and cut."""
    answer = without_thoughts(text)
    if answer is None:
        return Reply(text="", is_cut=True, is_thought=is_cut)
    return Reply(text=answer, is_cut=is_cut)


def seed_of(*parts: object) -> int:
    """Return a seed in [0, 2^31) that depends on `parts` alone, never on time: a re-run draws the same numbers."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4]) >> 1


class EngineClient:
    """One cycle's calls. Adapters it loaded are loaded again when a rebuilt engine has lost them."""

    def __init__(
        self,
        engine: Engine,
        *,
        tenant: str,
        cycle: str,
        concurrency: int,
        dialect: Dialect = Dialect.EMBEDDED,
    ) -> None:
        self.dialect = dialect
        self._engine = engine
        self._cycle = cycle
        self._salt = hashlib.sha256(f"learn:{tenant}".encode()).hexdigest()[:16]
        self._limit = CallLimit(concurrency)
        self._files: dict[str, AdapterFiles] = {}
        self._resampling: tuple[float, int] | None = None  # temperature and seed
        self._is_thinking = asyncio.Event()  # the base thinks at length; shared with resampled clients

    def resampled(self, *, temperature: float, seed: int) -> "EngineClient":
        """Return this client with every answer sampled so, whatever the caller asks for. Loaded adapters are shared."""
        client = copy.copy(self)
        client._resampling = (temperature, seed)
        return client

    async def ask(
        self,
        prompt: str,
        *,
        sampling: Sampling,
        adapter: str | None = None,
        examples: Sequence[tuple[str, str]] = (),
    ) -> Reply:
        """Return the answer to one user turn, without the thoughts that a reasoning model puts before it.

        `examples` are turns with their answers that come before the turn. Thoughts that max_tokens cuts off are thought
        again with THOUGHT_TOKENS more, and so is whatever this client asks from then on.

        Raises: InvalidArgument (too long), EngineFailed, DeadlineExceeded (each after MAX_FAILURES tries), BadAdapter,
        Unavailable (after AWAY_SECONDS).
        """

        if self._resampling is not None:
            temperature, seed = self._resampling
            sampling = replace(sampling, temperature=temperature, seed=seed)

        async def once() -> Reply:
            room = THOUGHT_TOKENS if self._is_thinking.is_set() else 0
            request = GenerateRequest(
                request_id=self._request_id(),
                turns=_turns(prompt, examples),
                adapter=adapter,
                sampling=replace(sampling, max_tokens=sampling.max_tokens + room),
                cache_salt=self._salt,
                priority=BACKGROUND_PRIORITY,
                trace_headers=trace_headers(),
            )
            return await _collect(self._engine, request)

        is_roomy = self._is_thinking.is_set()
        reply = await self._patiently(once, adapter=adapter)
        if reply.is_thought and not is_roomy:
            self._is_thinking.set()
            reply = await self._patiently(once, adapter=adapter)
        return reply

    async def log_likelihood(self, prompt: str, completion: str, *, adapter: str | None = None) -> float:
        """Return log p(completion | prompt) in nats, summed over tokens. Raises: as `ask`."""
        return (await self._score(prompt, completion, adapter=adapter)).log_likelihood

    async def log_odds_of_yes(self, prompt: str) -> float:
        """Return log p(yes | prompt) - log p(no | prompt) of the base model, in nats. Raises: as `ask`."""
        yes, no = await asyncio.gather(self.log_likelihood(prompt, YES), self.log_likelihood(prompt, NO))
        return yes - no

    async def log_likelihood_per_token(self, prompt: str, completion: str, *, adapter: str | None = None) -> float:
        """Return log p(completion | prompt) in nats as the mean over its tokens. Raises: as `ask`."""
        found = await self._score(prompt, completion, adapter=adapter)
        return found.log_likelihood / max(1, found.tokens)

    async def _score(self, prompt: str, completion: str, *, adapter: str | None) -> Likelihood:
        async def once() -> Likelihood:
            request = ScoreRequest(
                request_id=self._request_id(),
                turns=(ChatTurn(role="user", content=prompt),),
                completion=completion,
                adapter=adapter,
                cache_salt=self._salt,
            )
            return await self._engine.score(request)

        return await self._patiently(once, adapter=adapter)

    async def count_tokens(self, prompt: str) -> int:
        """Return how many tokens `prompt` makes as a user turn, chat template included."""
        turns = (ChatTurn(role="user", content=prompt),)
        return await self._patiently(lambda: self._engine.count_tokens(turns), adapter=None)

    async def base_digest(self) -> str:
        """Return the digest of the base model that is served."""
        return (await self._engine.info()).base_digest

    async def slots(self) -> int:
        """Return how many adapters can share one batch."""
        return max(1, (await self._engine.info()).slots)

    @asynccontextmanager
    async def loaded(self, files: AdapterFiles | None) -> AsyncIterator[str | None]:
        """Have `files` answerable under its name inside the block, and dropped after it; None is the base model.

        Raises: BadAdapter.
        """
        if files is None:
            yield None
            return
        await self._patiently(lambda: self._engine.load(files), adapter=None)
        self._files[files.name] = files
        try:
            yield files.name
        finally:
            del self._files[files.name]
            await self.drop(files.name)

    async def drop(self, name: str) -> None:
        """Unload `name` if it is loaded; an engine that is away has lost it anyway."""
        try:
            await self._engine.unload(name)
        except (Unavailable, NotFound, EngineFailed, DeadlineExceeded):
            return

    async def drop_leftovers(self) -> None:
        """Unload what an earlier, killed run of this cycle left in the engine."""
        for name in (await self._engine.info()).loaded:
            if name.startswith(candidate_prefix(self._cycle)):
                await self.drop(name)

    async def _patiently(self, call: Callable[[], Awaitable[T]], *, adapter: str | None) -> T:
        failures, now = 0, asyncio.get_running_loop().time
        until = now() + AWAY_SECONDS
        while True:
            try:
                return await self._try(call)
            except (Unavailable, QuotaExceeded) as error:
                if now() >= until:
                    raise _away(error) from error
                wait = min(max(error.retry_seconds, 0.01), MAX_WAIT_SECONDS)
                await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # so that not all come back at once
            except NotFound:
                if adapter not in self._files:
                    raise
                failures = _one_more(failures, NotFound(str(adapter), kind="adapter"))
                await self._patiently(lambda: self._engine.load(self._files[str(adapter)]), adapter=None)
            except (EngineFailed, DeadlineExceeded) as error:
                failures = _one_more(failures, error)

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T:
        async with self._limit.entered() as refusals:
            try:
                result = await call()
            except QuotaExceeded:
                self._limit.refused(refusals)
                raise
            self._limit.succeeded()
            return result

    def _request_id(self) -> str:
        return f"learn-{self._cycle}-{uuid.uuid4().hex}"


def _turns(prompt: str, examples: Sequence[tuple[str, str]]) -> tuple[ChatTurn, ...]:
    shown = [
        turn
        for asked, answered in examples
        for turn in (ChatTurn(role="user", content=asked), ChatTurn(role="assistant", content=answered))
    ]
    return (*shown, ChatTurn(role="user", content=prompt))


def candidate_prefix(cycle: str) -> str:
    """Return how every engine name begins under which `cycle` measures something."""
    return f"cand-{cycle}-"


def candidate_name(cycle: str, label: str, *, artifact: str) -> str:
    """Return the engine name for measuring `artifact` in `cycle`: never that of a version, new for new contents."""
    return f"{candidate_prefix(cycle)}{label}-{artifact[:12]}"


def _away(error: Unavailable | QuotaExceeded) -> Unavailable:
    return Unavailable(f"the engine was away for {AWAY_SECONDS / 60:.0f} minutes: {error.message}", reason=error.reason)


def _one_more(failures: int, error: Exception) -> int:
    if failures + 1 >= MAX_FAILURES:
        raise error
    return failures + 1


async def _collect(engine: Engine, request: GenerateRequest) -> Reply:
    parts: list[str] = []
    deltas = engine.generate(request)
    try:
        async for delta in deltas:
            parts.append(delta.text)
            if delta.finish == FinishReason.ABORT:
                raise Unavailable("the engine stopped in the middle of an answer")
            if delta.finish is not None:
                return reply_of("".join(parts), is_cut=delta.finish == FinishReason.LENGTH)
    finally:
        if isinstance(deltas, AsyncGenerator):
            await deltas.aclose()
    raise Unavailable("the answer ended without a finish reason")
