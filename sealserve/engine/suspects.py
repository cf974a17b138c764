"""Which adapters to blame for an engine's death: a pure rule, no clock, no I/O.

An adapter is convicted when the engine dies again while it is probed alone, or when it was in use at two deaths
within ten minutes. A process killed from outside (SIGKILL, SIGTERM) counts against nobody. Why these numbers:
ops/decisions/0004-evidence-before-quarantine.md.
"""

from collections.abc import Iterable

DEATHS_TO_CONVICT = 2
WINDOW_SECONDS = 600.0


class Suspects:
    """The deaths each adapter was in use at. `convicted` is never loaded again by this process."""

    def __init__(self) -> None:
        self._deaths: dict[str, list[float]] = {}
        self.convicted: set[str] = set()

    def in_use_at_death(self, names: Iterable[str], *, at_seconds: float) -> frozenset[str]:
        """Count one death against each of `names`; return those it convicts."""
        new: set[str] = set()
        for name in names:
            deaths = [moment for moment in self._deaths.get(name, []) if at_seconds - moment < WINDOW_SECONDS]
            self._deaths[name] = [*deaths, at_seconds]
            if len(self._deaths[name]) >= DEATHS_TO_CONVICT:
                new.add(name)
        self.convicted |= new
        return frozenset(new)

    def died_alone_with(self, name: str) -> None:
        """Convict `name`: nothing else ran when the engine died."""
        self.convicted.add(name)
