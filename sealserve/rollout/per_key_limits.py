"""Caps how many outcomes one sticky key may contribute to each rollout test. In memory, per replica.

Where keys name users, no single user can trigger a rollback. Requests without a key, or with a fresh key each, are not
capped: one token often carries all of a tenant's users, and a cap on it would starve the watch.
"""

from collections import Counter

from sealserve.records.rollouts import Count

_TESTS = ((Count.WORSE, Count.BETTER), (Count.LIKELIHOODS, Count.IMPLAUSIBLE))
"""The counts behind each test on pairs: quality, drift."""

_ONCE = (Count.CANDIDATE_DEGENERATE, Count.INCUMBENT_DEGENERATE)
"""Outcomes that a question can provoke ("say it a thousand times"); one per key counts, as few suffice to roll back."""


class PerKeyLimits:
    """Per key, at most `most` outcomes enter each test on pairs, and one degenerate answer a version."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: dict[tuple[str, int], Counter[tuple[str, Count]]] = {}

    def bounded(self, watch: tuple[str, int], asker: str, found: Counter[Count]) -> Counter[Count]:
        """Return the part of `found`, one request's outcomes, that counts; all of it if `asker` is empty."""
        if not asker:
            return found
        seen, counted = self._seen.setdefault(watch, Counter()), Counter(found)
        for test in _TESTS:
            if not any(found[count] for count in test):
                continue
            if seen[asker, test[0]] < self._most:
                seen[asker, test[0]] += 1
                continue
            for count in test:
                del counted[count]
        for count in _ONCE:
            if found[count] and seen[asker, count]:
                del counted[count]
            elif found[count]:
                seen[asker, count] = 1
        return counted

    def forget(self, watch: tuple[str, int]) -> None:
        """Forget a watch that has ended."""
        self._seen.pop(watch, None)
