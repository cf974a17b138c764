"""Limits how much background work is in the engine at once: learning, shadow answers and probes.

A prompt that enters makes the next step longer for everybody, and vLLM's priorities do not help a sequence that runs
already. So work is counted in tokens: a prompt's until its first token is out, a few for a sequence that generates.
While no tenant asks, enough enters to keep the engine busy. While tenants ask, the limit grows by a little as long as
nine of ten of their calls are fast enough and is halved when they are not (AIMD, as in TCP's congestion control). Why:
ops/decisions/0020-background-work-yields-by-measured-slowdown.md. Use it from one event loop.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from sealserve.errors import QuotaExceeded
from sealserve.serving.tenant_pace import TenantCall, TenantPace

ACTIVE_SECONDS = 10.0
"""How long after a tenant's call the next one is expected."""

FIRST_TOKENS, LEAST_TOKENS, MOST_TOKENS, GROWTH_TOKENS = 64.0, 32.0, 4096.0, 16.0
GENERATING_TOKENS = 16.0
"""What a sequence that generates counts: it costs each step less than a prompt's tokens cost theirs, and every step."""

LONGEST_REST = 9.0
"""A prompt above the limit makes the gate rest, at most so many times as long as it took: a tenth of the time stays for
learning."""

FULL_STEP_TOKENS, STEP_SECONDS = 256.0, 0.5
"""While no tenant asks, this many tokens may always be in a step, for fewer waste its overhead; more, up to
MOST_TOKENS, while a prompt takes less than that time, which is what the first tenant to come waits."""

RESERVED_SHARE = 8  # one of so many sequences is kept free for tenants
PAUSE_SECONDS = 2.0  # without background work, to learn how fast tenants are answered alone
PAUSE_EVERY_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 60.0
RETRY_SECONDS = 2.0
_POLL_SECONDS = 0.05


class BackgroundGate:
    """Admits background calls, as many as tenants do not notice."""

    def __init__(
        self, *, max_sequences: int, slowdown: float, is_tenant_waiting: Callable[[], bool] = lambda: False
    ) -> None:
        """`max_sequences` are the engine's; `slowdown` is how many times as long as alone nine of ten calls may take.

        0: everything enters at once.
        """
        self._slowdown = slowdown
        self._is_tenant_waiting = is_tenant_waiting
        self._max_sequences = max(1, max_sequences - max(1, max_sequences // RESERVED_SHARE))
        self._max_waiting = 2 * max_sequences
        self._waiting: deque[tuple[asyncio.Future[None], float]] = deque()
        self._alarm: asyncio.TimerHandle | None = None
        self._pace = TenantPace(_now)
        self._tenants = 0  # calls in flight
        self._tenants_left_at = float("-inf")
        self._starts = 0
        self._running = 0
        self._prefills = 0  # prompts whose first token is not out yet
        self._prefill_tokens = 0.0
        self._generating = 0
        self._shut_until = float("-inf")
        self._next_pause_at = float("-inf")
        self._has_limited = False  # since the last verdict
        self.start_over()

    @property
    def waiting(self) -> int:
        """How many background calls wait."""
        return len(self._waiting)

    def start_over(self) -> None:
        """Begin with little again: the engine is a new one, and all who waited for it come back at once."""
        self._limit = FIRST_TOKENS
        self._step_tokens = FULL_STEP_TOKENS
        self._lanes = 1  # and one more for each prompt that was read

    @contextmanager
    def beside(self) -> Iterator[TenantCall]:
        """Run a tenant's call, whose deltas the body counts; background work yields to it."""
        self._tenants += 1
        call = TenantCall(_now, lambda: (self._starts, self._running))
        try:
            yield call
            self._pace.note(call)
            self._adapt()
        finally:
            self._tenants -= 1
            self._tenants_left_at = _now()

    @asynccontextmanager
    async def entered(self, prompt_tokens: float) -> AsyncIterator["Entry"]:
        """Run the body once there is room for a prompt of that length.

        Raises: QuotaExceeded (too many wait, or it has waited for a minute).
        """
        await self._enter(prompt_tokens)
        entry = Entry(self, prompt_tokens)
        try:
            yield entry
        finally:
            entry.end()
            self._running -= 1
            self._admit()

    async def _enter(self, tokens: float) -> None:
        if not self._waiting and self._has_room(tokens):
            self._count(tokens)
            return
        if len(self._waiting) >= self._max_waiting:
            raise QuotaExceeded(f"{len(self._waiting)} background calls are waiting", retry_seconds=RETRY_SECONDS)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, tokens))
        self._has_limited = True
        self._look_again()
        try:
            async with asyncio.timeout(LONGEST_WAIT_SECONDS):
                await turn
        except (asyncio.CancelledError, TimeoutError) as error:
            self._give_up(turn, tokens)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise QuotaExceeded("tenants keep the engine busy", retry_seconds=RETRY_SECONDS) from error

    def _has_room(self, tokens: float) -> bool:
        if not self._slowdown:
            return True
        if self._running >= min(self._lanes, self._max_sequences) or self._is_tenant_waiting():
            return False
        if not self._is_active():
            return not self._prefills or self._prefill_tokens + tokens <= self._step_tokens
        if not self._running:
            return _now() >= self._shut_until
        return (
            _now() >= self._shut_until
            and (self._generating + 1) * GENERATING_TOKENS <= self._limit
            and (not self._prefills or self._prefill_tokens + tokens <= self._limit)
        )

    def _is_active(self) -> bool:
        return self._tenants > 0 or _now() - self._tenants_left_at < ACTIVE_SECONDS

    def _count(self, tokens: float) -> None:
        self._starts += 1
        self._running += 1
        self._prefills += 1
        self._prefill_tokens += tokens

    def _forget(self, tokens: float) -> None:
        self._prefills -= 1
        self._prefill_tokens = self._prefill_tokens - tokens if self._prefills else 0.0

    def prefilled(self, tokens: float, *, seconds: float, is_generating: bool) -> None:
        """Take note that a prompt has been read in so many seconds (called by its `Entry`)."""
        self._forget(tokens)
        self._generating += is_generating
        self._lanes = min(self._lanes + 1, self._max_sequences)
        if self._is_active():
            rest = min(tokens / self._limit - 1, LONGEST_REST) * seconds
            self._shut_until = max(self._shut_until, _now() + rest)
        elif seconds > STEP_SECONDS:
            self._step_tokens = max(FULL_STEP_TOKENS, self._step_tokens / 2)
        else:
            self._step_tokens = min(MOST_TOKENS, self._step_tokens + FULL_STEP_TOKENS / 4)
        self._admit()

    def generated(self) -> None:
        """Take note that a sequence generates no longer (called by its `Entry`)."""
        self._generating -= 1

    def _adapt(self) -> None:
        if not self._pace.knows_alone() and _now() >= self._next_pause_at:
            self._next_pause_at = _now() + PAUSE_EVERY_SECONDS
            self._shut_until = max(self._shut_until, _now() + PAUSE_SECONDS)
        is_fast = self._pace.is_fast(self._slowdown)
        if is_fast is None:
            return
        if not is_fast:
            self._limit = max(LEAST_TOKENS, self._limit / 2)
        elif self._has_limited or self._waiting:  # else it says nothing about a higher one
            self._limit = min(MOST_TOKENS, self._limit + GROWTH_TOKENS)
        self._has_limited = False

    def _admit(self) -> None:
        while self._waiting and self._has_room(self._waiting[0][1]):
            turn, tokens = self._waiting.popleft()
            if not turn.done():
                self._count(tokens)
                turn.set_result(None)
        self._look_again()

    def _look_again(self) -> None:
        """Look again soon while somebody waits: time passes, and tenants come and go unannounced."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._waiting:
            self._alarm = asyncio.get_running_loop().call_later(_POLL_SECONDS, self._admit)

    def _give_up(self, turn: asyncio.Future[None], tokens: float) -> None:
        if turn.done() and not turn.cancelled():  # the place came together with the cancellation
            self._running -= 1
            self._forget(tokens)
            self._admit()
        elif (turn, tokens) in self._waiting:
            self._waiting.remove((turn, tokens))


class Entry:
    """One background call inside."""

    def __init__(self, gate: BackgroundGate, prompt_tokens: float) -> None:
        self._gate = gate
        self._prompt_tokens = prompt_tokens
        self._began = _now()
        self._is_read = False
        self._is_generating = False

    def began(self) -> None:
        """Take note that the engine gets it now: it may have waited for a slot."""
        self._began = _now()

    def received(self) -> None:
        """Take note of a delta: with the first the prompt has been read."""
        if not self._is_read:
            self._is_read = self._is_generating = True
            self._gate.prefilled(self._prompt_tokens, seconds=_now() - self._began, is_generating=True)

    def end(self) -> None:
        """Take note that it has ended, in whatever way."""
        if self._is_generating:
            self._gate.generated()
        if not self._is_read:
            self._is_read = True
            self._gate.prefilled(self._prompt_tokens, seconds=_now() - self._began, is_generating=False)


def _now() -> float:
    return asyncio.get_running_loop().time()
