"""Which adapters to suspect of an engine's death, and how long an engine may stand still: pure rules, no clock, no I/O.

An adapter is convicted when the engine dies while nothing but it is in use. One that was in use at two deaths within
ten minutes, or under which an engine stood still, is suspended: taken out of service until it has been tried alone. A
process ended from outside (SIGKILL, SIGTERM) counts against nobody. Why these numbers:
ops/decisions/0004-evidence-before-quarantine.md.
"""

from collections.abc import Iterable

DEATHS_TO_SUSPEND = 2
WINDOW_SECONDS = 600.0
STEPS_OF_PATIENCE = 5.0
"""How many times as long as its slowest step an engine may stand still."""

LONGEST_STEP_SECONDS = 300.0
"""vLLM's own limit (VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS), after which it ends its process by itself."""


class Suspects:
    """The deaths each adapter was in use at. `convicted` is never loaded again by this process."""

    def __init__(self) -> None:
        self._deaths: dict[str, list[float]] = {}
        self.convicted: set[str] = set()

    def in_use_at_death(self, names: Iterable[str], *, at_seconds: float) -> frozenset[str]:
        """Count one death against each of `names`; return those that are to be suspended for it."""
        suspended: set[str] = set()
        for name in names:
            deaths = [moment for moment in self._deaths.get(name, []) if at_seconds - moment < WINDOW_SECONDS]
            self._deaths[name] = [*deaths, at_seconds]
            if len(self._deaths[name]) >= DEATHS_TO_SUSPEND:
                suspended.add(name)
        return frozenset(suspended - self.convicted)

    def clear(self, name: str) -> None:
        """Forget the deaths at which `name` was in use: it has been tried alone."""
        self._deaths.pop(name, None)

    def died_alone_with(self, name: str) -> None:
        """Convict `name`: nothing else ran when the engine died."""
        self.convicted.add(name)


class Patience:
    """How long the engine may stand still before it counts as hung; more after each hang in ten minutes."""

    def __init__(self, least_seconds: float) -> None:
        self._least_seconds = least_seconds
        self._hangs: list[float] = []

    def hung(self, *, at_seconds: float) -> None:
        """Note that the engine counted as hung."""
        self._hangs.append(at_seconds)

    def seconds(self, *, slowest_step_seconds: float, at_seconds: float) -> float:
        """Return the limit for an engine whose slowest step lately took that long.

        A second hang within ten minutes doubles it, a third again: an engine that is rebuilt as often as it is asked
        never answers. It never exceeds vLLM's own limit, unless it is configured higher.
        """
        self._hangs = [moment for moment in self._hangs if at_seconds - moment < WINDOW_SECONDS]
        least = max(self._least_seconds, STEPS_OF_PATIENCE * slowest_step_seconds)
        return max(self._least_seconds, min(LONGEST_STEP_SECONDS, least * 2.0 ** len(self._hangs)))
