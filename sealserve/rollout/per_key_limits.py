"""How much one sticky key may say in a watch. In memory, per replica.

Where keys name users no single user takes a version back. Who sends none, or a new one each time, is not bounded: one
token often carries all of a tenant's users, and a bound on it would starve the watch.
"""

from collections import Counter

from sealserve.records.rollouts import Count

_TESTS = ((Count.WORSE, Count.BETTER), (Count.LIKELIHOODS, Count.IMPLAUSIBLE))
"""What the tests on pairs are made of: quality, drift."""

_ONCE = (Count.CANDIDATE_DEGENERATE, Count.INCUMBENT_DEGENERATE)
"""What a question can bring about ("say it a thousand times") and little is tolerated of: one of an asker counts."""


class PerKeyLimits:
    """Of one who asks, at most `most` outcomes enter each test on pairs, and one empty or endless answer a version."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._said: dict[tuple[str, int], Counter[tuple[str, Count]]] = {}

    def bounded(self, watch: tuple[str, int], asker: str, found: Counter[Count]) -> Counter[Count]:
        """Return what counts of `found` by one request of the asker; all of it where nobody says who asked."""
        if not asker:
            return found
        said, kept = self._said.setdefault(watch, Counter()), Counter(found)
        for test in _TESTS:
            if not any(found[count] for count in test):
                continue
            if said[asker, test[0]] < self._most:
                said[asker, test[0]] += 1
                continue
            for count in test:
                del kept[count]
        for count in _ONCE:
            if found[count] and said[asker, count]:
                del kept[count]
            elif found[count]:
                said[asker, count] = 1
        return kept

    def forget(self, watch: tuple[str, int]) -> None:
        """Forget a watch that has ended."""
        self._said.pop(watch, None)
