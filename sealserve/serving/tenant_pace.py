"""Measures, on tenants' own calls, how much slower they are answered beside background work than without it.

Knows no engine and no limits. Both sides come from the same tenants on the same machine, so the ratio needs no target
in milliseconds that would be right for one model alone.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

JUDGED_CALLS, TOLERATED_CALLS = 10, 1
"""Calls that a verdict takes, and how many of them may be slow."""

KEPT_ALONE = 50
LEAST_ALONE = 5
FRESH_SECONDS = 60.0
"""How long a call that ran alone says how fast the engine is alone."""

_LEAST_TOKENS = 4  # fewer say little about the time per token


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds to the first token, and mean seconds for each later one; None where it was not measured."""

    first_seconds: float | None
    token_seconds: float | None


class TenantCall:
    """The clock of one call. `count_background` returns (starts so far, running now)."""

    def __init__(self, clock: Callable[[], float], count_background: Callable[[], tuple[int, int]]) -> None:
        self._clock = clock
        self._count_background = count_background
        self._last_seconds = clock()
        self._before = count_background()
        self._tokens = 0
        self._first: tuple[float, bool] | None = None
        self._later = [0.0, 0.0]  # seconds and tokens after the first
        self._later_alone = [0.0, 0.0]

    def received(self, tokens: int) -> None:
        """Take note of a delta; `tokens` is how many the answer has by now."""
        now, present = self._clock(), self._count_background()
        seconds, is_alone = now - self._last_seconds, self._before == present and present[1] == 0
        if self._first is None:
            self._first = seconds, is_alone
        else:
            for sums in (self._later, *([self._later_alone] if is_alone else [])):
                sums[0] += seconds
                sums[1] += tokens - self._tokens
        self._last_seconds, self._before, self._tokens = now, present, tokens

    def timings(self) -> tuple[Timing, Timing]:
        """Return the timing of the whole call, and of those parts of it that no background work met."""
        first, is_alone = self._first or (None, False)
        return (
            Timing(first_seconds=first, token_seconds=_mean(self._later)),
            Timing(first_seconds=first if is_alone else None, token_seconds=_mean(self._later_alone)),
        )


class TenantPace:
    """The calls since the last verdict, and the last calls that ran alone."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: list[Timing] = []
        self._alone: deque[tuple[float, Timing]] = deque(maxlen=KEPT_ALONE)

    def note(self, call: TenantCall) -> None:
        """Take note of a call that has ended."""
        whole, alone = call.timings()
        if whole.first_seconds is not None:
            self._calls.append(whole)
        if alone.first_seconds is not None or alone.token_seconds is not None:
            self._alone.append((self._clock(), alone))

    def knows_alone(self) -> bool:
        """Return whether enough parts of late calls ran without background work."""
        since = self._clock() - FRESH_SECONDS
        while self._alone and self._alone[0][0] < since:
            self._alone.popleft()
        return len(self._alone) >= LEAST_ALONE

    def is_fast(self, slowdown: float) -> bool | None:
        """Return whether nine of ten calls took at most `slowdown` times as long as alone, and begin anew.

        Both count: the first token, and the time for each later one. None: too few calls to say. Two slow calls say it
        before the ten are full.
        """
        if not self.knows_alone():
            return None
        alone = [timing for _, timing in self._alone]
        usual = Timing(
            first_seconds=_ninth_of_ten([one.first_seconds for one in alone]),
            token_seconds=_ninth_of_ten([one.token_seconds for one in alone]),
        )
        slow = sum(_is_slower(call, usual, factor=slowdown) for call in self._calls)
        if slow <= TOLERATED_CALLS and len(self._calls) < JUDGED_CALLS:
            return None
        self._calls.clear()
        return slow <= TOLERATED_CALLS


def _is_slower(call: Timing, usual: Timing, *, factor: float) -> bool:
    pairs = ((call.first_seconds, usual.first_seconds), (call.token_seconds, usual.token_seconds))
    return any(took is not None and alone is not None and took > factor * alone for took, alone in pairs)


def _ninth_of_ten(values: Sequence[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[max(0, -(-9 * len(known) // 10) - 1)] if known else None


def _mean(sums: list[float]) -> float | None:
    seconds, tokens = sums
    return seconds / tokens if tokens >= _LEAST_TOKENS else None
