"""How fast both versions answer, window by window. Lives in memory: a restart begins a new window.

Only answers that tenants waited for are samples: second answers wait behind everybody. The candidate is compared with
the incumbent at the same time where that has samples (split traffic), else with what it took before the swap.
"""

from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sealserve.gate.rollout import is_slower
from sealserve.gate.thresholds import WatchRule
from sealserve.records.rollouts import Watch
from sealserve.serving.answers import Answered

KEPT = 200
"""Answers of each tenant's version that a later one is compared with, and most that one window looks at."""

_Samples = deque[tuple[float, float]]  # seconds to the first token, and per later one; 0 where there was none


def _samples() -> _Samples:
    return deque(maxlen=KEPT)


@dataclass(slots=True)
class _Window:
    began: float
    slow: int = 0  # windows in a row
    by_version: dict[int, _Samples] = field(default_factory=lambda: defaultdict(_samples))


class Latencies:
    """Samples of every tenant's versions. `clock` gives seconds."""

    def __init__(self, rule: WatchRule, *, clock: Callable[[], float]) -> None:
        self._rule = rule
        self._clock = clock
        self._latest: dict[str, tuple[int, _Samples]] = {}  # tenant -> its present version and that one's answers
        self._before: dict[tuple[str, int], _Samples] = {}  # (tenant, version): what it took when it was present
        self._windows: dict[tuple[str, int], _Window] = {}

    def add(self, answered: Answered, watch: Watch | None) -> None:
        """Take note of an answer to the tenant that ended well; `watch` is the tenant's open one."""
        if answered.error or answered.finish is None or answered.first_token_seconds <= 0:
            return
        tenant, version = answered.route.tenant, answered.route.version
        sample = (answered.first_token_seconds, answered.per_token_seconds)
        if watch is not None:
            self._window(watch).by_version[version].append(sample)
            return
        known, samples = self._latest.get(tenant, (version, _samples()))
        if known != version:
            samples = _samples()
        samples.append(sample)
        self._latest[tenant] = (version, samples)

    def slow_windows(self, watch: Watch) -> int:
        """Return in how many windows in a row the candidate was too slow, the present one included once it is full."""
        window = self._window(watch)
        if self._clock() - window.began < self._rule.latency.window_seconds:
            return window.slow
        verdict = self._is_slow(watch, window)
        if verdict is not None:
            slow = window.slow + 1 if verdict else 0
            self._windows[watch.tenant, watch.activation] = _Window(began=self._clock(), slow=slow)
            return slow
        return window.slow

    def forget(self, watch: Watch) -> None:
        """The watch has ended."""
        self._windows.pop((watch.tenant, watch.activation), None)
        self._before.pop((watch.tenant, watch.incumbent), None)

    def _is_slow(self, watch: Watch, window: _Window) -> bool | None:
        mine, beside = window.by_version[watch.version], window.by_version[watch.incumbent]
        least = self._rule.latency.min_samples
        theirs = beside if len(beside) >= least else self._before.get((watch.tenant, watch.incumbent), beside)
        verdicts = [
            is_slower([one for one, _ in mine], [one for one, _ in theirs], self._rule),
            is_slower(_per_token(mine), _per_token(theirs), self._rule),
        ]
        return None if verdicts[0] is None else any(verdicts)

    def _window(self, watch: Watch) -> _Window:
        key = (watch.tenant, watch.activation)
        if key not in self._windows:
            known, samples = self._latest.pop(watch.tenant, (watch.incumbent, _samples()))
            if known == watch.incumbent:
                self._before[watch.tenant, known] = samples
            self._windows[key] = _Window(began=self._clock())
        return self._windows[key]


def _per_token(samples: _Samples) -> list[float]:
    return [later for _, later in samples if later > 0]
